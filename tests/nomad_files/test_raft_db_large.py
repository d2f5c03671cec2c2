"""A raft.db of a gigabyte is read in constant memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Final

import msgpack
import pytest
from bolt_builder import BoltWriter, conf_of, entry_value
from lengths import cases, huge
from nomad_servers import server_folder

from quorate.nomad.raft_db import RaftDb

MEMORY_BYTES_MAX = 4 << 20


def raft_db(path: Path, entries: int) -> int:
    """Entries of 5 KB, and one in a thousand of 300 KB; the size of the file."""
    small, large = (b"\0" + msgpack.packb({"Node": "x" * size}) for size in (5_000, 300_000))
    with path.open("wb") as out:
        values = (
            (n, entry_value(n, data=large if n % 1000 == 0 else small))
            for n in range(1, entries + 1)
        )
        BoltWriter(out).write(values, conf_of(1))
    size = path.stat().st_size
    assert size > entries * 5_000
    return size


@pytest.mark.timeout(900)
@pytest.mark.parametrize("entries", [*cases([2_000], [20_000]), huge(200_000)])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, entries: int) -> None:
    path = tmp_path / "raft.db"
    size = raft_db(path, entries)
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


RUN: Final = """
import sys
from pathlib import Path
from quorate.cli.main import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text()
sys.stderr.write(status.partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""


def peak_kib(folder: Path, command: str, *words: str) -> tuple[int, float]:
    """The most memory that the command has had, and the seconds that it took.

    As the process says itself: what the system tells of a child counts its parent too.
    """
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", RUN, "operator", "raft", command, *words, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(ran.stderr.split()[-1]), time.monotonic() - began


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("entries", [*cases([], [20_000]), huge(200_000)])
def test_the_commands_take_the_memory_of_a_small_file(tmp_path: Path, entries: int) -> None:
    """`info`, `logs` and `state` of a Nomad server whose raft.db became as large."""
    folder = server_folder("s2", tmp_path / "data")
    asked = (("info",), ("logs",), ("logs", "-short"), ("state",))
    before = {words: peak_kib(folder, *words) for words in asked}
    size = raft_db(next(folder.rglob("raft.db")), entries)
    for words in asked:
        peak, took = peak_kib(folder, *words)
        more = peak - before[words][0]
        print(
            f"raft {' '.join(words)} of {size >> 20} MiB: {took:.1f} s, {peak >> 10} MiB of memory,"
            f" {more / 1024:.1f} more than of a small file"
        )
        assert more < MEMORY_BYTES_MAX >> 10
