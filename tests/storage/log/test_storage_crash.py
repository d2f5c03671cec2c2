"""Writers that are killed: batches are there whole or not at all, acknowledged ones are."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import storage_writer
from storage_builders import all_entries

from quorate.raft.values.messages import HardState
from quorate.storage.log.store import LogStore

ROUNDS = 6


def write_until_killed(folder: Path, batches: int, delay_s: float) -> int:
    """Kill the writer `delay_s` after it acknowledged so many; the last that it acknowledged."""
    command = [sys.executable, storage_writer.__file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(batches + 1)]
        try:
            writer.wait(delay_s)
        except subprocess.TimeoutExpired:
            writer.kill()
        said += writer.stdout.readlines()
    assert writer.returncode == -9
    return int(said[-1])


def assert_whole(store: LogStore, acknowledged: int) -> int:
    """The store is exactly what it was after some batch, not before the acknowledged one."""
    number = store.hard_state().term
    assert number in (acknowledged, acknowledged + 1)
    assert store.hard_state() == HardState(number, f"10.0.0.{number}:4647", number)
    assert store.meta("batch") == b"%d" % number
    last = storage_writer.last_index(number)
    assert store.last_index() == last
    assert store.first_index() == max(last - storage_writer.KEPT, 0) + 1
    for entry in all_entries(store):
        text = b"%d in batch %d" % (entry.index, entry.term)
        assert entry.data == text * (entry.index % 50)
    assert store.term(last) == number
    assert store.term(last - storage_writer.ENTRIES) == number - 1
    return number


def test_killed_writer_leaves_whole_batches(tmp_path: Path) -> None:
    rng = random.Random(7)
    numbers = [0]
    for _ in range(ROUNDS):
        acknowledged = write_until_killed(tmp_path, rng.randrange(3, 40), rng.random() / 100)
        store = LogStore.open(tmp_path)
        numbers.append(assert_whole(store, acknowledged))
        store.close()
    assert numbers == sorted(set(numbers))  # each round went on where the last one ended
