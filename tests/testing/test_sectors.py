"""The disk of sectors: what is flushed stays, what is not may go, each sector by itself."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from quorate.testing.sim.machines.sectors import SECTOR, CutError, Loss, SectorDisk

FOLDER = Path("log")
OLD, NEW = b"o" * SECTOR, b"n" * SECTOR
SEEDS = range(200)


def flush_names(disk: SectorDisk) -> None:
    disk.fsync(disk.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY))


def made(disk: SectorDisk, name: str, sectors: int, *, named: bool = True) -> int:
    """A file of old sectors, flushed; the descriptor."""
    fd = disk.open(FOLDER / name, os.O_RDWR | os.O_CREAT, 0o600)
    disk.posix_fallocate(fd, 0, sectors * SECTOR)
    disk.pwrite(fd, OLD * sectors, 0)
    disk.fdatasync(fd)
    if named:
        flush_names(disk)
    return fd


def content(disk: SectorDisk, name: str = "a") -> bytes:
    fd = disk.open(FOLDER / name, os.O_RDWR)
    return disk.pread(fd, disk.lseek(fd, 0, os.SEEK_END), 0)


def test_what_was_flushed_stays() -> None:
    for seed in SEEDS:
        disk = SectorDisk()
        fd = made(disk, "a", 4)
        disk.pwrite(fd, NEW, SECTOR)
        disk.fdatasync(fd)
        assert disk.lose_power(Random(seed)) == Loss()
        assert content(disk) == OLD + NEW + OLD + OLD


def test_each_sector_that_was_not_flushed_is_the_old_or_the_new_one() -> None:
    seen = set()
    for seed in SEEDS:
        disk = SectorDisk()
        fd = made(disk, "a", 4)
        disk.pwrite(fd, NEW * 3, 0)
        loss = disk.lose_power(Random(seed))
        left = content(disk)
        sectors = tuple(left[at : at + SECTOR] for at in range(0, 4 * SECTOR, SECTOR))
        assert set(sectors) <= {OLD, NEW}
        assert (loss.changed, loss.kept) == (3, sectors.count(NEW))
        seen.add(sectors)
        assert disk.lose_power(Random(seed)) == Loss()  # what was there then is there for good
        assert content(disk) == left
    assert len(seen) == 8


def test_a_growth_is_there_or_not() -> None:
    seen = set()
    for seed in SEEDS:
        disk = SectorDisk()
        fd = made(disk, "a", 1)
        for _ in range(2):
            size = disk.lseek(fd, 0, os.SEEK_END)
            disk.posix_fallocate(fd, size, SECTOR)
            disk.pwrite(fd, NEW, size)
        loss = disk.lose_power(Random(seed))
        left = content(disk)
        assert loss.shrunk == (len(left) < 3 * SECTOR)
        assert left[:SECTOR] == OLD
        seen.add(left[SECTOR:])
    zeros = bytes(SECTOR)
    assert seen == {b"", zeros, NEW, zeros + NEW, NEW + zeros, zeros + zeros, NEW + NEW}


def test_names_that_were_not_flushed_are_there_or_not() -> None:
    seen = set()
    for seed in SEEDS:
        disk = SectorDisk()
        made(disk, "old", 1)
        made(disk, "new", 1, named=False)
        disk.unlink(FOLDER / "old")
        loss = disk.lose_power(Random(seed))
        names = tuple(sorted(disk.listdir(FOLDER)))
        assert (loss.unnamed, loss.back) == ("new" not in names, "old" in names)
        assert all(content(disk, name) == OLD for name in names)
        seen.add(names)
    assert seen == {(), ("new",), ("old",), ("new", "old")}


def test_a_machine_keeps_what_a_process_has_written_and_may_lose_it_later() -> None:
    left = set()
    for seed in SEEDS:
        disk = SectorDisk()
        fd = made(disk, "a", 1)
        disk.pwrite(fd, NEW, 0)
        disk.restart()
        assert content(disk) == NEW
        disk.lose_power(Random(seed))
        left.add(content(disk))
    assert left == {OLD, NEW}


def test_a_process_that_is_cut_off_does_nothing_more() -> None:
    disk = SectorDisk()
    fd = made(disk, "a", 1)
    disk.cut_after(1)
    disk.fdatasync(fd)
    disk.pwrite(fd, NEW, 0)
    with pytest.raises(CutError):
        disk.fdatasync(fd)
    for call in (
        lambda: disk.pwrite(fd, OLD, 0),
        lambda: disk.unlink(FOLDER / "a"),
        lambda: disk.open(FOLDER / "b", os.O_CREAT),
    ):
        with pytest.raises(CutError):
            call()
    disk.restart()
    assert disk.listdir(FOLDER) == ["a"]
    assert content(disk) == NEW


def test_what_a_flush_that_failed_had_to_write_is_seen_and_not_durable() -> None:
    left = set()
    for seed in SEEDS:
        disk = SectorDisk()
        fd = made(disk, "a", 3)
        disk.pwrite(fd, NEW * 2, 0)
        disk.fail_after(0)
        with pytest.raises(OSError, match="Input/output error"):
            disk.fdatasync(fd)
        disk.fdatasync(fd)  # says yes, and writes nothing
        disk.restart()
        assert content(disk) == NEW * 2 + OLD
        fd = disk.open(FOLDER / "a", os.O_RDWR)
        disk.pwrite(fd, NEW, 0)  # the first sector is written again
        disk.fdatasync(fd)
        disk.lose_power(Random(seed))
        left.add(content(disk))
    assert left == {NEW + OLD + OLD, NEW + NEW + OLD}


def test_names_of_a_flush_that_failed_are_flushed_by_the_next_one() -> None:
    for seed in SEEDS:
        disk = SectorDisk()
        made(disk, "a", 1, named=False)
        disk.fail_after(0)
        with pytest.raises(OSError, match="Input/output error"):
            flush_names(disk)
        flush_names(disk)
        disk.lose_power(Random(seed))
        assert disk.listdir(FOLDER) == ["a"]
