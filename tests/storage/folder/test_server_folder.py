"""What a folder knows of its starts: its own, those of the others, and that it is an old copy."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path

import pytest
from storage_builders import entries

from quorate.errors import DataFolderInUse, LogDamaged, QuorateError, WrongDataFolder
from quorate.levels import LEVEL
from quorate.raft.values.identity import Epoch, IdentityRecord, Start
from quorate.raft.values.messages import HardState
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.folder.replica_folder import ReplicaFolder
from quorate.storage.folder.server_folder import ServerFolder
from quorate.storage.folder.standing import STANDING_FILE
from quorate.storage.folder.twin_file import HALF_BYTES
from quorate.storage.log.store import WriteBatch

RUN = b"\x01" * 8
NOW = 1_800_000_000
_numbers = count(1)


def make_id() -> str:
    return f"00000000-0000-4000-8000-{next(_numbers):012}"


def agent(path: Path, run: bytes = RUN) -> DataFolder:
    return DataFolder.open(path, region="global", version="0.1.0", make_id=make_id, run=run)


def replica(path: Path, server_id: str = "a", run: bytes = RUN) -> ReplicaFolder:
    return ReplicaFolder.open(path, server_id=server_id, run=run)


def voted(folder: ServerFolder) -> None:
    """Entries and a vote in the folder's log."""
    log = folder.open_log()
    log.write(WriteBatch(entries=entries(1, 3), hard_state=HardState(4, "a", 4)))
    log.close()
    (folder.snapshots_path / "1-2-3").mkdir(parents=True)


def test_start_number_rises_at_every_opening(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        with agent(tmp_path, bytes([number]) * 8) as folder:
            assert folder.start == Start(number, bytes([number]) * 8)


def test_start_is_on_disk_before_the_log_can_be_opened(tmp_path: Path) -> None:
    folder = agent(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")  # the process is killed here
    folder.close()
    with agent(tmp_path / "copy") as again:
        assert again.start.number == 2


def test_folder_of_the_first_version_opens_unchanged(tmp_path: Path) -> None:
    with agent(tmp_path) as folder:
        voted(folder)
        folder.set_cluster_id("c")
    (tmp_path / "server" / STANDING_FILE).unlink()  # it had none
    with agent(tmp_path) as again:
        assert again.node_id == folder.node_id
        assert again.identity.cluster_id == "c"
        assert (again.start.number, again.seen, again.level) == (1, {}, 0)
        log = again.open_log()
        assert log.hard_state() == HardState(4, "a", 4)
        log.close()


def test_record_says_who_speaks(tmp_path: Path) -> None:
    epoch = Epoch(1, b"e" * 16)
    with replica(tmp_path) as folder:
        folder.set_cluster_id("c")
        folder.set_epoch(epoch)
    with replica(tmp_path) as folder:
        assert folder.record == IdentityRecord(
            server_id="a", cluster_id="c", epoch=epoch, level=LEVEL, start=Start(2, RUN)
        )


@pytest.mark.parametrize("other", [Epoch(), Epoch(1, b"e" * 16), Epoch(2, b"x" * 16)])
def test_earlier_and_contradicting_epochs_are_refused(tmp_path: Path, other: Epoch) -> None:
    with replica(tmp_path) as folder:
        folder.set_epoch(Epoch(2, b"e" * 16))
        with pytest.raises(WrongDataFolder, match=r"belongs to epoch 2 \(65656565\), not to"):
            folder.set_epoch(other)
        assert folder.identity.epoch == Epoch(2, b"e" * 16)


def test_seen_starts_are_kept_and_only_rise(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        folder.note_starts({"b": Start(5, b"b" * 8)})
        folder.note_starts({"b": Start(4, b"x" * 8), "c": Start(1, b"c" * 8)})
        folder.note_starts({"b": Start(5, b"y" * 8)})
    with replica(tmp_path) as folder:
        assert folder.seen == {"b": Start(5, b"b" * 8), "c": Start(1, b"c" * 8)}
        folder.forget_starts({"c"})
    with replica(tmp_path) as folder:
        assert folder.seen == {"c": Start(1, b"c" * 8)}


def test_too_many_servers_are_an_error_and_nothing_is_lost(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        folder.note_starts({"b": Start(5, b"b" * 8)})
        many = {f"{n:036}": Start(n, b"m" * 8) for n in range(1, 1000)}
        with pytest.raises(QuorateError, match="bytes exceed"):
            folder.note_starts(many)
        folder.note_starts(dict(list(many.items())[:300]))
    with replica(tmp_path) as folder:
        assert len(folder.seen) == 301


def test_level_only_rises(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        folder.set_level(3)
        folder.set_level(2)
    with replica(tmp_path) as folder:
        assert folder.level == 3


# -- the two halves of quorate.standing ---------------------------------------------------------


@pytest.mark.parametrize("half", [0, 1])
def test_damage_to_one_half_loses_nothing(tmp_path: Path, half: int) -> None:
    with replica(tmp_path) as folder:
        folder.note_starts({"b": Start(5, b"b" * 8)})
    path = tmp_path / STANDING_FILE
    content = bytearray(path.read_bytes())
    content[half * HALF_BYTES + 20] ^= 1
    path.write_bytes(content)
    with replica(tmp_path) as folder:
        assert folder.seen == {"b": Start(5, b"b" * 8)}
        assert folder.start.number == 2
    content = bytearray(path.read_bytes())  # both halves are whole again
    assert content[:HALF_BYTES] == content[HALF_BYTES:]


@pytest.mark.parametrize("cut", [HALF_BYTES, 100, 0])
def test_other_damage_is_named(tmp_path: Path, cut: int) -> None:
    replica(tmp_path).close()
    path = tmp_path / STANDING_FILE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(LogDamaged, match="is damaged: it has") as caught:
        replica(tmp_path)
    assert caught.value.path == str(path)
    path.write_bytes(b"x" * 2 * HALF_BYTES)
    with pytest.raises(LogDamaged, match="neither of its two checksums"):
        replica(tmp_path)


@pytest.mark.parametrize("written", [0, 1000, HALF_BYTES, HALF_BYTES + 1000])
def test_torn_write_leaves_the_old_value_or_the_new_one(tmp_path: Path, written: int) -> None:
    path = tmp_path / STANDING_FILE
    with replica(tmp_path) as folder:
        before = path.read_bytes()
        folder.note_starts({"b": Start(5, b"b" * 8)})
        after = path.read_bytes()
    path.write_bytes(after[:written] + before[written:])
    with replica(tmp_path) as folder:
        assert folder.seen == ({"b": Start(5, b"b" * 8)} if written >= 1000 else {})
        assert folder.start.number == 2


# -- a folder that was rolled back --------------------------------------------------------------


def test_agent_begins_anew_and_keeps_the_data(tmp_path: Path) -> None:
    with agent(tmp_path) as folder:
        voted(folder)
        folder.set_cluster_id("c")
        folder.note_starts({"b": Start(5, b"b" * 8)})
        folder.mark_rolled_back("b saw start 9", NOW)
        with pytest.raises(QuorateError, match="may not be used: b saw start 9"):
            folder.open_log()
    with agent(tmp_path) as again:
        assert again.state_lost
        assert again.node_id != folder.node_id
        assert again.identity.former_ids == (folder.node_id,)
        assert again.identity.cluster_id == "c"
        assert again.start.number == 2
        assert again.seen == {"b": Start(5, b"b" * 8)}
        aside = tmp_path / "server" / "rolled-back-20270115T080000Z"
        assert again.why_new_id == (
            f"its data was found to be an old copy (b saw start 9); it is kept in {aside}"
        )
        assert (aside / "raft" / "log" / "0000000001.segment").exists()
        assert (aside / "raft" / "snapshots" / "1-2-3").exists()
        log = again.open_log()
        assert log.last_index() == 0
        assert log.hard_state() == HardState()
        log.close()
    with agent(tmp_path) as third:
        assert (third.node_id, third.state_lost) == (again.node_id, False)


def test_replica_is_refused_until_it_has_another_id(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        voted(folder)
        folder.mark_rolled_back("b saw start 9", NOW)
    with pytest.raises(WrongDataFolder, match=r"server 'a' cannot go on .*b saw start 9") as caught:
        replica(tmp_path)
    assert "new server ID" in caught.value.next_step
    assert (tmp_path / "log").exists()
    with replica(tmp_path, "a2") as again:
        assert again.node_id == "a2"
        assert again.identity.former_ids == ("a",)
        again.open_log().close()
    assert (tmp_path / "rolled-back-20270115T080000Z" / "log").exists()
    with pytest.raises(WrongDataFolder, match="server 'a' has given up its ID"):
        replica(tmp_path, "a")
    with replica(tmp_path, "a2") as again:
        assert not again.state_lost


def test_crash_while_the_data_is_moved(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        voted(folder)
        folder.mark_rolled_back("b saw start 9", NOW)
    aside = tmp_path / "rolled-back-20270115T080000Z"
    aside.mkdir()
    (tmp_path / "log").rename(aside / "log")
    with replica(tmp_path, "a2") as again:
        assert again.state_lost
    assert sorted(path.name for path in aside.iterdir()) == ["log", "snapshots"]


def test_crash_before_the_mark_was_taken_away(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        voted(folder)
        folder.mark_rolled_back("b saw start 9", NOW)
    marked = (tmp_path / STANDING_FILE).read_bytes()
    with replica(tmp_path, "a2"):
        pass
    (tmp_path / STANDING_FILE).write_bytes(marked)
    with replica(tmp_path, "a2") as again:
        assert (again.node_id, again.state_lost) == ("a2", False)


def test_identity_that_is_older_than_the_start_does_not_bring_an_id_back(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        voted(folder)
        old = (tmp_path / "quorate.json").read_bytes()
        folder.mark_rolled_back("b saw start 9", NOW)
    with replica(tmp_path, "a2") as again:
        voted(again)
    (tmp_path / "quorate.json").write_bytes(old)
    with pytest.raises(WrongDataFolder, match="server 'a' has given up its ID"):
        replica(tmp_path, "a")
    with replica(tmp_path, "a2") as again:
        assert not again.state_lost
        assert again.identity.former_ids == ("a",)


def test_three_folders_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        with agent(tmp_path) as folder:
            voted(folder)
            folder.mark_rolled_back("b saw start 9", NOW + number)
    agent(tmp_path).close()
    kept = [path.name for path in sorted((tmp_path / "server").glob("rolled-back-*"))]
    assert kept == [f"rolled-back-20270115T08000{second}Z" for second in (2, 3, 4)]


# -- folders of the library ---------------------------------------------------------------------


def test_replica_folder_of_the_first_version_becomes_that_of_its_server(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        voted(folder)
    for name in ("quorate.json", STANDING_FILE):
        (tmp_path / name).unlink()
    with replica(tmp_path) as again:
        assert again.node_id == "a"
        assert again.identity.has_log
        log = again.open_log()
        assert log.hard_state() == HardState(4, "a", 4)
        log.close()
    with pytest.raises(WrongDataFolder, match="belongs to server 'a', not to 'b'"):
        replica(tmp_path, "b")


def test_replica_that_lost_its_log_is_refused_to_its_id(tmp_path: Path) -> None:
    with replica(tmp_path) as folder:
        voted(folder)
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(WrongDataFolder, match="its log is gone"):
        replica(tmp_path)
    with replica(tmp_path, "a2") as again:
        assert again.state_lost
        assert again.identity.former_ids == ("a",)


def test_two_processes_on_one_replica_folder(tmp_path: Path) -> None:
    with replica(tmp_path), pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
        replica(tmp_path)


def test_replica_in_the_folder_of_an_agent(tmp_path: Path) -> None:
    agent(tmp_path).close()
    with pytest.raises(WrongDataFolder, match="data folder of a Quorate agent"):
        replica(tmp_path)


def test_missing_identity_does_not_hide_the_mark(tmp_path: Path) -> None:
    with agent(tmp_path) as folder:
        voted(folder)
        folder.mark_rolled_back("b saw start 9", NOW)
    (tmp_path / "server" / "quorate.json").unlink()
    with agent(tmp_path) as again:
        assert again.state_lost
        assert again.node_id != folder.node_id
