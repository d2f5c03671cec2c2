"""The words that can follow each word, for every shell's script."""

from __future__ import annotations

from typing import NamedTuple

from quorate.cli.flags import Flag
from quorate.cli.registry.index import COMMANDS, GROUPS, words_below

FILES = frozenset({"file", "folder", "path", "dir"})


class Place(NamedTuple):
    """A point of the command line. `at` is the words so far, each after a slash."""

    at: str
    words: tuple[str, ...]
    flags: tuple[Flag, ...]


def places() -> list[Place]:
    """All points, the beginning first."""
    groups = [Place(_at(p), tuple(words_below(p)), ()) for p in ((), *(g.path for g in GROUPS))]
    return groups + [
        Place(_at(c.path), c.words, tuple(f for f in c.all_flags() if not f.hidden))
        for c in COMMANDS
    ]


def _at(path: tuple[str, ...]) -> str:
    return "".join(f"/{word}" for word in path)


def summaries() -> dict[str, str]:
    """The summary of each point but the beginning."""
    groups = {_at(group.path): group.summary for group in GROUPS}
    return groups | {_at(command.path): command.summary for command in COMMANDS}


def written(flag: Flag) -> str:
    """A flag as it is typed; those with a value end in `=`."""
    return f"-{flag.name}" if flag.kind == "bool" else f"-{flag.name}="


def choices() -> dict[str, tuple[str, ...]]:
    """Flag -> values it may have, for all flags with such a list."""
    return {f.name: f.choices for place in places() for f in place.flags if f.choices}


def file_flags() -> list[str]:
    """Names of the flags whose value is a file or folder."""
    return sorted({f.name for place in places() for f in place.flags if f.value in FILES})
