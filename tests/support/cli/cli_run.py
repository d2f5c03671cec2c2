"""Run the program in this process, with an environment of its own.

Import this before `client_fake_agent` (as sorted imports do): it makes the helpers of the client's
tests importable, on which the tests of the command line are built.
"""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from quorate.cli.main import main


class Ran(NamedTuple):
    code: int
    stdout: str
    stderr: str


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(
    *argv: str, env: dict[str, str] | None = None, stdin: str = "", terminal: bool = False
) -> Ran:
    """Exit code, stdout and stderr; no NOMAD_* or QUORATE_* but those of `env` is set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NOMAD_", "QUORATE_"))}
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    with (
        patch.dict(os.environ, {**kept, **(env or {})}, clear=True),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main(argv)
    return Ran(code, out.getvalue(), err.getvalue())
