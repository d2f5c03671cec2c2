"""A damaged log is cut to its last good entry; nothing is thrown away, and no server trusts it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import run
from killed import every_kill
from nomad_servers import server_folder
from recovery_folders import content_of, flip, golden_servers
from test_peers_json import A0, lines, row

from quorate.errors import DataFolderInUse, LogDamaged, QuorateError
from quorate.raft.values.messages import Entry
from quorate.recovery import salvage
from quorate.recovery.at_start import before_start
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.salvage_mark import read_salvage
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.log.files import LogFiles
from quorate.storage.log.store import LogStore, WriteBatch


def damaged(folder: Path, at: int = 512 * 30) -> Path:
    """The folder, with a damaged log and no snapshot of what is lost."""
    flip(folder / "server" / "raft" / "log" / "0000000001.segment", at)
    return folder


def test_a_log_is_cut_and_the_damaged_one_kept(tmp_path: Path) -> None:
    folder = damaged(golden_servers(tmp_path)["s1"])
    before, log = inspect(folder), folder / "server" / "raft" / "log"
    was = content_of(log)
    plan = salvage.plan(folder)
    assert (plan.first, plan.last) == (1, before.last_index)
    assert 0 < plan.last < 53
    salvage.carry_out(plan)
    assert content_of(plan.kept) == was
    after = inspect(folder)
    assert not after.damage
    assert (after.first_index, after.last_index) == (1, plan.last)
    assert (after.term, after.voted_for) >= (before.term, before.voted_for)
    assert any("its log was salvaged" in note for note in after.notes)
    with pytest.raises(QuorateError, match="is not damaged: there is nothing to salvage"):
        salvage.plan(folder)


@pytest.mark.parametrize("size", [1, 511, 512 * 30, 512 * 30 + 7, 512 * 100 - 1])
def test_a_file_that_was_cut_anywhere_is_kept_up_to_there(tmp_path: Path, size: int) -> None:
    folder = golden_servers(tmp_path)["s1"]
    file = folder / "server" / "raft" / "log" / "0000000001.segment"
    os.truncate(file, size)
    if size < 512:
        with pytest.raises(QuorateError, match="can be kept"):
            salvage.plan(folder)
        return
    plan = salvage.plan(folder)
    assert plan.last > 0
    assert "damaged" in plan.damage
    salvage.carry_out(plan)
    after = inspect(folder)
    assert (after.damage, after.first_index, after.last_index) == ([], 1, plan.last)
    with pytest.raises(LogDamaged, match="by a salvage"):
        before_start(folder)


def test_a_file_cut_at_a_size_that_it_once_had_is_kept_up_to_there(tmp_path: Path) -> None:
    """What is left no longer says that there is more of it."""
    folder = golden_servers(tmp_path)["s1"]
    log = LogStore.open(folder / "server" / "raft" / "log")
    last, term = log.last_index(), log.hard_state().term
    for number in range(1, 5):
        log.write(WriteBatch(entries=[Entry(last + number, term, 0, bytes(70_000))]))
    log.close()
    os.truncate(folder / "server" / "raft" / "log" / "0000000001.segment", 2 * LogFiles.piece)
    assert any("it was cut" in damage for damage in inspect(folder).damage)
    salvage.carry_out(salvage.plan(folder))
    after = inspect(folder)
    assert (after.damage, after.last_index) == ([], last + 3)


def test_term_and_vote_behind_the_damage_count(tmp_path: Path) -> None:
    """The vote of term 3 stands behind the entries of term 2."""
    folder = golden_servers(tmp_path)["s0"]
    whole = inspect(folder)
    damaged(folder, 512 * 2)
    cut = inspect(folder)
    assert cut.last_index < 20
    salvage.carry_out(salvage.plan(folder))
    after = inspect(folder)
    assert (after.term, after.vote_term, after.voted_for) == (
        whole.term,
        whole.vote_term,
        whole.voted_for,
    )


def test_no_server_starts_on_it_but_a_recovery_takes_it(tmp_path: Path) -> None:
    folder = damaged(golden_servers(tmp_path)["s0"])
    shutil.rmtree(folder / "server" / "raft" / "snapshots")
    (folder / "server" / "raft" / "snapshots").mkdir()
    salvage.carry_out(salvage.plan(folder))
    last = inspect(folder).last_index
    with pytest.raises(LogDamaged, match=f"was cut at entry {last} by a salvage") as raised:
        before_start(folder, own_address=A0)
    assert "recover with it" in raised.value.next_step
    (folder / "server" / "raft" / "peers.json").write_bytes(
        lines(row(inspect(folder).server_id, A0))
    )
    (recovered,) = before_start(folder, own_address=A0)
    assert recovered.index == last
    assert read_salvage(folder / "server" / "raft") is None
    assert before_start(folder, own_address=A0) == ()


def test_a_kill_at_any_call_leaves_a_folder_that_is_finished_later(tmp_path: Path) -> None:
    base = damaged(golden_servers(tmp_path / "base")["s1"])
    place = tmp_path / "now"
    whole = content_of(base / "server" / "raft" / "log")

    def fresh() -> Callable[[], object]:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(base, place)
        plan = salvage.plan(place)
        return lambda: salvage.carry_out(plan)

    last = salvage.plan(base).last
    kills = 0
    for kills in every_kill(fresh):  # noqa: B007  the last one counts
        raft = place / "server" / "raft"
        if read_salvage(raft) is None:  # as it was
            assert content_of(raft / "log") == whole
        else:
            with pytest.raises(LogDamaged):
                before_start(place)
        if (mark := read_salvage(raft)) is None or not mark.done:
            salvage.carry_out(salvage.plan(place))
        found = inspect(place)
        assert (found.damage, found.last_index) == ([], last)
        mark = read_salvage(raft)
        assert mark is not None
        assert mark.done
        assert content_of(raft / mark.kept) == whole
    assert kills > 10


def test_what_is_not_salvaged(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    with pytest.raises(QuorateError, match="is not damaged"):
        salvage.plan(folders["s0"])
    with pytest.raises(QuorateError, match="a real Nomad server's"):
        salvage.plan(server_folder("s2", tmp_path / "nomad"))
    with pytest.raises(QuorateError, match="nothing of the log in"):
        salvage.plan(damaged(folders["s1"], 0))
    plan = salvage.plan(damaged(folders["s2"]))
    before = content_of(folders["s2"] / "server" / "raft")
    lock = FolderLock(folders["s2"] / "server" / "quorate.lock")
    try:
        with pytest.raises(DataFolderInUse):
            salvage.carry_out(plan)
    finally:
        lock.release()
    assert content_of(folders["s2"] / "server" / "raft") == before


def test_the_command_says_what_is_gone_before_it_does_it(tmp_path: Path) -> None:
    folder = damaged(golden_servers(tmp_path)["s1"])
    before = content_of(folder)
    ran = run("operator", "raft", "salvage", "-dry-run", str(folder))
    assert ran.code == 0
    assert "left:    entries 1 to " in ran.stdout
    assert "gone:    whatever followed entry " in ran.stdout
    assert content_of(folder) == before
    ran = run("operator", "raft", "salvage", str(folder))
    assert ran.code == 0
    assert "The log was cut." in ran.stdout
    assert run("operator", "raft", "salvage", str(folder)).code == 1
