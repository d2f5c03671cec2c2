"""Output of a command, and its colours (docs/cli.md#rules).

Results go to stdout, errors to stderr. Colour is used on a terminal only, unless forced; a hint
(what to do next) follows an error on a terminal, or where NOMAD_CLI_SHOW_HINTS asks for it, so
that what scripts read stays as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TextIO

RED = "\x1b[31m"
BOLD = "\x1b[1m"
RESET = "\x1b[0m"
OFF = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def variable(environ: Mapping[str, str], name: str) -> str:
    """QUORATE_<name>, else NOMAD_<name>, else empty."""
    return environ.get("QUORATE_" + name) or environ.get("NOMAD_" + name) or ""


class Output:
    """Where a command's words go.

    `colour` is None for "on a terminal", else the user's will; it may be set once the options
    are known.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.colour: bool | None = None
        if variable(environ, "CLI_NO_COLOR") or environ.get("NO_COLOR"):  # no-color.org
            self.colour = False
        elif variable(environ, "CLI_FORCE_COLOR"):
            self.colour = True
        hints = variable(environ, "CLI_SHOW_HINTS")
        self.hints = hints not in OFF if hints else stderr.isatty()

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None where no person reads stdout, and lines may be long."""
        return shutil.get_terminal_size().columns if self.stdout.isatty() else None

    def line(self, text: str) -> None:
        """A result, with a line end."""
        self.stdout.write(text + "\n")

    def table(self, text: str) -> None:
        """A table: its heading is bold where there is colour."""
        heading, newline, rest = text.partition("\n")
        self.line(self._paint(self.stdout, BOLD, heading) + newline + rest)

    def raw(self, text: str) -> None:
        """A text as it is, ended by a line end if it has none."""
        self.stdout.write(text if text.endswith("\n") else text + "\n")

    def error(self, text: str, next_step: str = "") -> None:
        """An error, and what to do next where hints are wanted."""
        self.stdout.flush()  # so that both streams together read in the order of events
        self.stderr.write(self._paint(self.stderr, RED, text) + "\n")
        if next_step:
            self.hint(next_step)
        self.stderr.flush()

    def hint(self, text: str) -> None:
        """Print a hint for a person, where hints are wanted."""
        if self.hints:
            self.stderr.write(f"Hint: {text}\n")
            self.stderr.flush()

    def _paint(self, stream: TextIO, code: str, text: str) -> str:
        wanted = stream.isatty() if self.colour is None else self.colour
        return f"{code}{text}{RESET}" if wanted else text
