"""A leader writes no command of a level that the cluster does not have, wrapped or not."""

from __future__ import annotations

from typing import ClassVar

import pytest

from quorate.levels import LEVEL
from quorate.server.leader.level import LevelGate
from quorate.state.engine.commands import encode, type_of
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.registry import Registry
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command, Tables
from quorate.state.registry import LOOSE_COMMANDS, TABLES
from quorate.state.tables.checks import CheckState
from quorate.state.tables.journal import JOURNAL_LEVEL, Note, Noted

LATER = LEVEL + 1


class Later(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 0x70
    LEVEL: ClassVar[int] = LATER

    def apply(self, tables: Tables, index: int) -> None:
        """Nothing."""


def noted(command: Command) -> Command:
    note = Note(kind="act", what="remove")
    return Noted(command=encode(command), note=note, time_ms=1)


def gate(level: int) -> LevelGate:
    store = StateStore(Registry(level=LATER, tables=TABLES, commands=(*LOOSE_COMMANDS, Later)))
    store.apply(1, encode(RaiseLevel(level=level)))
    return LevelGate(store)


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (CheckState(), 0),
        (noted(CheckState()), JOURNAL_LEVEL),
        (Later(), LATER),
        (noted(Later()), LATER),
    ],
    ids=["of no level", "wrapped", "of a later level", "of a later level, wrapped"],
)
def test_a_command_is_written_from_its_level_on(command: Command, needed: int) -> None:
    for level in range(LATER + 1):
        refused = gate(level).refusal(encode(command))
        assert (refused is not None) is (level < needed), level
        assert refused is None or f"level {needed}" in str(refused)


def test_the_type_is_that_of_the_command_in_a_wrapper() -> None:
    """By it a restore refuses what would change its tables."""
    registry = Registry(level=LATER, tables=TABLES, commands=(*LOOSE_COMMANDS, Later))
    for command in (CheckState(), Later()):
        assert type_of(encode(command), registry) == command.TYPE
        assert type_of(encode(noted(command)), registry) == command.TYPE
