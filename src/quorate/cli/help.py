"""Help texts, made from the table of commands; nothing here is written per command."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from quorate.cli.command import GENERAL, Command, Group
from quorate.cli.flags import Flag
from quorate.cli.registry.index import COMMANDS, GROUPS

WIDTH = 80


def command_help(command: Command) -> str:
    """Usage, description, options and examples of one command."""
    parts = [f"Usage: {command.name} {command.usage}".rstrip(), _wrapped(command.description, 2)]
    own = command.shown_flags()
    if command.general:
        others = [flag for flag in GENERAL if flag.name not in {one.name for one in own}]
        parts.append("General options:\n\n" + _options(others))
    if own:
        parts.append("Options of this command:\n\n" + _options(own))
    examples = "\n".join(f"  # {e.does}\n{_shell_line(e.line)}" for e in command.examples)
    return "\n\n".join([*parts, "Examples:\n\n" + examples])


def group_help(group: Group) -> str:
    """The purpose of a group, and the words below it."""
    name = " ".join(("quorate", *group.path))
    below = _list(_children(group.path))
    return (
        f"Usage: {name} <subcommand> [options] [args]\n\n{_wrapped(group.description, 2)}\n\n"
        f"Subcommands:\n\n{below}\n\nExamples:\n\n  {group.example}"
    )


def root_help() -> str:
    """All first words."""
    return (
        "Usage: quorate [-version] [-help] <command> [args]\n\n"
        f"Commands:\n\n{_list(_children(()))}\n\n"
        "'quorate <command> -help' says more about each.\n"
        "To start a cluster on this machine:\n\n"
        "  quorate dev"
    )


def _children(path: tuple[str, ...]) -> list[tuple[str, str]]:
    depth = len(path)
    entries: Sequence[Command | Group] = (*GROUPS, *COMMANDS)
    return sorted(
        (entry.path[-1], entry.summary)
        for entry in entries
        if len(entry.path) == depth + 1 and entry.path[:depth] == path
    )


def _list(entries: list[tuple[str, str]]) -> str:
    width = max(len(word) for word, _ in entries)
    return "\n".join(f"  {word.ljust(width)}  {summary}" for word, summary in entries)


def _options(flags: Sequence[Flag]) -> str:
    return "\n\n".join(f"  {flag_form(flag)}\n{_wrapped(flag.help, 4)}" for flag in flags)


def flag_form(flag: Flag) -> str:
    """How an option is written: `-stale`, `-region=<region>`."""
    return f"-{flag.name}" if flag.kind == "bool" else f"-{flag.name}=<{flag.value}>"


def _shell_line(line: str) -> str:
    """A line for a shell, on several where it is too long: never within quotes."""
    lines, rest = [], "  " + line
    while len(rest) > WIDTH and (cut := _last_gap(rest)):
        lines.append(rest[:cut] + " \\")
        rest = "      " + rest[cut + 1 :]
    return "\n".join([*lines, rest])


def _last_gap(line: str) -> int:
    """The last blank before the margin with which no word begins or ends in quotes; 0: none."""
    quote, gap = "", 0
    for at, char in enumerate(line[: WIDTH - 1]):
        if char in "'\"" and quote in {"", char}:
            quote = "" if quote else char
        elif char == " " and not quote and line[:at].strip():
            gap = at
    return gap


def _wrapped(text: str, indent: int) -> str:
    margin = " " * indent
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        textwrap.fill(
            " ".join(paragraph.split()),
            WIDTH,
            initial_indent=margin,
            subsequent_indent=margin,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for paragraph in paragraphs
    )
