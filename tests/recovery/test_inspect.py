"""Data folders of stopped and running servers are looked at, and nothing in them changes."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bolt_builder import BoltWriter, conf_of, entry_value
from cli_run import run
from nomad_servers import DOCUMENT as NOMAD
from nomad_servers import FILES, damaged, raft_db, server_folder
from recovery_folders import IDS, content_of, flip, golden_servers

from quorate.errors import LogDamaged, QuorateError
from quorate.nomad.bolt.meta import BoltError
from quorate.raft import Configuration
from quorate.raft.values.identity import Epoch
from quorate.recovery import salvage
from quorate.recovery.looking.entries import command_name, opened
from quorate.recovery.looking.folders import find
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.nomad_log import COPIES_MAX, NomadLog
from quorate.recovery.looking.states import state_of
from quorate.recovery.looking.summary import Kind
from quorate.recovery.recovering import prepare
from quorate.state.engine.commands import decode, encode
from quorate.state.engine.restore.commands import RestoreRows
from quorate.state.registry import TODAY
from quorate.state.tables.autopilot import TABLE as AUTOPILOT
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.folder.folder_lock import FolderLock


def test_a_folder_of_ours(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    for name, folder in folders.items():
        found = inspect(folder)
        assert (found.kind, found.server_id, found.region) == ("Quorate", IDS[name], "global")
        assert found.cluster_id == "2205a93d-706a-404c-a508-770116e7c073"
        assert (found.last_index, found.last_term, found.start) == (53, 3, 1)
        assert found.snapshot is not None
        assert found.commit_known == found.snapshot.index
        assert found.members.index == 48
        assert {server.id for server in found.members.servers} == set(IDS.values())
        assert all(len(server.key) == 32 for server in found.members.servers)
        assert not found.damage
        assert found.reach == (3, 53)


def test_a_command_has_the_name_under_which_it_was_written() -> None:
    """Rows of a restore are read into something else, which has no name for people."""
    written = RestoreRows(id="a", number=0, table=AUTOPILOT.name)
    read = decode(encode(written), TODAY)
    assert not isinstance(read, RestoreRows)
    assert command_name(read) == "RestoreRows"


@pytest.mark.parametrize("name", FILES)
def test_a_folder_of_a_real_nomad_server(tmp_path: Path, name: str) -> None:
    folder, wanted = server_folder(name, tmp_path / "data"), FILES[name]
    found = inspect(folder)
    assert (found.kind, found.entries) == ("Nomad", wanted["entries"])
    assert (found.term, found.last_index) == (wanted["current_term"], wanted["last_index"] or 0)
    if wanted["configurations"]:
        newest = wanted["configurations"][-1]
        assert found.members.index == newest["index"]
        assert [(s.id, s.address) for s in found.members.servers] == [
            (s["id"], s["address"]) for s in newest["servers"]
        ]
    if name == "trimmed":  # the configuration is in the snapshot alone
        assert found.commit_known == 127
        assert [s.address for s in found.members.servers] == ["127.0.0.1:38721"]
    if name == "restored":  # the state of its snapshot is not among the vectors
        assert "state.bin is missing" in found.damage[0]
        assert "entries 10 to 119 are neither in log nor in snapshot" in found.damage[1]
    else:
        assert not found.damage


@pytest.mark.parametrize("below", ["", "server", "server/raft"])
def test_each_name_of_a_folder_will_do(tmp_path: Path, below: str) -> None:
    ours, theirs = golden_servers(tmp_path)["s0"], server_folder("a1", tmp_path / "nomad")
    assert find(ours / below).kind is Kind.QUORATE
    assert find(theirs / below).kind is Kind.NOMAD
    assert inspect(ours / below).server_id == IDS["s0"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path / "nothing", "is no folder"),
        (lambda path: path, "File raft.db not found in path"),
        (lambda path: (path / "raft" / "wal").mkdir(parents=True) or path, "its log in raft/wal"),
    ],
)
def test_what_is_no_data_folder(tmp_path: Path, make: Callable[[Path], Path], text: str) -> None:
    with pytest.raises(QuorateError, match=text):
        inspect(make(tmp_path))


def test_nothing_is_changed_by_looking(tmp_path: Path) -> None:
    folders = [*golden_servers(tmp_path / "a").values()]
    folders += [server_folder("trimmed", tmp_path / "b")]
    for folder in folders:
        before = content_of(folder)
        inspect(folder)
        with opened(folder) as log:
            assert len(list(log.entries())) > 20
        assert len(list(state_of(folder).rows)) > 5
        assert content_of(folder) == before


def test_a_damaged_log_of_ours_is_read_up_to_the_damage(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s1"]
    segment = folder / "server" / "raft" / "log" / "0000000001.segment"
    flip(segment, 512 * 20 + 100)
    found = inspect(folder)
    assert 0 < found.last_index < 53
    assert str(segment) in found.damage[0]
    with opened(folder) as log:
        assert [entry.index for entry in log.entries()] == [*range(1, found.last_index + 1)]
        assert log.problems == found.damage


def emptied(log: Path) -> None:
    os.truncate(log / "0000000001.segment", 0)


def zeroed(log: Path) -> None:
    (log / "0000000001.segment").write_bytes(bytes(1 << 17))


def without_files(log: Path) -> None:
    (log / "0000000001.segment").unlink()


@pytest.mark.parametrize("lose", [emptied, zeroed, without_files, shutil.rmtree])
def test_a_log_that_is_gone_is_damage(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """A server starts on such a folder under another ID; what is read says why."""
    folder = golden_servers(tmp_path)["s1"]
    lose(folder / "server" / "raft" / "log")
    gone = "no record is left of the log in "
    found = inspect(folder)
    assert gone in found.damage[0]
    assert found.snapshot is not None
    with opened(folder) as log:
        assert not list(log.entries())
        assert gone in log.problems[0]
    shown = state_of(folder)
    assert gone in shown.problems[0]
    assert shown.index == found.snapshot.index
    assert list(shown.rows)
    with pytest.raises(QuorateError, match=r"nothing of the log in .* can be kept: no record"):
        salvage.plan(folder)
    with pytest.raises(LogDamaged, match=gone):
        prepare(find(folder), Configuration(()), Epoch(), now_ms=1)
    for word in ("info", "logs", "state"):
        ran = run("operator", "raft", word, str(folder))
        assert ran.code == 2
        assert f"damaged: {gone}" in ran.stderr
    ran = run("operator", "recover", "plan", str(folder))
    assert ran.code == 1
    assert gone in ran.stderr


def test_a_log_that_was_never_begun_is_no_damage(tmp_path: Path) -> None:
    """A crash before its first record was durable left a file of zeros."""
    with DataFolder.open(
        tmp_path, region="global", version="now", make_id=lambda: IDS["s0"], run=bytes(8)
    ) as folder:
        folder.log_path.mkdir()
        (folder.log_path / "0000000001.segment").write_bytes(bytes(1 << 17))
    assert not inspect(tmp_path).damage
    shutil.rmtree(folder.log_path)
    with pytest.raises(QuorateError, match="nor a log of Quorate"):
        inspect(tmp_path)


def test_other_damage_is_named(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s1"]
    server = folder / "server"
    flip(server / "quorate.json", 20)
    snapshots = server / "raft" / "snapshots"
    snapshot = max(snapshots.iterdir(), key=lambda path: int(path.name.split("-")[1]))
    flip(snapshot / "state.bin", 200)
    damage = "\n".join(inspect(folder).damage)
    assert "quorate.json is damaged" in damage
    assert "state.bin is damaged: its checksum does not match" in damage


def test_a_running_server_of_ours_is_noticed(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s2"]
    lock = FolderLock(folder / "server" / "quorate.lock")
    try:
        assert inspect(folder).user == os.getpid()
    finally:
        lock.release()
    assert inspect(folder).user is None


def test_a_running_nomad_servers_file_is_copied(tmp_path: Path) -> None:
    folder = server_folder("s2", tmp_path / "data")
    descriptor = os.open(folder / "server" / "raft" / "raft.db", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        found = inspect(folder)
    finally:
        os.close(descriptor)
    assert found.user == os.getpid()
    assert "its server runs: a sound copy of the log was read" in found.notes
    assert (found.entries, found.damage) == (78, [])


def write(path: Path, entries: int, txid: int) -> None:
    """As a server that goes on: the file is replaced in place."""
    with path.open("r+b" if path.exists() else "w+b") as out:
        values = [(n, entry_value(n)) for n in range(1, entries + 1)]
        BoltWriter(out, 1024).write(values, conf_of(1), txid=txid)


def test_a_copy_counts_only_if_no_transaction_ended_meanwhile(tmp_path: Path) -> None:
    path, count = tmp_path / "raft.db", 0
    write(path, 10, 10)

    def between() -> None:
        nonlocal count
        count += 1
        if count < 4:
            write(path, 10 + count, 10 + count)

    with NomadLog(path, in_use=True, between=between) as log:
        assert log.db.summary().entries == 13
    assert count == 4

    def always() -> None:
        nonlocal count
        count += 1
        write(path, 13, 100 + count)

    with pytest.raises(QuorateError, match=f"changed each of {COPIES_MAX} times"):
        NomadLog(path, in_use=True, between=always)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    raft = tmp_path / "raft"
    raft.mkdir()
    write(raft / "raft.db", 10, 10)
    with opened(tmp_path) as log:
        entries = log.entries()
        next(entries)
        write(raft / "raft.db", 11, 11)
        list(entries)
        assert "changed while it was read" in log.problems[-1]


@pytest.mark.parametrize("case", NOMAD["damage"], ids=lambda case: case["name"])
def test_damage_of_a_nomad_log_is_in_the_summary(tmp_path: Path, case: dict[str, object]) -> None:
    folder = server_folder("s2", tmp_path / "data")
    (folder / "server" / "raft" / "raft.db").write_bytes(damaged(case, raft_db("s2")))
    expected = case["expected"]
    assert isinstance(expected, dict)
    try:
        found = inspect(folder)
    except BoltError:
        refused = True
    else:
        refused = bool(found.damage)
        assert expected["result"] == "error" or found.notes or expected["entries"] == 78
    assert refused is (expected["result"] == "error")


def test_a_state_at_an_index(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    for path in (folder / "server" / "raft" / "snapshots").iterdir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    whole, before = state_of(folder), state_of(folder, 13)
    assert (whole.index, before.index) == (53, 13)
    paths = [
        [row.key for row in state.rows if row.type == "variables"] for state in (whole, before)
    ]
    assert paths == [["default\0golden"], []]
    with pytest.raises(QuorateError, match="the log holds the entries 1 to 53"):
        state_of(folder, 54)
