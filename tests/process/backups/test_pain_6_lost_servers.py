"""Pain 6, and the drill: all three servers are lost, and new ones begin with the last backup."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from server_processes import until
from test_pain_8_backups import BACKUP, backed_up, put

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(240)]


def test_pain_6_three_lost_servers_come_back_from_the_last_backup(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    url = f"file://{target}"
    with backed_up(tmp_path / "lost", target=url) as servers:
        leader = servers.leader()
        for number in range(20):
            until(partial(put, servers, leader, f"a/{number}", str(number)), "a variable")
        assert servers.ask(leader, "/v1/operator/keyring/rotate", "PUT").status == 200
        assert put(servers, leader, "b", "after the rotation")
        made = servers.ask(leader, BACKUP + "/run", "PUT", timeout_s=60).json
        assert made["Status"] == "verified"
        index = servers.ask(leader, "/v1/var/b").json["ModifyIndex"]
        known = {row["KeyID"] for row in servers.ask(leader, "/v1/operator/keyring/keys").json}
        for number in range(3):
            servers.kill(number)
            servers.wipe(number)
    with backed_up(tmp_path / "new", target=url, restore_from=url) as servers:
        leader = servers.leader()
        until(lambda: servers.ask(leader, "/v1/var/b").status == 200, "the values of the backup")
        for number in range(20):
            found = servers.ask(leader, f"/v1/var/a/{number}").json
            assert found["Items"] == {"k": str(number)}
        row = servers.ask(leader, "/v1/var/b").json
        assert row["Items"] == {"k": "after the rotation"}
        assert row["ModifyIndex"] > index + (1 << 20) - 1
        keys = {row["KeyID"] for row in servers.ask(leader, "/v1/operator/keyring/keys").json}
        assert known <= keys, "a root key of the backup is missing"
        answer = servers.ask(leader, BACKUP).json
        assert (answer["RestoredFrom"], answer["Problem"]) == (made["Name"], "")
        assert servers.voters() == 3
        assert put(servers, leader, "c", "goes on")
