"""The data folders that a command was given."""

from __future__ import annotations

from pathlib import Path

from quorate.cli.context import Failure


def folder_named(text: str) -> Path:
    """The folder. An empty text is none, though for the system it is the folder of the shell.

    Raises Failure.
    """
    if not text:
        raise Failure("The path to a data_dir is empty", "is a variable of the shell not set?")
    return Path(text)
