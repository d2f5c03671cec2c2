"""The data folder: layout, lock, identity, and what becomes of a server that lost its log."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from storage_builders import entries, flip_all

from quorate.errors import DataFolderInUse, LogDamaged, QuorateError, WrongDataFolder
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.folder.identity import Identity
from quorate.storage.folder.standing import STANDING_FILE
from quorate.storage.log.files import LogFiles
from quorate.storage.log.store import WriteBatch

NODE_ID = "0b7d2b4c-6f0e-4d7e-9a41-9f3d1f0c2a55"
OTHER_ID = "c0ffee00-1111-4222-8333-444455556666"

RUN = b"\x01" * 8

_numbers = count(1)


def make_id() -> str:
    return f"00000000-0000-4000-8000-{next(_numbers):012}"


def open_folder(path: Path, region: str = "global") -> DataFolder:
    return DataFolder.open(path, region=region, version="0.1.0", make_id=make_id, run=RUN)


def made(path: Path) -> str:
    """A folder that has been in use; its node id."""
    with open_folder(path) as folder:
        with_log = folder.open_log()
        with_log.write(WriteBatch(entries=entries(1, 3)))
        with_log.close()
        return folder.node_id


def tree(path: Path) -> dict[str, bytes | None]:
    """All below a folder, with the content of the files; but for the start, which always rises."""
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else None
        for p in sorted(path.rglob("*"))
        if p.name != STANDING_FILE
    }


def test_new_folder(tmp_path: Path) -> None:
    data_dir = tmp_path / "var" / "data"
    with open_folder(data_dir) as folder:
        assert not folder.state_lost
        assert folder.identity == Identity(
            region="global", node_id=folder.node_id, created_version="0.1.0"
        )
        assert folder.log_path == data_dir / "server" / "raft" / "log"
        assert folder.snapshots_path == data_dir / "server" / "raft" / "snapshots"
        folder.open_log().close()
        assert folder.identity.has_log
    server = data_dir / "server"
    assert (server / "node-id").read_text() == folder.node_id
    assert (server / "node-id").stat().st_mode & 0o777 == 0o600
    assert (server / "quorate.json").stat().st_mode & 0o777 == 0o600
    assert (server / "quorate.lock").read_text() == f"{os.getpid()}\n"
    assert sorted(path.name for path in server.iterdir()) == [
        "node-id",
        "quorate.json",
        "quorate.lock",
        "quorate.standing",
        "raft",
    ]


def test_folder_is_the_same_after_a_restart(tmp_path: Path) -> None:
    node_id = made(tmp_path)
    before = tree(tmp_path)
    with open_folder(tmp_path) as folder:
        assert folder.node_id == node_id
        assert not folder.state_lost
        log = folder.open_log()
        assert log.last_index() == 3
        log.close()
    assert tree(tmp_path) == before


def test_given_node_id_is_taken(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "node-id").write_text(f"{NODE_ID.upper()}\n")  # as an editor leaves it
    with open_folder(tmp_path) as folder:
        assert folder.node_id == NODE_ID
    assert (tmp_path / "server" / "node-id").read_text().strip().lower() == NODE_ID


def test_cluster_id_is_kept_and_not_changed(tmp_path: Path) -> None:
    with open_folder(tmp_path) as folder:
        folder.check(cluster_id="any, as none is known yet")
        folder.set_cluster_id("cluster-1")
        folder.set_cluster_id("cluster-1")
    with open_folder(tmp_path) as folder:
        assert folder.identity.cluster_id == "cluster-1"
        with pytest.raises(WrongDataFolder, match="belongs to cluster 'cluster-1', not to 'clust"):
            folder.set_cluster_id("cluster-2")
        assert folder.identity.cluster_id == "cluster-1"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, None),
        ({"region": "global"}, None),
        ({"cluster_id": "c1"}, None),
        ({"node_id": NODE_ID}, None),
        ({"region": "west"}, "belongs to region 'global', not to 'west'"),
        ({"cluster_id": "c2"}, "belongs to cluster 'c1', not to 'c2'"),
        ({"node_id": OTHER_ID}, f"belongs to node id '{NODE_ID}', not to '{OTHER_ID}'"),
    ],
)
def test_check(tmp_path: Path, asked: dict[str, str], said: str | None) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "node-id").write_text(NODE_ID)
    with open_folder(tmp_path) as folder:
        folder.set_cluster_id("c1")
        if said is None:
            folder.check(**asked)
            return
        with pytest.raises(WrongDataFolder) as caught:
            folder.check(**asked)
        assert caught.value.text == f"{tmp_path / 'server'} {said}"


def test_other_region_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    made(tmp_path)
    shutil.rmtree(tmp_path / "server" / "raft" / "log")
    before = tree(tmp_path)
    with pytest.raises(WrongDataFolder, match="belongs to region 'global', not to 'west'"):
        open_folder(tmp_path, region="west")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("wiped", ["raft", "raft/log", "raft/log/0000000001.segment"])
def test_server_that_lost_its_log_gets_a_new_id(tmp_path: Path, wiped: str) -> None:
    old = made(tmp_path)
    lost = tmp_path / "server" / wiped
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    with open_folder(tmp_path) as folder:
        assert folder.state_lost
        assert folder.node_id != old
        assert folder.identity.former_ids == (old,)
        assert not folder.identity.has_log
    new = folder.node_id
    with open_folder(tmp_path) as folder:  # a restart before there is a log
        assert (folder.node_id, folder.state_lost) == (new, False)
        folder.open_log().close()
    with open_folder(tmp_path) as folder:
        assert (folder.node_id, folder.state_lost) == (new, False)
        assert folder.identity.former_ids == (old,)
    assert (tmp_path / "server" / "node-id").read_text() == new


def test_crash_between_the_two_files_of_a_new_id(tmp_path: Path) -> None:
    old = made(tmp_path)
    shutil.rmtree(tmp_path / "server" / "raft")
    with open_folder(tmp_path) as folder:
        new = folder.node_id
    (tmp_path / "server" / "node-id").write_text(old)
    with open_folder(tmp_path) as folder:
        assert folder.node_id == new
    assert (tmp_path / "server" / "node-id").read_text() == new


@pytest.mark.parametrize("zeros", [b"", bytes(LogFiles.piece)])
def test_log_emptied_by_a_crash_at_its_making_is_no_loss(tmp_path: Path, zeros: bytes) -> None:
    with open_folder(tmp_path) as folder:
        folder.log_path.mkdir()
        (folder.log_path / "0000000001.segment").write_bytes(zeros)
    with open_folder(tmp_path) as again:
        assert not again.state_lost
        assert again.node_id == folder.node_id
        again.open_log().close()


def _remove(name: str) -> Callable[[Path], None]:
    return lambda server: (server / name).unlink()


def test_missing_node_id_is_written_again(tmp_path: Path) -> None:
    node_id = made(tmp_path)
    before = tree(tmp_path)
    _remove("node-id")(tmp_path / "server")
    with open_folder(tmp_path) as folder:
        assert folder.node_id == node_id
    assert tree(tmp_path) == before


def test_missing_identity_is_made_again_from_the_node_id(tmp_path: Path) -> None:
    node_id = made(tmp_path)
    _remove("quorate.json")(tmp_path / "server")
    with open_folder(tmp_path) as folder:
        assert folder.node_id == node_id
        assert folder.identity.has_log


def test_log_without_any_identity_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    for name in ("node-id", "quorate.json"):
        _remove(name)(tmp_path / "server")
    before = tree(tmp_path)
    with pytest.raises(WrongDataFolder, match="holds a Raft log but neither node-id nor quorate"):
        open_folder(tmp_path)
    assert tree(tmp_path) == before


def test_contradicting_ids_are_refused(tmp_path: Path) -> None:
    node_id = made(tmp_path)
    (tmp_path / "server" / "node-id").write_text(OTHER_ID)
    before = tree(tmp_path)
    with pytest.raises(WrongDataFolder) as caught:
        open_folder(tmp_path)
    server = tmp_path / "server"
    assert caught.value.text == f"{server}/node-id says {OTHER_ID}, quorate.json says {node_id}"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("text", ["", "\x00" * 36, "not a uuid", NODE_ID[:-1], "g" + NODE_ID[1:]])
def test_damaged_node_id_is_named(tmp_path: Path, text: str) -> None:
    node_id = made(tmp_path)
    path = tmp_path / "server" / "node-id"
    path.write_text(text)
    with pytest.raises(
        LogDamaged, match="holds no ID: it is empty" if not text else "no UUID"
    ) as caught:
        open_folder(tmp_path)
    assert caught.value.path == str(path)
    assert caught.value.next_step == f"write {node_id} into it, the ID in quorate.json beside it"


def test_what_to_do_about_an_empty_node_id_depends_on_what_lies_beside_it(tmp_path: Path) -> None:
    server = tmp_path / "server"
    made(tmp_path)
    (server / "node-id").write_text("")
    (server / "quorate.json").unlink()
    with pytest.raises(LogDamaged) as caught:
        open_folder(tmp_path)
    assert caught.value.next_step.startswith("write this server's ID into it")
    fresh = tmp_path / "fresh"
    (fresh / "server").mkdir(parents=True)
    (fresh / "server" / "node-id").write_text("")
    with pytest.raises(LogDamaged) as caught:
        open_folder(fresh)
    assert caught.value.next_step.startswith("remove it: the folder holds no log")
    (fresh / "server" / "node-id").unlink()
    open_folder(fresh).close()


@pytest.mark.parametrize("content", [b"global", b"0.1.0", b"has_log", b"Checksum"])
def test_damaged_identity_is_named(tmp_path: Path, content: bytes) -> None:
    made(tmp_path)
    path = tmp_path / "server" / "quorate.json"
    assert flip_all(path, content) == 1
    with pytest.raises(LogDamaged, match=r"quorate\.json is damaged") as caught:
        open_folder(tmp_path)
    assert caught.value.path == str(path)


def test_identity_file_is_one_readable_line(tmp_path: Path) -> None:
    node_id = made(tmp_path)
    line = (tmp_path / "server" / "quorate.json").read_text()
    said: dict[str, Any] = json.loads(line)
    assert line.count("\n") == 1
    assert list(said) == [
        "region",
        "node_id",
        "cluster_id",
        "created_version",
        "has_log",
        "former_ids",
        "epoch",
        "public_key",
        "Checksum",
    ]
    assert said["node_id"] == node_id


@pytest.mark.parametrize("log", ["raft.db", "wal"])
def test_folder_of_a_nomad_server_is_refused_and_left_untouched(tmp_path: Path, log: str) -> None:
    raft = tmp_path / "server" / "raft"
    raft.mkdir(parents=True)
    (raft / log).write_bytes(b"bolt")
    (tmp_path / "server" / "node-id").write_text(NODE_ID)
    before = tree(tmp_path)
    with pytest.raises(WrongDataFolder, match="is a Nomad server's folder") as caught:
        open_folder(tmp_path)
    assert f"raft/{log}" in caught.value.text
    assert "\n" not in caught.value.text
    assert tree(tmp_path) == before


def test_folder_in_use_by_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from quorate.storage.folder.data_folder import DataFolder\n"
        "def make_id(): return sys.argv[2]\n"
        "f = DataFolder.open(Path(sys.argv[1]), region='r', version='1',"
        " make_id=make_id, run=bytes(8))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path), NODE_ID]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        before = tree(tmp_path)
        with pytest.raises(DataFolderInUse) as caught:
            open_folder(tmp_path, region="r")
        assert caught.value.text == f"{tmp_path / 'server'} is in use by process {holder.pid}"
        assert tree(tmp_path) == before
        holder.kill()
        holder.wait()
        with open_folder(tmp_path, region="r") as folder:  # the lock went with the process
            assert folder.node_id == NODE_ID


def test_folder_in_use_by_this_process(tmp_path: Path) -> None:
    with open_folder(tmp_path), pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
        open_folder(tmp_path)
    open_folder(tmp_path).close()


def test_refused_folder_is_not_kept_locked(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(WrongDataFolder):
        open_folder(tmp_path, region="west")
    open_folder(tmp_path).close()


def test_path_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(QuorateError, match=r"cannot open data folder .*/file: "):
        open_folder(tmp_path / "file")
