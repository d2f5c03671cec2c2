"""A raft.db of a gigabyte is read in constant memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from bolt_builder import BoltWriter, conf_of, entry_value
from lengths import cases, huge

from quorate.nomad.raft_db import RaftDb

MEMORY_BYTES_MAX = 4 << 20


@pytest.mark.timeout(900)
@pytest.mark.parametrize("entries", [*cases([2_000], [20_000]), huge(200_000)])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, entries: int) -> None:
    """Entries of 5 KB, and one in a thousand of 300 KB."""
    path = tmp_path / "raft.db"
    small, large = bytes(5_000), bytes(300_000)
    with path.open("wb") as out:
        values = (
            (n, entry_value(n, data=large if n % 1000 == 0 else small))
            for n in range(1, entries + 1)
        )
        BoltWriter(out).write(values, conf_of(1))
    size = path.stat().st_size
    assert size > entries * 5_000
    descriptor = os.open(path, os.O_RDONLY)
    tracemalloc.start()
    try:
        found = RaftDb(lambda at, wanted: os.pread(descriptor, wanted, at), size).summary()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        os.close(descriptor)
    assert (found.entries, found.first_index, found.last_index) == (entries, 1, entries)
    assert peak < MEMORY_BYTES_MAX
