"""The reference part of docs/cli.md, made from the table of commands.

`python -m quorate.cli.reference docs/cli.md` rewrites it below the mark in that page; a test
compares both, so the page cannot fall behind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from quorate.cli.command import FORMS, GENERAL, Command
from quorate.cli.flags import Flag
from quorate.cli.help import flag_form
from quorate.cli.registry.index import COMMANDS

MARK = "<!-- Below: made by `python -m quorate.cli.reference docs/cli.md`. Do not edit. -->\n"
TALKS = "options of every command that talks to an agent"


def reference() -> str:
    """Options that all share, then every command."""
    commands = sorted(COMMANDS, key=lambda command: command.path)
    return (
        "\n".join(
            [
                f"## {TALKS.capitalize()}\n",
                _table(GENERAL),
                "## Options of every command that prints a table or a block\n",
                _table(FORMS),
                "## Commands\n",
                *map(_section, commands),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _section(command: Command) -> str:
    own = [flag for flag in command.shown_flags() if flag not in FORMS]
    shared = [f"the [{TALKS}](#{TALKS.replace(' ', '-')})"] if command.general else []
    if len(own) < len(command.shown_flags()):
        shared.append("`-json` and `-t`")
    lines = [
        f"### `{command.name}`\n",
        f"{command.summary}.\n",
        f"    {command.name} {command.usage}".rstrip() + "\n",
        f"{command.description}\n",
    ]
    if own:
        lines.append(_table(own))
    if shared:
        lines.append(f"{'Also takes' if own else 'Takes'} {' and '.join(shared)}.\n")
    examples = "\n".join(f"# {example.does}\n{example.line}" for example in command.examples)
    lines.append(f"```sh\n{examples}\n```\n")
    return "\n".join(lines)


def _table(flags: Sequence[Flag]) -> str:
    rows = [f"| `{flag_form(flag)}` | {_escaped(flag.help)} |" for flag in flags]
    return "\n".join(["| option | meaning |", "|---|---|", *rows, ""])


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def rewritten(page: str) -> str:
    """The page with a new part below the mark. Raises ValueError without a mark."""
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError("the page has no mark")
    return f"{head}{mark}\n{reference()}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text()))
