"""Backups: those at the target, by name, and how far the one that is made now has come.

A backup is begun by an entry of the log, so that there is one for each due time, under any leader.
The entry `PlaceBackup` names the file before it exists: no file of ours can be at the target that
the state does not know. All times are those of the leader that wrote.

Invariants: at most one backup is under way. A name is used once: it holds the index of the log at
which its state was taken. A restore keeps both tables: they tell of files, not of the state.
"""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec.structs import replace

from quorate.state.engine import level
from quorate.state.engine.table import (
    SINGLETON,
    Command,
    OnRestore,
    Reader,
    Record,
    Table,
    Tables,
)
from quorate.state.tables import journal

BACKUPS_LEVEL: Final = 3
"""The feature level from which on backups are kept in the state."""

BACKUPS_MAX: Final = 2048
"""Rows. Twice what may be retained, so that operators' own backups have room."""

WHY_MAX: Final = 400
"""Characters of the text of a failure."""

PLACING: Final = "placing"
"""The file may be at the target, whole or not at all."""

TAKEN: Final = "taken"
"""The file is at the target, and could not be verified yet."""

VERIFIED: Final = "verified"
"""The file was read back from the target, and its state is that of the servers."""

DAMAGED: Final = "damaged"
"""The file is not what was put there, or is gone."""


class Backup(Record, frozen=True, kw_only=True):
    """One backup. `slot` is the time at which it was due, in Unix seconds.

    `index` and `term` are those of the log entry at which the state was taken, `state_index` that
    of the state. `size` in bytes and `sha256` are of the file, `state_bytes` and `digest` of the
    state in it; `holders` servers held that digest at that index. Digests are hexadecimal.
    `key_ids` are the root keys with which values in it are sealed. `by` is the ID of the server
    that took it. `audit_head` is the head of the journal when it was first checked (level 4).
    """

    name: str
    slot: int
    by: str
    index: int
    term: int
    state_index: int
    time_ms: int
    size: int
    sha256: str
    state_bytes: int
    digest: str
    holders: int
    status: str = PLACING
    verified_ms: int = 0
    why: str = ""
    key_ids: tuple[str, ...] = ()
    manual: bool = False
    audit_head: str = ""


class Progress(Record, frozen=True, kw_only=True):
    """How far the work has come.

    `by` is the server that makes a backup for `slot`; empty: none is under way. `done` is the slot
    of the newest scheduled backup that is at the target. `failures` counts those since then that
    failed, the last at `failed_ms` for the reason `why`. `failed` counts all that ever failed.
    `verified_ms` and `verified_index` are the time of the state in the newest verified one and its
    index in the log, also if its file is gone.
    `restored_from` names the backup with which the cluster began; `checked`: that is settled.
    """

    slot: int = 0
    by: str = ""
    begun_ms: int = 0
    manual: bool = False
    done: int = 0
    failures: int = 0
    failed: int = 0
    failed_ms: int = 0
    why: str = ""
    verified_ms: int = 0
    verified_index: int = 0
    restored_from: str = ""
    checked: bool = False


class BeginBackup(Command, frozen=True, kw_only=True):
    """Begin the backup for `slot`, if `Progress` is as it was at the index `since`.

    A scheduled one only if no other has that slot. Result: the index of `Progress` now; 0 if it
    was not begun.
    """

    TYPE: ClassVar[int] = 56
    LEVEL: ClassVar[int] = BACKUPS_LEVEL

    slot: int
    by: str
    since: int
    time_ms: int
    manual: bool = False

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        known = progress(tables)
        rows = tables.rows(TABLE)
        taken = any(row.slot == self.slot and not row.manual for row in rows.values())
        if known.modify_index != self.since or len(rows) >= BACKUPS_MAX:
            return 0
        if taken and not self.manual:
            return 0
        begun = replace(
            known, slot=self.slot, by=self.by, begun_ms=self.time_ms, manual=self.manual
        )
        tables.put(STATE, SINGLETON, begun, index)
        return index


class PlaceBackup(Command, frozen=True, kw_only=True):
    """Name the file that is about to be put at the target. Result: whether it may be put there.

    `since` is the index that `BeginBackup` gave. The indexes in `backup` do not matter.
    """

    TYPE: ClassVar[int] = 57
    LEVEL: ClassVar[int] = BACKUPS_LEVEL

    backup: Backup
    since: int

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        known = progress(tables)
        name = self.backup.name
        if known.modify_index != self.since or not known.by or tables.get(TABLE, name) is not None:
            return False
        tables.put(TABLE, name, replace(self.backup, status=PLACING), index)
        return True


class EndBackup(Command, frozen=True, kw_only=True):
    """The work on a backup has come to an end, or was given up. Result: whether it was.

    `status` says how the file `name` is found at the target, and is empty if it is not there. With
    PLACING that is not known. Without `name` there was no file yet. `why` is empty if all went
    well. Only if `Progress` is as it was at the index `since`.
    """

    TYPE: ClassVar[int] = 58
    LEVEL: ClassVar[int] = BACKUPS_LEVEL

    since: int
    time_ms: int
    name: str = ""
    status: str = ""
    why: str = ""

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        known = progress(tables)
        if known.modify_index != self.since:
            return False
        why = self.why[:WHY_MAX]
        ended = replace(known, by="", why=why)
        if why:
            counts = {"failures": known.failures + 1, "failed": known.failed + 1}
            ended = replace(ended, failed_ms=self.time_ms, **counts)
        row = tables.get(TABLE, self.name) if self.name else None
        if row is not None and not self.status:
            tables.delete(TABLE, self.name, index)
        elif row is not None:
            ended = _counted(ended, row, self.status)
            checked = replace(row, status=self.status, verified_ms=self.time_ms, why=why)
            if level.current(tables) >= journal.AUDIT_LEVEL:
                checked = replace(checked, audit_head=journal.head(tables).hex())
            tables.put(TABLE, self.name, checked, index)
        tables.put(STATE, SINGLETON, ended, index)
        return True


class NoteBackup(Command, frozen=True, kw_only=True):
    """A backup that was listed at the index `since` was looked at again. Result: whether it was."""

    TYPE: ClassVar[int] = 59
    LEVEL: ClassVar[int] = BACKUPS_LEVEL

    name: str
    since: int
    status: str
    time_ms: int
    why: str = ""

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        row = tables.get(TABLE, self.name)
        if row is None or row.modify_index != self.since or row.status == PLACING:
            return False
        checked = replace(row, status=self.status, verified_ms=self.time_ms, why=self.why[:WHY_MAX])
        tables.put(TABLE, self.name, checked, index)
        known = progress(tables)
        after = _counted(known, checked, self.status)
        if self.why:
            after = replace(
                after, failed=known.failed + 1, failed_ms=self.time_ms, why=self.why[:WHY_MAX]
            )
        if after != known:
            tables.put(STATE, SINGLETON, after, index)
        return True


class DropBackup(Command, frozen=True, kw_only=True):
    """The file is gone from the target, as retention asks. Result: whether it was listed."""

    TYPE: ClassVar[int] = 60
    LEVEL: ClassVar[int] = BACKUPS_LEVEL

    name: str

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        return tables.delete(TABLE, self.name, index)


class NoteOrigin(Command, frozen=True, kw_only=True):
    """The cluster begins with the backup `name`; or, if `settled`, it has begun, maybe without one.

    Once it is settled it stays so. Result: none.
    """

    TYPE: ClassVar[int] = 61
    LEVEL: ClassVar[int] = BACKUPS_LEVEL

    name: str = ""
    settled: bool = False

    def apply(self, tables: Tables, index: int) -> None:
        """See the class."""
        known = progress(tables)
        if not known.checked:
            name = self.name or known.restored_from
            after = replace(known, restored_from=name, checked=self.settled)
            tables.put(STATE, SINGLETON, after, index)


def _counted(known: Progress, row: Backup, status: str) -> Progress:
    """What the work has come to with this row at the target, in that status."""
    if status not in {TAKEN, VERIFIED}:
        return known
    after = known if row.manual else replace(known, done=row.slot)
    if status == VERIFIED:
        after = replace(after, failures=0)
        if row.index >= known.verified_index:  # of two times the later may be of a wrong clock
            after = replace(after, verified_ms=row.time_ms, verified_index=row.index)
    return after


TABLE: Final = Table(
    name="backups",
    record=Backup,
    on_restore=OnRestore.KEPT,
    commands=(BeginBackup, PlaceBackup, EndBackup, NoteBackup, DropBackup, NoteOrigin),
    level=BACKUPS_LEVEL,
)

STATE: Final = Table(
    name="backup_progress",
    record=Progress,
    on_restore=OnRestore.KEPT,
    level=BACKUPS_LEVEL,
)


def progress(reader: Reader) -> Progress:
    """How far the work has come; an empty record where nothing was begun."""
    return reader.get(STATE, SINGLETON) or Progress()


def needing_key(reader: Reader, key_id: str) -> list[str]:
    """The names of the backups in which a value is sealed with this root key."""
    return [name for name, row in reader.rows(TABLE).items() if key_id in row.key_ids]
