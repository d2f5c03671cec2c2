"""Commands that put and delete namespaces, as a later version will have them; their registry."""

from __future__ import annotations

from typing import ClassVar

from quorate.levels import LEVEL
from quorate.state.engine.registry import Registry
from quorate.state.engine.table import Command, Tables
from quorate.state.registry import LOOSE_COMMANDS, TABLES
from quorate.state.tables.namespaces import TABLE, Namespace


class PutNamespaces(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 100

    names: tuple[str, ...]

    def apply(self, tables: Tables, index: int) -> None:
        for name in self.names:
            tables.put(TABLE, name, Namespace(name=name), index)


class DeleteNamespaces(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 101

    names: tuple[str, ...]

    def apply(self, tables: Tables, index: int) -> int:
        return sum(tables.delete(TABLE, name, index) for name in self.names)


REGISTRY = Registry(
    level=LEVEL, tables=TABLES, commands=(*LOOSE_COMMANDS, PutNamespaces, DeleteNamespaces)
)
