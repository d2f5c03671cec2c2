"""`operator recover peers-json` writes a right file, for folders of ours and of real Nomad's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_run import run
from nomad_servers import FILES, server_folder
from recovery_folders import IDS, content_of, flip, golden_servers
from test_peers_json import A0

from quorate.recovery.at_start import before_start
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.summary import FolderSummary, Member, Members
from quorate.recovery.survivors import compare


def test_the_file_for_survivors_of_ours_recovers_them(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    before = content_of(tmp_path)
    ran = run("operator", "recover", "peers-json", str(folders["s0"]), str(folders["s1"]))
    assert ran.code == 0, ran
    assert content_of(tmp_path) == before
    rows = json.loads(ran.stdout)
    assert [row["id"] for row in rows] == sorted([IDS["s0"], IDS["s1"]])
    assert all(row["non_voter"] is False for row in rows)
    assert f"left out: {IDS['s2']} (127.0.0.1:30946)\n" in ran.stderr
    assert "becomes committed: nothing, all of its log is known to be committed\n" in ran.stderr
    assert "could hold a majority" not in ran.stderr
    path = folders["s0"] / "server" / "raft" / "peers.json"
    ran = run("operator", "recover", "peers-json", f"-out={path}", str(folders["s0"]))
    assert (ran.code, ran.stderr) == (0, "")
    assert "could hold a majority" in ran.stdout
    assert f"\n\n  cp {path} DATA_DIR/server/raft/peers.json\n" in ran.stdout
    before_start(folders["s0"], own_address=A0)
    assert [server.id for server in inspect(folders["s0"]).members.servers] == [IDS["s0"]]


def test_the_file_for_real_nomad_servers(tmp_path: Path) -> None:
    folders = [server_folder(name, tmp_path / name) for name in ("s1", "s3")]
    ran = run("operator", "recover", "peers-json", *map(str, folders))
    assert ran.code == 0, ran
    addresses = {s["id"]: s["address"] for s in FILES["s1"]["configurations"][0]["servers"]}
    wanted = [FILES[name]["node_id"] for name in ("s1", "s3")]
    assert json.loads(ran.stdout) == [
        {"id": server_id, "address": addresses[server_id], "non_voter": False}
        for server_id in sorted(wanted)
    ]
    assert f"left out: {FILES['s2']['node_id']}" in ran.stderr


def test_the_most_advanced_is_named(tmp_path: Path) -> None:
    """By the last entry in log or snapshot, not by the order in which they are given."""
    folders = [server_folder(name, tmp_path / name) for name in ("s1", "s2")]
    (folders[0] / "server" / "raft" / "raft.db").write_bytes(
        (server_folder("empty", tmp_path / "e") / "server/raft/raft.db").read_bytes()
    )
    ran = run("operator", "recover", "peers-json", *map(str, folders))
    assert ran.code == 0, ran
    assert f"most advanced: {FILES['s2']['node_id']}" in ran.stderr


def folder(server_id: str, term: int, index: int, members: Members) -> FolderSummary:
    return FolderSummary(
        kind="Quorate",
        path=server_id,
        server_id=server_id,
        last_term=term,
        last_index=index,
        members=members,
    )


def test_the_most_advanced_votes_and_older_ends_are_not_listed() -> None:
    """Both were found by simulated clusters that are recovered."""
    members = Members(1, tuple(Member(name, f"{name}:1", name != "c") for name in "abcde"))
    found = compare([folder("a", 3, 9, members), folder("b", 2, 20, members)])
    assert [server.id for server in found.configuration().servers] == ["a"]
    assert [each.server_id for each in found.older] == ["b"]
    found = compare([folder("a", 3, 9, members), folder("c", 3, 10, members)])
    assert [(s.id, s.is_voter) for s in found.configuration().servers] == [("a", True), ("c", True)]
    found = compare([folder("a", 3, 10, members), folder("c", 3, 9, members)])
    assert [s.is_voter for s in found.configuration().servers] == [True, False]


def test_folders_that_do_not_belong_together(tmp_path: Path) -> None:
    ours = golden_servers(tmp_path / "ours")
    nomad = server_folder("s1", tmp_path / "nomad")
    copy = tmp_path / "copy"
    shutil.copytree(ours["s0"], copy)
    flip(ours["s2"] / "server" / "raft" / "log" / "0000000001.segment", 512 * 30)
    for paths, text in (
        ([], "at least one argument"),
        ([ours["s0"], nomad], "is of kind"),
        ([ours["s0"], copy], f"are both of server {IDS['s0']}"),
        ([ours["s2"]], "is damaged"),
        ([tmp_path / "none"], "is no folder"),
        ([nomad, server_folder("a1", tmp_path / "a1")], "which is no member of the configuration"),
    ):
        ran = run("operator", "recover", "peers-json", *map(str, paths))
        assert (ran.code, ran.stdout) == (1, ""), paths
        assert text in ran.stderr, ran.stderr


@pytest.mark.parametrize("target", ["/nonexistent/peers.json"])
def test_a_file_that_cannot_be_written(tmp_path: Path, target: str) -> None:
    folder = golden_servers(tmp_path)["s0"]
    ran = run("operator", "recover", "peers-json", f"-out={target}", str(folder))
    assert ran.code == 1
    assert "cannot write /nonexistent/peers.json" in ran.stderr
