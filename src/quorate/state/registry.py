"""All tables and all commands there are. A new table is a module and a line here."""

from __future__ import annotations

from typing import Any, Final

from quorate.state.engine import level
from quorate.state.engine.registry import Registry
from quorate.state.engine.restore import commands as restoring
from quorate.state.engine.restore import shift
from quorate.state.engine.table import Command, Table
from quorate.state.tables import (
    autopilot,
    backups,
    checks,
    cluster,
    defaults,
    journal,
    limits,
    locks,
    namespaces,
    root_keys,
    scheduler,
    servers,
    variables,
)
from quorate.state.tables.acl import deleted, policies, roles, standing, tokens

TABLES: Final[tuple[Table[Any], ...]] = (
    *(standing.TABLE, policies.TABLE, roles.TABLE, tokens.TABLE, deleted.TABLE),
    autopilot.TABLE,
    backups.STATE,
    backups.TABLE,
    cluster.TABLE,
    journal.TABLE,
    journal.STATE,
    level.TABLE,
    limits.TABLE,
    locks.TABLE,
    namespaces.TABLE,
    restoring.TABLE,
    shift.TABLE,
    root_keys.TABLE,
    scheduler.TABLE,
    servers.TABLE,
    variables.TABLE,
)

LOOSE_COMMANDS: Final[tuple[type[Command], ...]] = (defaults.InitialiseDefaults, checks.CheckState)
"""Those that belong to no table of their own."""

TODAY: Final = Registry(tables=TABLES, commands=LOOSE_COMMANDS)
"""What this version knows."""
