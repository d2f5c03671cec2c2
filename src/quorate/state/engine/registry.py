"""The registry of one version: its tables, commands and forms. Today's is in `state.registry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from quorate.levels import FIRST_VERSIONS, LEVEL
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.table import (
    IGNORABLE,
    Command,
    OnRestore,
    Special,
    Table,
    Tables,
    Wrapper,
)

SNAPSHOT_FORMATS: Final[Mapping[int, int]] = MappingProxyType({0: 1})
"""By level: the version of the snapshot format from that level on (`state.engine.snapshot`)."""

DIGEST_FORMS: Final[Mapping[int, int]] = MappingProxyType({0: 1, 2: 2})
"""By level: the form of the state's digest from that level on (`state.engine.digest`)."""


class Registry:
    """The things one version knows: its level, tables, commands, and forms by level.

    There is one, `quorate.state.registry.TODAY`. Tests make one of a version to come. Raises
    ValueError for what breaks the rules of `quorate.state.engine.table`.
    """

    def __init__(
        self,
        *,
        level: int = LEVEL,
        tables: tuple[Table[Any], ...],
        commands: tuple[type[Command], ...] = (),
        snapshot_formats: Mapping[int, int] = SNAPSHOT_FORMATS,
        digest_forms: Mapping[int, int] = DIGEST_FORMS,
        versions: Mapping[int, str] = FIRST_VERSIONS,
    ) -> None:
        """`commands` are those that belong to no table; `versions` has the first of each level."""
        of_tables = tuple(command for table in tables for command in table.commands)
        self.level = level
        self.versions = versions
        self.tables = tables
        self.commands = (*commands, *of_tables)
        self.by_name: dict[str, Table[Any]] = {table.name: table for table in tables}
        self.levels: dict[int, int] = {command.TYPE: command.LEVEL for command in self.commands}
        self.wrappers = frozenset(each.TYPE for each in self.commands if issubclass(each, Wrapper))
        self.settings = frozenset(each.TYPE for each in self.commands if each.SETTING)
        self.snapshot_formats = snapshot_formats
        self.digest_forms = digest_forms
        self.decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {
            command.TYPE: msgspec.msgpack.Decoder(command) for command in self.commands
        }
        # Of commands that are complete when their bytes are decoded, and that any level reads.
        self.plain: dict[int, Callable[[memoryview], Command]] = {
            command.TYPE: self.decoders[command.TYPE].decode
            for command in self.commands
            if not issubclass(command, Special) and command is not RaiseLevel
        }
        self._check(of_tables)

    def _check(self, of_tables: tuple[type[Command], ...]) -> None:
        if len(self.levels) != len(self.commands):
            raise ValueError("two commands share a type byte")
        for command in self.commands:
            if not 0 <= command.TYPE <= 0xFF:
                raise ValueError(f"the type of {command.__name__} is no byte")
            if self.level < command.LEVEL:
                raise ValueError(f"{command.__name__} is of a level that this version lacks")
            if command in of_tables and command.TYPE & IGNORABLE:
                raise ValueError(f"{command.__name__} changes a table: it cannot be passed over")
        for table in self.tables:
            merges = [each for each in (table.merge, table.merge_all) if each is not None]
            if len(merges) != (table.on_restore is OnRestore.MERGED):
                raise ValueError(f"table {table.name!r} is merged without merge, or the reverse")
            if any(table.level > command.LEVEL for command in table.commands):
                raise ValueError(f"table {table.name!r} would be written below its level")

    def fresh_tables(self) -> Tables:
        """The tables of a server that has applied nothing."""
        return Tables({table.name: table.fresh() for table in self.tables})
