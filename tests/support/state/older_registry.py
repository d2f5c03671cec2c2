"""The registry of a version before this one, as far as its feature level is concerned."""

from __future__ import annotations

import msgspec

from quorate.state.engine.registry import Registry
from quorate.state.registry import LOOSE_COMMANDS, TABLES


def registry_of_level(level: int) -> Registry:
    """It knows no command above that level, and holds at one."""
    return Registry(
        level=level,
        tables=tuple(
            msgspec.structs.replace(
                table, commands=tuple(each for each in table.commands if level >= each.LEVEL)
            )
            for table in TABLES
        ),
        commands=tuple(each for each in LOOSE_COMMANDS if level >= each.LEVEL),
    )
