"""Save and restore on three real servers, asked of one that does not lead."""

from __future__ import annotations

from pathlib import Path

from agent_process import program
from server_processes import Servers, running, until


def restored_by(servers: Servers, number: int, *words: str) -> str:
    address = f"-address=http://127.0.0.1:{servers.http[number]}"
    done = program("operator", "snapshot", words[0], address, *words[1:])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_comes_back_through_a_follower(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        asked = (servers.leader() + 1) % 3

        def put(path: str, value: str) -> bool:
            body = {"Path": path, "Items": {"k": value}}
            return servers.ask(asked, f"/v1/var/{path}", "PUT", body)[0] == 200

        until(lambda: put("a", "old"), "the feature level of variables")
        file = str(tmp_path / "a.snap")
        assert restored_by(servers, asked, "save", file) == f"State file written to {file}\n"
        assert put("a", "new")
        assert put("b", "new")
        before = servers.ask(asked, "/v1/var/a").json["ModifyIndex"]
        assert "Nothing was changed" in restored_by(servers, asked, "restore", "-dry-run", file)
        assert servers.ask(asked, "/v1/var/a").json["Items"] == {"k": "new"}
        said = restored_by(servers, asked, "restore", file).splitlines()
        assert said[0] == "Snapshot Restored"
        assert "safety" in said[1]
        row = servers.ask(asked, "/v1/var/a").json
        assert row["Items"] == {"k": "old"}
        assert row["ModifyIndex"] >= before + (1 << 20)
        assert servers.ask(asked, "/v1/var/b")[0] == 404
        assert servers.voters() == 3
        assert put("b", "newer")
        assert servers.ask(asked, "/v1/var/b").json["ModifyIndex"] > row["ModifyIndex"]
