"""One byte of a follower's log changes on disk: the server says which entry and does not start."""

from __future__ import annotations

import re
from pathlib import Path

import lmdb
import pytest
from register_writers import PATH, body, read
from server_processes import running, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def newest_record(folder: Path) -> tuple[int, bytes]:
    """Index and record of the last entry, as LMDB gives it."""
    with lmdb.open(str(folder), max_dbs=2, readonly=True, lock=False) as env:
        logs = env.open_db(b"logs", create=False)
        with env.begin(logs) as txn, txn.cursor() as cursor:
            assert cursor.last()
            return int.from_bytes(cursor.key(), "big"), bytes(cursor.value())


def flip_one_byte(folder: Path) -> int:
    """Change one byte in the middle of the newest entry; its index."""
    index, record = newest_record(folder)
    data_file = folder / "data.mdb"
    data = data_file.read_bytes()
    for found in re.finditer(re.escape(record), data):  # LMDB leaves old pages about
        place = found.start() + len(record) // 2
        changed = bytearray(data)
        changed[place] ^= 0x10
        data_file.write_bytes(changed)
        if newest_record(folder)[1] != record:
            return index
    raise AssertionError("the record was not found in the file")


def test_a_flipped_byte_is_found_and_named_and_the_server_can_be_restored(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        follower = (leader + 1) % 3
        for value in range(1, 6):
            assert servers.ask(leader, PATH, "PUT", body(value)).status == 200
        until(lambda: read(servers, follower, "?stale").value == 5, "the follower to have it")
        servers.kill(follower)
        log_folder = servers.data_dir(follower) / "server" / "raft" / "log"
        index = flip_one_byte(log_folder)
        before = servers.log(follower)
        servers.start(follower)
        assert servers.processes.pop(follower).wait(20) == 1
        said = servers.log(follower).removeprefix(before)
        assert f"entry {index}" in said
        assert "damaged" in said
        assert "Traceback" not in said
        assert servers.ask(leader, PATH, "PUT", body(6)).status == 200
        # What it says to do: restore it from its peers.
        servers.wipe(follower)
        servers.start(follower)
        until(lambda: read(servers, follower, "?stale").value == 6, "it to catch up")
