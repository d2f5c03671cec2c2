"""One byte of a follower's log changes on disk: the server says which entry and does not start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from patience import PATIENCE_S
from register_writers import PATH, body, read
from server_processes import running, until

from quorate.storage.log.files import segments_in
from quorate.storage.log.store import LogStore

pytestmark = pytest.mark.process


def flip_one_byte(folder: Path) -> int:
    """Change one byte in the middle of the newest entry; its index."""
    log = LogStore.open(folder)
    index = log.last_index()
    (entry,) = log.entries(index, index + 1, 1)
    log.close()
    file = segments_in(folder)[-1]
    data = bytearray(file.read_bytes())
    place = data.rindex(entry.data[:30])
    data[place + 15] ^= 0x10
    file.write_bytes(data)
    return index


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
        assert servers.processes.pop(follower).wait(PATIENCE_S) == 1
        said = servers.log(follower).removeprefix(before)
        # Entries that came together lie in one record: the first of them is named.
        named = re.search(r"entry (\d+) in \S+, or what was written with it, is damaged", said)
        assert named is not None, said
        assert 1 < int(named[1]) <= index
        assert "Traceback" not in said
        assert servers.ask(leader, PATH, "PUT", body(6)).status == 200
        # What it says to do: restore it from its peers.
        servers.wipe(follower)
        servers.start(follower)
        until(lambda: read(servers, follower, "?stale").value == 6, "it to catch up")
