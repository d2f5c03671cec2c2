"""A state with a life of audit records, and its audit log as a server answers it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from quorate.server.audit.view import audit_log
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.tables.journal import (
    ACT,
    AUDIT_LEVEL,
    ELECTION,
    SETTING,
    Audited,
    Note,
    Who,
    WriteJournal,
)

ANN = Who(accessor="11111111-aaaa", name="ann", address="10.0.0.1:4000")


def apply(store: StateStore, command: Command) -> Any:
    return store.apply(store.applied_index + 1, encode(command))


def audited(number: int, kind: str = SETTING, cas: int | None = None) -> Audited:
    command = SetAutopilotConfiguration(
        configuration=AutopilotConfiguration(max_trailing_logs=number), cas=cas
    )
    note = Note(kind=kind, what=f"changed {number}", subject="autopilot", details=(("n", "1"),))
    return Audited(command=encode(command), note=note, time_ms=number, who=ANN)


def at_level_4() -> StateStore:
    """With one record from before the level."""
    store = StateStore(TODAY)
    apply(store, WriteJournal(time_ms=1, by="s1", notes=(Note(kind=ELECTION, what="before"),)))
    apply(store, RaiseLevel(level=AUDIT_LEVEL))
    return store


def live_on(store: StateStore, numbers: range) -> StateStore:
    """Five records more for each number: a setting, an act, and two elections."""
    for number in numbers:
        apply(store, audited(number))
        apply(store, audited(number + 100, kind=ACT))
        notes = (Note(kind=ELECTION, what=f"{number}"), Note(kind=ELECTION, what="two"))
        apply(store, WriteJournal(time_ms=number, by="s1", notes=notes))
    return store


def a_life() -> StateStore:
    return live_on(at_level_4(), range(5))


def answer_of(store: StateStore, server_id: str = "s1") -> dict[str, Any]:
    """`GET operator/audit` of a server with that state."""
    value: dict[str, Any] = json.loads(msgspec.json.encode(audit_log(store.image(), server_id)))
    return value
