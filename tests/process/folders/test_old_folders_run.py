"""Servers of today start on the data folders of an earlier version, elsewhere, and go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from places import GOLDEN
from register_writers import PATH, body, read
from server_processes import Servers, until

from quorate.levels import LEVEL

pytestmark = pytest.mark.process

UPGRADE = "/v1/operator/upgrade"
FOLDERS = GOLDEN / "folders"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDERS.glob("level-*")))
def test_servers_start_on_them(tmp_path: Path, name: str) -> None:
    facts = json.loads((FOLDERS / name / "facts.json").read_text())
    servers = Servers(tmp_path, 3)
    shutil.unpack_archive(FOLDERS / name / "folders.tar.gz", tmp_path)
    servers.start()
    try:
        found = until(lambda: read(servers, servers.leader()), "a leader on the old folders")
        assert found.value == facts["value"]
        assert found.modify_index == facts["modify_index"]
        leader = servers.leader()
        assert servers.ask(leader, PATH, "PUT", body(99)).status == 200
        autopilot = servers.ask(leader, "/v1/operator/autopilot/configuration").json
        assert autopilot["CleanupDeadServers"] is False
        assert autopilot["MaxTrailingLogs"] == 300
        rows = servers.ask(leader, "/v1/operator/raft/configuration").json["Servers"]
        assert {row["ID"] for row in rows} == set(facts["servers"])
        assert all(row["Voter"] for row in rows)
        until(lambda: [read(servers, n, "?stale").value for n in range(3)] == [99] * 3, "the write")
        until(lambda: servers.ask(leader, UPGRADE).json["Level"] == LEVEL, "the level")
        for number in range(3):
            servers.kill(number)
        servers.start()  # and what this version made of the folders opens as well
        again = until(lambda: read(servers, servers.leader()), "a leader once more")
        assert again.value == 99
        for number in range(3):
            assert "Traceback" not in servers.log(number)
    finally:
        servers.stop_all()
