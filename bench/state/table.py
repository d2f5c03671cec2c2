"""The table that the benchmark fills: a key of 30 characters, a value of 100 bytes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import ClassVar, Final

from quorate.state.engine.commands import encode
from quorate.state.engine.registry import Registry
from quorate.state.engine.table import Command, OnRestore, Record, Table, Tables
from quorate.state.registry import LOOSE_COMMANDS, TABLES

VALUE_BYTES: Final = 100
AT_ONCE: Final = 50
"""Rows of one command: as many as wait for one batch on a busy server."""


class Item(Record, frozen=True, kw_only=True):
    """A row like a variable's."""

    value: bytes


class PutItems(Command, frozen=True, kw_only=True):
    """Write some rows."""

    TYPE: ClassVar[int] = 0x70

    items: tuple[tuple[str, bytes], ...]

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        for key, value in self.items:
            tables.put(ITEMS, key, Item(value=value), index)
        return len(self.items)


ITEMS: Final = Table(
    name="bench_items", record=Item, on_restore=OnRestore.REPLACED, commands=(PutItems,)
)

REGISTRY: Final = Registry(tables=(*TABLES, ITEMS), commands=LOOSE_COMMANDS)


def key_of(number: int) -> str:
    """Keys in no order, as paths of many applications."""
    scattered = number * 2_654_435_761 % 2**32
    return f"apps/{scattered >> 20:04x}/settings/{scattered:010x}"


def commands(first: int, last: int, seed: int = 0) -> Iterator[bytes]:
    """Encoded commands that write the rows of these numbers, `AT_ONCE` each."""
    rng = Random(seed)
    for begin in range(first, last, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, last))
        yield encode(
            PutItems(items=tuple((key_of(n), rng.randbytes(VALUE_BYTES)) for n in numbers))
        )
