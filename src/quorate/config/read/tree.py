"""The tree of an HCL or a JSON text, before anything is known about keys.

Both forms become the same: a `Body` of items in the order of the file, each with its line, so
that everything above reads one shape and can name the line of a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

DEPTH_MAX: Final = 32
"""Deeper nesting is refused: no configuration needs it, and readers here recurse."""


class MalformedError(Exception):
    """The text is not well-formed; says where if it can ("At 2:1: ...")."""


@dataclass(frozen=True, slots=True)
class Expression:
    """HCL that would have to be computed; agents' files have constants only."""

    text: str


@dataclass(slots=True)
class Item:
    """`key = value`, or a block with its labels. `line` counts from 1, 0 if unknown."""

    key: str
    value: Node
    line: int = 0
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Body:
    """The inside of a block, an object, or the whole file."""

    items: list[Item] = field(default_factory=list)


Node: TypeAlias = "str | int | float | bool | Expression | list[Node] | Body | None"


def too_deep() -> MalformedError:
    """The refusal of a text that nests more than DEPTH_MAX blocks and lists."""
    return MalformedError(f"more than {DEPTH_MAX} blocks and lists inside each other")
