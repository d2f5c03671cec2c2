"""The local file of audit records: what was done while nothing could be entered in the log.

    <data_dir>/audit/local      SLOTS slots of SLOT_BYTES: sealed lines of JSON, filled with blanks

The room is taken when the file is made, and a record replaces a slot in place with one flush, so an
act is noted although the disk is full. Records are numbered; number n stands in slot n modulo
SLOTS. A slot is used again when its record was entered in the log. Records are a chain
(`quorate.audit.chain`, lane `local`). Each start of a server, and each command on its folder, is a
series of its own: a folder that was put back from a copy gives no number a second time.

Invariant: what `append` has returned for is on disk. A crash tears the slot that was written, whose
record was entered before, or whose act has not begun.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from quorate.audit.chain import Link, link_hash, linked
from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.given_files import beginning
from quorate.storage.atomic import fsync_dir, make_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import seal, unseal
from quorate.storage.system import System

SLOTS: Final = 128
SLOT_BYTES: Final = 4096
LANE: Final = "local"

_TEXT_MAX: Final = 120
_DETAILS_MAX: Final = 12
_BLANK: Final = b" "
_MODE: Final = 0o600


def file_of(data_dir: Path) -> Path:
    """The file in this data folder of an agent."""
    return data_dir / "audit" / "local"


class LocalRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record. `time_ms` is Unix time in milliseconds; `hash` is hexadecimal.

    The other fields are those of `quorate.audit.chain.Link`.
    """

    number: int
    series: str
    time_ms: int
    what: str
    by: str = ""
    accessor: str = ""
    name: str = ""
    address: str = ""
    subject: str = ""
    cause: str = ""
    force: bool = False
    outcome: str = ""
    details: tuple[tuple[str, str], ...] = ()
    hash: str = ""

    def link(self) -> Link:
        """What is hashed of it."""
        return linked(
            self,
            lane=LANE,
            number=self.number,
            index=0,
            time_ms=self.time_ms,
            kind="act",
            source=self.series,
        )


def bounded(record: LocalRecord) -> LocalRecord:
    """The record with its texts cut, so that it has room in a slot."""
    texts = {
        name: _cut(getattr(record, name))
        for name in ("series", "what", "by", "accessor", "name", "address", "subject", "cause")
    }
    texts["outcome"] = _cut(record.outcome)
    details = tuple((_cut(name), _cut(text)) for name, text in record.details[:_DETAILS_MAX])
    record = msgspec.structs.replace(record, **texts, details=details, hash="0" * 64)
    while record.details and len(seal(record)) > SLOT_BYTES:
        record = msgspec.structs.replace(record, details=record.details[:-1])
    return record


def _cut(text: str) -> str:
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."


class AuditFile:
    """The file at `path`, made if it is not there. Raises StorageFull, QuorateError, LogDamaged.

    `series` names the records of this process. Any thread may append.
    """

    def __init__(self, path: Path, series: str, system: System = os) -> None:
        self.path: Final = path
        self.series: Final = series
        self.damaged: tuple[str, ...] = ()
        """What was found to be wrong with the records, in words."""
        self._system = system
        self._writing = threading.Lock()
        self._lock = threading.Lock()  # held for moments: a reader does not wait for the disk
        self._records: dict[int, LocalRecord] = {}
        self._entered: dict[str, int] = {}
        self._read()

    def _read(self) -> None:
        size = SLOTS * SLOT_BYTES
        with clear_errors(f"read {self.path}"):
            try:
                content = beginning(self.path, size)
            except FileNotFoundError:
                self._make()
                content = _BLANK * size
        if len(content) < size:
            text = f"{self.path} has {len(content)} bytes of {size}"
            raise LogDamaged(text, path=str(self.path), next_step="move it away: a new one is made")
        problems = []
        for slot in range(SLOTS):
            line = content[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES].strip(_BLANK + b"\0")
            if not line:
                continue
            try:
                record = unseal(line, str(self.path), LocalRecord)
            except LogDamaged:
                problems.append(f"slot {slot} is damaged")
                continue
            self._records[record.number] = record
        self.damaged = (*problems, *_broken(self._records))

    def _make(self) -> None:
        make_dir(self.path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        unfinished = self.path.with_name(self.path.name + ".tmp")
        unfinished.unlink(missing_ok=True)
        descriptor = self._system.open(unfinished, flags, _MODE)
        try:
            # Written, not only reserved: some file systems copy on each write to what is reserved.
            self._system.posix_fallocate(descriptor, 0, SLOTS * SLOT_BYTES)
            blank = _BLANK * SLOT_BYTES
            for slot in range(SLOTS):
                self._system.pwrite(descriptor, blank, slot * SLOT_BYTES)
            self._system.fdatasync(descriptor)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            self._system.close(descriptor)
        unfinished.replace(self.path)
        fsync_dir(self.path.parent)

    @property
    def newest(self) -> LocalRecord | None:
        """The last record, entered or not."""
        with self._lock:
            return self._records[max(self._records)] if self._records else None

    def append(self, record: LocalRecord) -> LocalRecord:
        """Make the record durable; the result has its number, series and hash.

        Raises StorageFull if all slots hold records that were not entered, QuorateError.
        """
        with self._writing:
            with self._lock:
                last = self._records[max(self._records)] if self._records else None
                number = 0 if last is None else last.number + 1
                old = self._records.get(number - SLOTS)
                if old is not None and not self._is_entered(old):
                    raise StorageFull(
                        f"{self.path} is full: {SLOTS} records wait for a leader that enters them",
                        "bring the cluster a leader",
                    )
            record = bounded(msgspec.structs.replace(record, number=number, series=self.series))
            before = b"" if last is None else _hash_of(last)
            record = msgspec.structs.replace(record, hash=link_hash(before, record.link()).hex())
            self._write(number % SLOTS, record)
            with self._lock:
                self._records[number] = record
                self._records.pop(number - SLOTS, None)
            return record

    def _write(self, slot: int, record: LocalRecord) -> None:
        line = seal(record)
        assert len(line) <= SLOT_BYTES, "its texts are cut"
        data = line.ljust(SLOT_BYTES, _BLANK)
        with clear_errors(f"write {self.path}"):
            descriptor = self._system.open(self.path, os.O_RDWR)
            try:
                written = self._system.pwrite(descriptor, data, slot * SLOT_BYTES)
                if written != len(data):
                    raise QuorateError(f"cannot write {self.path}: it took {written} bytes only")
                self._system.fdatasync(descriptor)
            finally:
                self._system.close(descriptor)

    def _is_entered(self, record: LocalRecord) -> bool:
        return record.number <= self._entered.get(record.series, -1)

    def pending(self, entered: Mapping[str, int]) -> list[LocalRecord]:
        """The records that were not entered, oldest first; `entered` is what the state says."""
        with self._lock:
            for series, number in entered.items():
                self._entered[series] = max(number, self._entered.get(series, -1))
            kept = {each.series for each in self._records.values()}
            self._entered = {s: n for s, n in self._entered.items() if s in kept or s in entered}
            records = sorted(self._records.items())
            return [record for _, record in records if not self._is_entered(record)]


def _broken(records: Mapping[int, LocalRecord]) -> tuple[str, ...]:
    """The first record that does not follow the one before it, in words; none: nothing."""
    before: LocalRecord | None = None
    for number in sorted(records):
        record = records[number]
        if before is not None and before.number == number - 1:
            expected = link_hash(_hash_of(before), record.link()).hex()
            if expected != record.hash:
                return (f"record {number} was changed, or the one before it",)
        before = record
    return ()


def _hash_of(record: LocalRecord) -> bytes:
    """Its hash; empty for what is none, which nothing follows."""
    try:
        return bytes.fromhex(record.hash)
    except ValueError:
        return b""
