"""The context of a command, and its failures.

A command raises `Failure` (usually by way of `doing`) and `quorate.cli.main` prints it: so every
error a person can cause ends as one line and exit code 1, in one place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from quorate.cli.command import Command
from quorate.cli.flags import Parsed
from quorate.cli.text.output import Output
from quorate.errors import QuorateError

if TYPE_CHECKING:
    from quorate.client import Client


class Failure(Exception):
    """A command could not do what was asked; `text` is shown on stderr, `code` is the exit."""

    def __init__(self, text: str, next_step: str = "", code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.next_step = next_step
        self.code = code


@contextmanager
def doing(prefix: str) -> Iterator[None]:
    """Turn an error of the layers below into a Failure that says what was being done."""
    try:
        yield
    except QuorateError as error:
        raise Failure(prefix + error.text, error.next_step) from error


class Context:
    """One run of one command.

    Args:
        command: the command that runs.
        flags: its options and arguments, as parsed.
        out: where its words go.
        environ: the variables of the process.
        stdin: what may be piped in.
    """

    def __init__(
        self,
        command: Command,
        flags: Parsed,
        out: Output,
        environ: Mapping[str, str],
        stdin: TextIO,
    ) -> None:
        self.command = command
        self.flags = flags
        self.out = out
        self.environ = environ
        self.stdin = stdin

    def client(self, address: str = "") -> Client:
        """A client by the options and variables. Raises Failure when they cannot be used.

        `address` is asked in place of theirs.
        """
        from quorate.client import Client, settings_from_environment

        given = {k: v for k, v in self.flags.values.items() if isinstance(v, (str, bool))}
        if address:
            given["address"] = address
        if "insecure" in given:
            given.setdefault("tls-skip-verify", given["insecure"])
        with doing("Error initializing client: "):
            return Client.from_settings(settings_from_environment(self.environ, given))

    def why_no_leader(self) -> str:
        """What the agent says of the voters that are missing; empty if it says nothing."""
        from quorate.client import ClientError

        try:
            with self.client() as client:
                stats = client.agent_self().stats
        except (Failure, ClientError):
            return ""
        return str(stats.get("quorate", {}).get("waiting", ""))

    def quiet(self) -> bool:
        """Whether the output is for a program."""
        return self.flags.on("json") or "t" in self.flags.values

    def check_template(self) -> None:
        """Raise Failure for a `-t` that cannot be read: before anything is asked or done."""
        if "t" not in self.flags.values:
            return
        from quorate.cli.text.gotemplate import TemplateError, parsed

        try:
            parsed(self.flags.text("t"))
        except TemplateError as error:
            raise _bad_template(error) from error

    def show(self, data: Any, show_text: Callable[[], None]) -> int:
        """Print an answer as `-json` or `-t` ask, else by `show_text`; returns exit code 0."""
        if self.flags.on("json"):
            self.out.line(json.dumps(data, indent=4, ensure_ascii=False))
        elif "t" in self.flags.values:
            from quorate.cli.text.gotemplate import TemplateError, render

            try:
                self.out.line(render(self.flags.text("t"), data))
            except TemplateError as error:
                raise _bad_template(error) from error
        else:
            show_text()
        return 0


def _bad_template(error: Exception) -> Failure:
    return Failure(f"Error formatting the data: template: {error}", "see the answer with -json")
