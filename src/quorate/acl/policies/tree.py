"""Items with keys: the results of the readers of HCL and JSON, whatever they mean."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from quorate.acl.invalid import PolicyInvalid

TEXT_BYTES_MAX: Final = 64 * 1024
"""The longest text of a policy, in bytes of UTF-8. An entry of the log carries it."""

DEPTH_MAX: Final = 16
"""Blocks and lists around each other. A policy needs four."""

ITEMS_MAX: Final = 4096
"""Keys and values of lists in one text."""


class Item(NamedTuple):
    """`path "app/*" { ... }` has the keys `path` and `app/*`, and a Body as value."""

    keys: tuple[str, ...]
    value: Value
    place: str
    """`3:1`: line and column, from 1; of JSON none is known."""


class Body(list[Item]):
    """The inside of a block, of an object, or of the whole text."""


class Values(list["Value"]):
    """A list."""


Value: TypeAlias = "str | bool | Body | Values"
"""Numbers are strings: no rule has any."""


def malformed(text: str) -> PolicyInvalid:
    """No HCL or JSON at all, in Nomad's words."""
    return PolicyInvalid(f"Failed to parse ACL Policy: {text}")


class Budget:
    """Counts what a text has, so that nothing grows beyond its bounds while it is read."""

    __slots__ = ("_depth", "_items")

    def __init__(self) -> None:
        self._depth = 0
        self._items = 0

    def enter(self, place: str) -> None:
        """A block, object or list begins. Raises PolicyInvalid."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise malformed(f"{place}more than {DEPTH_MAX} blocks or lists around each other")

    def leave(self) -> None:
        """It ends."""
        self._depth -= 1

    def count(self) -> None:
        """One more key or value of a list. Raises PolicyInvalid."""
        self._items += 1
        if self._items > ITEMS_MAX:
            raise malformed(f"more than {ITEMS_MAX} keys and values: split the policy")
