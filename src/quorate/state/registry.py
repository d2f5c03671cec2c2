"""All tables and all commands there are. A new table is a module and a line here."""

from __future__ import annotations

from typing import Any, Final

from quorate.state import autopilot, checks, cluster, defaults, namespaces, scheduler, servers
from quorate.state.table import Command, Record, Table, Tables

TABLES: Final[tuple[Table[Any], ...]] = (
    autopilot.TABLE,
    cluster.TABLE,
    namespaces.TABLE,
    scheduler.TABLE,
    servers.TABLE,
)

COMMANDS: Final[tuple[type[Command], ...]] = (
    defaults.InitialiseDefaults,
    checks.CheckState,
    *(command for table in TABLES for command in table.commands),
)

COMMAND_TYPES: Final = frozenset(command.TYPE for command in COMMANDS)

BY_NAME: Final[dict[str, Table[Any]]] = {table.name: table for table in TABLES}


def fresh_rows() -> dict[str, dict[str, Record]]:
    """The rows of a server that has applied nothing."""
    return {table.name: dict(table.initial) for table in TABLES}


def fresh_indexes() -> dict[str, int]:
    """The table indexes of a server that has applied nothing."""
    return {table.name: table.initial_index for table in TABLES}


def fresh_tables() -> Tables:
    """The tables of a server that has applied nothing."""
    return Tables(fresh_rows(), fresh_indexes())
