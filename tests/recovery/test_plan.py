"""A recovery by plan: the most advanced leads, nothing but that plan fits, and it can be undone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import Ran, run
from killed import every_kill
from lengths import cases
from nomad_servers import FILES, server_folder
from recovery_folders import IDS, content_of, golden_servers

from quorate.raft.values.identity import NO_EPOCH
from quorate.raft.values.messages import Entry, EntryKind, HardState
from quorate.recovery import plan as plans
from quorate.recovery.at_start import before_start
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.states import state_of
from quorate.recovery.undoing import UNDOING_FILE
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.log.store import LogStore
from quorate.storage.log.write_batch import WriteBatch

LOST = f"-lost={IDS['s2']}"


def recover(*words: object) -> Ran:
    return run("operator", "recover", *map(str, words))


def planned(tmp_path: Path, *folders: Path) -> Path:
    file = tmp_path / "plan.json"
    ran = recover("plan", f"-out={file}", *folders)
    assert ran.code == 0, ran
    return file


def test_a_plan_ends_with_the_command_that_comes_next(tmp_path: Path) -> None:
    s0, file = golden_servers(tmp_path)["s0"], tmp_path / "plan.json"
    said = recover("plan", f"-out={file}", s0).stdout.splitlines()
    words = said[-1].split()
    assert words[:4] == ["quorate", "operator", "recover", "apply"]
    assert set(words[4].removeprefix("-lost=").split(",")) == {IDS["s1"], IDS["s2"]}
    assert recover("apply", *words[4:-1], s0).code == 0


def test_the_report_goes_where_the_plan_does_not(tmp_path: Path) -> None:
    """A person reads it on standard output; a pipe that takes the plan gets nothing else."""
    s0 = golden_servers(tmp_path)["s0"]
    written = recover("plan", f"-out={tmp_path / 'plan.json'}", s0)
    assert (written.stderr, "most advanced: " in written.stdout) == ("", True)
    piped = recover("plan", s0)
    assert plans.decode(piped.stdout.encode(), "stdout").leads == IDS["s0"]
    assert "most advanced: " in piped.stderr


def grown(folder: Path, *terms: int) -> None:
    """Entries of these terms more at the end of the log, and no snapshot of the last ones."""
    log = LogStore.open(folder / "server" / "raft" / "log")
    last = log.last_index()
    entries = [Entry(last + n, t, EntryKind.NOOP) for n, t in enumerate(terms, 1)]
    log.write(WriteBatch(entries=entries, hard_state=HardState(terms[-1])))
    log.close()


def test_all_survivors_begin_with_the_most_advanced(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    s0, s1 = folders["s0"], folders["s1"]
    grown(s0, 3, 3)  # longer
    grown(s1, 4)  # of a later term
    file = planned(tmp_path, s0, s1)
    plan = json.loads(file.read_text())
    assert plan["leads"] == IDS["s1"]
    assert plan["becomes_committed"].endswith(f"to 54 of {IDS['s1']}")
    assert [s["id"] for s in plan["servers"] if s["voter"]] == [IDS["s1"]]
    assert [s["id"] for s in plan["left_out"]] == [IDS["s2"]]
    for folder in (s1, s0):
        ran = recover("apply", file, folder)
        assert ran.code == 0, ran
    one, other = inspect(s1), inspect(s0)
    assert one.epoch == other.epoch
    assert one.epoch.counter == 1
    assert one.members.servers == other.members.servers
    assert one.reach == (4, 54)
    # What the other one had beyond what is committed for certain is not taken for committed.
    assert other.reach == (3, other.commit_known)
    assert other.reach[1] <= 53
    assert recover("verify", s0, s1).code == 0
    assert before_start(s0) == ()
    twice = recover("verify", s0, s1, s0)
    assert (twice.code, "are both of server" in twice.stderr) == (2, True), twice


@pytest.mark.parametrize("words", [["plan"], ["peers-json"], ["verify"], ["undo"], ["apply", "x"]])
def test_an_empty_path_is_not_the_folder_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    s0 = golden_servers(tmp_path)["s0"]
    monkeypatch.chdir(s0)
    (s0 / "x").write_bytes(planned(tmp_path, s0).read_bytes())
    before = content_of(s0)
    ran = recover(*words, "")
    assert (ran.code, ran.stdout) == (1, "")
    assert "The path to a data_dir is empty" in ran.stderr
    assert content_of(s0) == before


def test_two_plans_refuse_each_other(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    one = planned(tmp_path / "s0", folders["s0"])
    other = planned(tmp_path / "s1", folders["s1"])
    lost = ",".join(IDS.values())
    assert recover("apply", f"-lost={lost}", one, folders["s0"]).code == 0
    assert recover("apply", f"-lost={lost}", other, folders["s1"]).code == 0
    ran = recover("verify", folders["s0"], folders["s1"])
    assert ran.code == 2
    assert "they refuse each other" in ran.stderr


def test_a_plan_fits_one_state_of_one_folder_once(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    s0, s1, s2 = folders.values()
    file = planned(tmp_path, s0, s1)
    edited = tmp_path / "edited.json"
    edited.write_text(file.read_text().replace("127.0.0.1:29325", "127.0.0.1:29326"))
    nomad = server_folder("a1", tmp_path / "nomad")
    before = content_of(tmp_path)
    for path, folder, text in (
        (edited, s0, "was changed after it was made"),
        (tmp_path / "none", s0, "cannot read"),
        (s0 / "server" / "node-id", s0, "is no plan of a recovery"),
        (file, s2, "which is no survivor of the plan"),
        (file, nomad, "a real Nomad server's"),
        (file, tmp_path, "not found in path"),
    ):
        ran = recover("apply", path, folder)
        assert (ran.code, ran.stdout) == (1, ""), ran
        assert text in ran.stderr
    after = content_of(tmp_path)
    assert {k: v for k, v in after.items() if "lock" not in k} == {
        k: v for k, v in before.items() if "lock" not in k
    }
    grown(s1, 3)
    ran = recover("apply", file, s1)
    assert "ends at entry 54 of term 3, not at 53 of term 3" in ran.stderr
    assert recover("apply", file, s0).code == 0
    ran = recover("apply", file, s0)
    assert (ran.code, "was applied to" in ran.stderr) == (1, True)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    file = planned(tmp_path, folder)
    before = content_of(folder / "server" / "raft")
    lock = FolderLock(folder / "server" / "quorate.lock")
    try:
        for words in (("apply", f"-lost={','.join(IDS.values())}", file), ("undo",)):
            ran = recover(*words, folder)
            assert (ran.code, "is in use by process" in ran.stderr) == (1, True)
    finally:
        lock.release()
    assert content_of(folder / "server" / "raft") == before


def test_servers_that_could_decide_are_named(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    file = planned(tmp_path, folders["s0"])
    assert json.loads(file.read_text())["left_out_may_decide"] is True
    for words in ((), (f"-lost={IDS['s1']}",)):
        ran = recover("apply", *words, file, folders["s0"])
        assert ran.code == 1
        assert "could hold a majority" in ran.stderr
    assert inspect(folders["s0"]).epoch == NO_EPOCH
    ran = recover("apply", f"-lost={IDS['s1']},{IDS['s2']}", file, folders["s0"])
    assert ran.code == 0, ran


def test_a_plan_for_real_nomad_servers_ends_in_a_peers_json(tmp_path: Path) -> None:
    folders = [server_folder(name, tmp_path / name) for name in ("s1", "s2")]
    file = planned(tmp_path, *folders)
    plan = json.loads(file.read_text())
    rows = json.loads(plan["peers_json"])
    assert {row["id"] for row in rows} == {FILES[name]["node_id"] for name in ("s1", "s2")}
    ran = recover("apply", file, folders[0])
    assert ran.code == 1
    assert "only read here" in ran.stderr


def test_an_undo_puts_back_what_was(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    raft = folder / "server" / "raft"
    before, rows = content_of(raft), list(state_of(folder).rows)
    file = planned(tmp_path, folder)
    lost = f"-lost={IDS['s1']},{IDS['s2']}"
    assert recover("undo", folder).code == 1  # nothing to undo
    assert recover("apply", lost, file, folder).code == 0
    ran = recover("undo", folder)
    assert ran.code == 0, ran
    assert content_of(raft) == before
    assert list(state_of(folder).rows) == rows
    assert inspect(folder).epoch == NO_EPOCH
    # And again: the plan fits the folder as before.
    assert recover("apply", lost, file, folder).code == 0
    assert inspect(folder).epoch.counter == 1


def test_an_undo_that_would_lose_writes_is_refused(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    file = planned(tmp_path, folder)
    assert recover("apply", f"-lost={IDS['s1']},{IDS['s2']}", file, folder).code == 0
    log = LogStore.open(folder / "server" / "raft" / "log")
    log.write(WriteBatch(entries=[Entry(54, 4, EntryKind.NOOP), Entry(55, 4, EntryKind.COMMAND)]))
    log.close()
    before = content_of(folder / "server" / "raft")
    ran = recover("undo", folder)
    assert ran.code == 1
    assert "has written since: 1 commands, up to entry 55" in ran.stderr
    assert recover("undo", "-lose=54", folder).code == 1
    assert content_of(folder / "server" / "raft") == before
    ran = recover("undo", "-lose=55", folder)
    assert ran.code == 0, ran
    assert "lost:  1 commands of that epoch" in ran.stdout
    (gone,) = (folder / "server").glob("undone-1-*")
    assert content_of(gone) == before


@pytest.mark.parametrize("size", [0, 512 + 7])
def test_an_undo_of_what_can_no_longer_be_read_is_refused(tmp_path: Path, size: int) -> None:
    """The epoch may have written what is gone with the rest of the log."""
    folder = golden_servers(tmp_path)["s0"]
    file = planned(tmp_path, folder)
    assert recover("apply", f"-lost={IDS['s1']},{IDS['s2']}", file, folder).code == 0
    index = inspect(folder).last_index
    os.truncate(folder / "server" / "raft" / "log" / "0000000001.segment", size)
    ran = recover("undo", folder)
    assert ran.code == 1
    assert f"has written since is known up to entry {index} only: " in ran.stderr
    assert recover("undo", f"-lose={index}", folder).code == 0
    assert not inspect(folder).damage


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", cases([11], [1]))
@pytest.mark.parametrize("act", ["apply", "undo"])
def test_a_kill_at_any_call_is_finished_by_the_next_start(
    tmp_path: Path, act: str, step: int
) -> None:
    base = golden_servers(tmp_path / "base")["s0"]
    file = planned(tmp_path, base)
    words = ["apply", f"-lost={IDS['s1']},{IDS['s2']}", file]
    if act == "undo":
        assert recover(*words, base).code == 0
        words = ["undo"]
    done = tmp_path / "done"
    shutil.copytree(base, done)
    assert recover(*words, done).code == 0
    wanted, rows = inspect(done), list(state_of(done).rows)
    place = tmp_path / "now"

    def fresh() -> Callable[[], object]:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(base, place)
        return lambda: recover(*words, place)

    kills = 0
    for kills in every_kill(fresh, step=step):  # noqa: B007  the last one counts
        before_start(place)
        if inspect(place).epoch != wanted.epoch:  # it had not begun
            assert recover(*words, place).code == 0
        found = inspect(place)
        assert (found.epoch, found.members, found.reach) == (
            wanted.epoch,
            wanted.members,
            wanted.reach,
        )
        assert list(state_of(place).rows) == rows
        assert not (place / "server" / UNDOING_FILE).exists()
    assert kills > 10


def test_what_recoveries_kept_is_listed_and_goes_by_name_alone(tmp_path: Path) -> None:
    s0 = golden_servers(tmp_path)["s0"]
    root = s0 / "server"
    assert recover("prune", s0).stdout == "Nothing of earlier times is kept here\n"
    file = planned(tmp_path, s0)
    lost = f"-lost={IDS['s1']},{IDS['s2']}"
    assert recover("apply", lost, file, s0).code == 0
    assert recover("undo", s0).code == 0
    assert recover("apply", lost, planned(tmp_path, s0), s0).code == 0
    old, needed = sorted(root.glob("recovered-*"), key=lambda path: path.name.rpartition("-")[2])
    (undone,) = root.glob("undone-*")
    salvaged = root / "raft" / "log-damaged-1795000000000"
    salvaged.mkdir()
    (salvaged / "x").write_bytes(b"12345")
    before = content_of(s0)
    ran = recover("prune", s0)
    assert ran.code == 0
    rows = {line.split()[0]: line for line in ran.stdout.splitlines()[1:5]}
    assert rows.keys() == {path.name for path in (old, needed, undone, salvaged)}
    assert rows[needed.name].endswith("as it was before a recovery; undo needs it")
    assert rows[undone.name].endswith("of a recovery that was undone")
    assert rows[salvaged.name].split()[2] == "5"
    assert "Nothing was removed" in ran.stdout
    (note,) = inspect(s0).notes
    assert note.startswith("earlier data are kept, ")
    assert note.endswith("to remove them: quorate operator recover prune")
    ran = recover("prune", "-remove=raft", s0)
    assert (ran.code, ran.stdout) == (1, "")
    assert "no folder 'raft' is kept there" in ran.stderr
    assert content_of(s0) == before
    ran = recover("prune", "-remove=all", s0)
    assert ran.code == 0
    for path, what in ((old, "before a recovery"), (undone, "undone"), (salvaged, "a salvage")):
        assert any(f"Removed {path}, " in line and what in line for line in ran.stdout.splitlines())
    assert "Removed in all: 3, " in ran.stdout
    assert recover("prune", "-remove=all", s0).stdout.endswith(
        "\nNothing was removed: the folder that an undo needs goes by its name alone\n"
    )
    assert not old.exists()
    assert not undone.exists()
    assert not salvaged.exists()
    assert recover("undo", s0).code == 0, "what it needs is still there"
    (left,) = root.glob("undone-*")
    assert recover("prune", f"-remove={left.name},{needed.name}", s0).code == 0
    assert recover("prune", s0).stdout == "Nothing of earlier times is kept here\n"
    (root / "undoing.json").write_bytes(b"half")
    left.mkdir()
    assert recover("prune", "-remove=all", s0).code == 1
    assert left.exists()
