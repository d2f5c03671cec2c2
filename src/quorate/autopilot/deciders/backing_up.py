"""The leader's work on backups: when one is due, in which order it is made, which ones go.

As the rounds of `quorate.autopilot.rounds` these are generators of acts, so that production, where
an act takes minutes, and a simulation, where a leader ends between any two, run the same.

Invariants: no due time gets two files, whichever server leads when. The newest verified backup is
never deleted. A file is deleted only if the state lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

from quorate.state.engine.table import Command
from quorate.state.tables.backups import (
    BACKUPS_MAX,
    DAMAGED,
    PLACING,
    TAKEN,
    VERIFIED,
    Backup,
    BeginBackup,
    DropBackup,
    EndBackup,
    NoteBackup,
    PlaceBackup,
    Progress,
)

RETRY_MIN_S: Final = 1.0
RETRY_MAX_S: Final = 300.0
"""The pause after failures doubles between these; it is no longer than the schedule's own."""

CLOCK_S: Final = 60.0
"""A clock that is behind the last backup by no more, or by two due times, is waited for."""

LATE: Final = 3
"""After so many due times without a verified backup it is told to be too old."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the leader `me` knows. `now` is Unix time, `elapsed` a clock that is never set; seconds.

    `due` is the newest due time of the schedule and `every_s` the time to the next; 0: there is no
    schedule. `retain` is how many backups stay.
    """

    me: str
    now: float
    elapsed: float
    due: int
    every_s: float
    retain: int
    progress: Progress
    backups: Mapping[str, Backup]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a leader remembers: how many failures it has seen, and when it saw the last.

    `failures` are those that it could not write into the state.
    """

    failed: int = -1
    failed_at: float = 0.0
    failures: int = 0
    why: str = ""


class Write(msgspec.Struct, frozen=True):
    """Replicate a command."""

    command: Command


class Take(msgspec.Struct, frozen=True):
    """Take the state of now, with the digest on which servers agree, as the backup for `slot`."""

    slot: int
    manual: bool


class Put(msgspec.Struct, frozen=True):
    """Put what was taken to the target, whole or not at all, and only while this server leads."""

    name: str


class Check(msgspec.Struct, frozen=True):
    """Read the file back from the target, restore it into a scratch state, compare its digest."""

    backup: Backup


class Delete(msgspec.Struct, frozen=True):
    """Delete a file at the target. One that is not there is no error."""

    name: str


Act: TypeAlias = Write | Take | Put | Check | Delete


class Found(StrEnum):
    """What a check found."""

    WHOLE = "whole"
    WRONG = "wrong"  # it is there, and is not what was put
    ABSENT = "absent"
    UNKNOWN = "unknown"  # the target does not answer, or the check did not come to its end


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an act ended: `why` is empty if it was done. The rest is what it has brought."""

    why: str = ""
    result: Any = None
    backup: Backup | None = None
    found: Found = Found.UNKNOWN


Look: TypeAlias = Callable[[], Facts | None]
"""The facts of this moment; None: this server leads no more."""

Steps: TypeAlias = Generator[Act, Outcome, Memory]


# -- decisions -------------------------------------------------------------------------------------


def is_due(facts: Facts) -> bool:
    """Whether a backup for `facts.due` is to be made."""
    slot, done = facts.due, facts.progress.done
    if not slot or len(facts.backups) >= BACKUPS_MAX:
        return False
    if any(row.slot == slot and not row.manual for row in facts.backups.values()):
        return False
    # Else the clock was ahead when the last one was made, and it is now that counts.
    return slot > done or done - slot > max(2 * facts.every_s, CLOCK_S)


def surplus(backups: Mapping[str, Backup], retain: int) -> list[str]:
    """The names of the backups that retention does not keep, the oldest first."""
    newest = sorted(backups.items(), key=lambda item: -item[1].create_index)
    proven = next((name for name, row in newest if row.status == VERIFIED), "")
    kept = [name for name, row in newest if row.status in {TAKEN, VERIFIED}][:retain]
    proven_index = backups[proven].create_index if proven else 0
    return [
        name
        for name, row in reversed(newest)
        if row.status != PLACING
        and name not in {*kept, proven}
        # One that is damaged is shown until a newer one is verified.
        and (row.status != DAMAGED or row.create_index < proven_index)
    ]


def waits(facts: Facts, memory: Memory) -> bool:
    """Whether the pause after the last failure is not over."""
    times = max(facts.progress.failures, memory.failures)
    if not times:
        return False
    longest = min(RETRY_MAX_S, max(facts.every_s, RETRY_MIN_S)) if facts.every_s else RETRY_MAX_S
    pause = min(RETRY_MIN_S * 2.0 ** min(times - 1, 20), longest)
    return facts.elapsed < memory.failed_at + pause


def problem(facts: Facts, memory: Memory) -> str:
    """What is wrong with the backups of this cluster, for people; empty if nothing is."""
    known = facts.progress
    newest = max(facts.backups.values(), key=lambda row: row.create_index, default=None)
    why = known.why or memory.why
    told = f" (last failure: {why})" if why else ""
    if not facts.every_s:
        return f"the last backup failed: {why}" if known.failures else ""
    if not known.verified_ms:
        if known.failures:
            return f"there is no verified backup as yet{told}"
        return ""
    age = facts.now - known.verified_ms / 1000
    if age > LATE * facts.every_s:
        return (
            f"the newest verified backup is {age:.0f} s old, and one is due every "
            f"{facts.every_s:.0f} s{told}"
        )
    if newest is not None and newest.status in {TAKEN, DAMAGED}:
        return f"the newest backup {newest.name} is not verified: {newest.why}"
    return ""


# -- the order of the work -------------------------------------------------------------------------


def work(look: Look, memory: Memory) -> Steps:
    """Do what there is to do now; what is remembered."""
    facts = look()
    if facts is None:
        return Memory()
    if facts.progress.failed != memory.failed:
        memory = msgspec.structs.replace(
            memory, failed=facts.progress.failed, failed_at=facts.elapsed
        )
    if waits(facts, memory):
        return memory
    before = memory
    memory = msgspec.structs.replace(memory, failures=0, why="")
    placing = [row for row in facts.backups.values() if row.status == PLACING]
    if placing:
        # Left by a server that ended, or by a target that did not answer.
        why = yield from _settled(facts, placing[0])
    elif is_due(facts):
        why = yield from made(look, facts.due, manual=False)
        why = why or (yield from tidied(look))
    elif facts.progress.by:
        why = "the server that made a backup has stopped"
        yield from _ended(facts, facts.progress.modify_index, why=why)
        why = ""
    elif surplus(facts.backups, facts.retain):
        why = yield from tidied(look)
    elif (row := _unproven(facts)) is not None:
        why = yield from checked(facts, row)
    else:
        return before
    if why:
        times = before.failures + 1
        memory = msgspec.structs.replace(memory, failures=times, why=why, failed_at=facts.elapsed)
    return memory


def _unproven(facts: Facts) -> Backup | None:
    """The newest backup, if it could not be verified."""
    newest = max(facts.backups.values(), key=lambda row: row.create_index, default=None)
    return newest if newest is not None and newest.status == TAKEN else None


def made(look: Look, slot: int, *, manual: bool) -> Generator[Act, Outcome, str]:
    """Make a backup. Why not, if that is not told in the state."""
    facts = look()
    if facts is None:
        return "this server does not lead"
    begin = BeginBackup(
        slot=slot,
        by=facts.me,
        since=facts.progress.modify_index,
        time_ms=_ms(facts),
        manual=manual,
    )
    since = (yield Write(begin)).result
    if not since:
        return "another backup has come first"
    taken = yield Take(slot, manual)
    if taken.backup is None:
        yield from _ended(facts, since, why=taken.why)
        return ""
    row = taken.backup
    if not (yield Write(PlaceBackup(backup=row, since=since))).result:
        return "another server makes the backup"
    put = yield Put(row.name)
    # What is at the target counts, not what was said of it.
    found = yield Check(row)
    yield from _concluded(facts, since, row, put.why, found)
    return ""


def _settled(facts: Facts, row: Backup) -> Generator[Act, Outcome, str]:
    """Find out whether a file that was about to be put is at the target."""
    found = yield Check(row)
    if found.found is Found.UNKNOWN:
        return found.why
    stopped = row.why or "the server that made a backup has stopped"
    why = "" if found.found is Found.WHOLE else stopped
    yield from _concluded(facts, facts.progress.modify_index, row, why, found)
    return ""


def _concluded(
    facts: Facts, since: int, row: Backup, put: str, found: Outcome
) -> Generator[Act, Outcome, None]:
    match found.found:
        case Found.WHOLE:
            yield from _ended(facts, since, name=row.name, status=VERIFIED)
        case Found.ABSENT:
            yield from _ended(facts, since, name=row.name, why=put or found.why)
        case Found.WRONG:
            gone = yield Delete(row.name)
            status = DAMAGED if gone.why else ""
            yield from _ended(facts, since, name=row.name, status=status, why=found.why)
        case _:
            # Whether it is there is asked again. Without a failure it is there.
            status = PLACING if put else TAKEN
            yield from _ended(facts, since, name=row.name, status=status, why=put or found.why)


def _ended(
    facts: Facts, since: int, *, why: str = "", name: str = "", status: str = ""
) -> Generator[Act, Outcome, None]:
    end = EndBackup(since=since, time_ms=_ms(facts), name=name, status=status, why=why)
    yield Write(end)


def checked(facts: Facts, row: Backup) -> Generator[Act, Outcome, str]:
    """Verify a backup that is listed, and tell how it was found; why it is not known, or empty."""
    found = yield Check(row)
    if found.found is Found.UNKNOWN:
        return found.why or "it could not be verified"
    status = VERIFIED if found.found is Found.WHOLE else DAMAGED
    note = NoteBackup(
        name=row.name,
        since=row.modify_index,
        status=status,
        time_ms=_ms(facts),
        why="" if status == VERIFIED else found.why or "it is not at the target",
    )
    yield Write(note)
    return ""


def tidied(look: Look) -> Generator[Act, Outcome, str]:
    """Delete what retention does not keep; why not, or empty."""
    facts = look()
    names = surplus(facts.backups, facts.retain) if facts is not None else []
    for name in names:
        if why := (yield from dropped(name)):
            return why
    return ""


def dropped(name: str) -> Generator[Act, Outcome, str]:
    """Delete a backup: the file first, then its row. Why not, or empty."""
    gone = yield Delete(name)
    if gone.why:
        return gone.why
    yield Write(DropBackup(name=name))
    return ""


def _ms(facts: Facts) -> int:
    return int(facts.now * 1000)
