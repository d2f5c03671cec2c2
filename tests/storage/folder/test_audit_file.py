"""The local file of audit records: durable in place, chained, bounded, and read after any end."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.storage.folder.audit_file import SLOT_BYTES, SLOTS, AuditFile, LocalRecord


def record(what: str, **given: Any) -> LocalRecord:
    return LocalRecord(number=0, series="", time_ms=1, what=what, **given)


def whats(file: AuditFile, **entered: int) -> list[str]:
    return [each.what for each in file.pending(entered)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "local"


def test_records_are_there_after_a_start_and_numbers_go_on(path: Path) -> None:
    first = AuditFile(path, "a")
    for what in ("one", "two"):
        first.append(record(what))
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (SLOTS * SLOT_BYTES, 0o600)
    again = AuditFile(path, "b")
    assert again.damaged == ()
    third = again.append(record("three"))
    assert (third.number, third.series) == (2, "b")
    assert whats(again) == ["one", "two", "three"]
    assert whats(again, a=0) == ["two", "three"]
    assert whats(again, a=1, b=2) == []


def test_the_file_never_grows_and_a_slot_is_used_again_once_it_was_entered(path: Path) -> None:
    file = AuditFile(path, "a")
    for number in range(SLOTS):
        file.append(record(str(number)))
    with pytest.raises(StorageFull, match="wait for a leader"):
        file.append(record("more"))
    assert len(file.pending({"a": 9})) == SLOTS - 10
    for number in range(10):
        file.append(record(f"later {number}"))
    with pytest.raises(StorageFull):
        file.append(record("more"))
    assert path.stat().st_size == SLOTS * SLOT_BYTES
    again = AuditFile(path, "b")
    assert again.damaged == ()
    assert [each.number for each in again.pending({"a": 9})] == [*range(10, SLOTS + 10)]


def test_any_change_of_a_record_is_found(path: Path) -> None:
    file = AuditFile(path, "a")
    for what in ("one", "two", "three"):
        file.append(record(what))
    good = path.read_bytes()
    at = good.index(b'"two"') + 1
    path.write_bytes(good[:at] + b"T" + good[at + 1 :])
    assert AuditFile(path, "b").damaged == ("slot 1 is damaged",)
    # A forger who makes the checksum right breaks the chain.
    path.write_bytes(good)
    other = AuditFile(path.with_name("other"), "a")
    for what in ("one", "2", "three"):
        other.append(record(what))
    forged = path.with_name("other").read_bytes()
    path.write_bytes(
        good[:SLOT_BYTES] + forged[SLOT_BYTES : 2 * SLOT_BYTES] + good[2 * SLOT_BYTES :]
    )
    assert AuditFile(path, "b").damaged == ("record 2 was changed, or the one before it",)


def test_a_torn_write_loses_nothing_that_was_noted(path: Path) -> None:
    file = AuditFile(path, "a")
    file.append(record("one"))
    data = bytearray(path.read_bytes())
    data[SLOT_BYTES : SLOT_BYTES + 512] = b"x" * 512
    path.write_bytes(bytes(data))
    again = AuditFile(path, "b")
    assert whats(again) == ["one"]
    assert whats(again) == ["one"]
    again.append(record("two"))
    assert AuditFile(path, "c").damaged == ()


def test_texts_of_callers_are_cut_so_that_each_record_has_room(path: Path) -> None:
    file = AuditFile(path, "a")
    wide = "\N{GRINNING FACE}" * 1000
    details = tuple((wide, wide) for _ in range(100))
    given = dict.fromkeys(
        ("by", "accessor", "name", "address", "subject", "cause", "outcome"), wide
    )
    file.append(record(wide, details=details, **given))
    file.append(record("line\nend\x00"))
    again = AuditFile(path, "b")
    assert again.damaged == ()
    assert [each.what for each in again.pending({})][1] == "line end "


class FullDisk:
    """A disk without room: nothing can be made, what is there can be written in place."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def posix_fallocate(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class NoDisk(FullDisk):
    def pwrite(self, *_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_on_a_full_disk_records_are_noted_in_the_room_that_was_taken(path: Path) -> None:
    with pytest.raises(StorageFull):
        AuditFile(path, "a", FullDisk())
    assert list(path.parent.iterdir()) == []
    AuditFile(path, "a")
    file = AuditFile(path, "b", FullDisk())
    file.append(record("one"))
    assert whats(AuditFile(path, "c")) == ["one"]
    with pytest.raises(QuorateError, match="Input/output"):
        AuditFile(path, "d", NoDisk()).append(record("two"))


def test_a_file_that_was_cut_is_refused_by_name(path: Path) -> None:
    AuditFile(path, "a")
    os.truncate(path, 100)
    with pytest.raises(LogDamaged, match="has 100 bytes"):
        AuditFile(path, "b")


class SlowDisk(FullDisk):
    """Its flushes end when the test says so."""

    def __init__(self) -> None:
        self.flushing, self.go_on = threading.Event(), threading.Event()

    def fdatasync(self, descriptor: int) -> None:
        self.flushing.set()
        assert self.go_on.wait(20)
        os.fdatasync(descriptor)


def test_a_disk_that_stalls_holds_up_no_reader(path: Path) -> None:
    AuditFile(path, "a").append(record("one"))
    disk = SlowDisk()
    file = AuditFile(path, "b", disk)
    writer = threading.Thread(target=lambda: file.append(record("two")))
    writer.start()
    assert disk.flushing.wait(20)
    assert whats(file) == ["one"]
    disk.go_on.set()
    writer.join()
    assert whats(file) == ["one", "two"]
