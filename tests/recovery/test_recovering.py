"""A recovery loses nothing, fences the servers that are left out, and survives every kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from killed import every_kill
from lengths import cases
from msgspec.structs import replace
from recovery_folders import IDS, content_of, flip, golden_servers
from test_peers_json import A0, A1, S0, S1, lines, row

from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.identity import (
    EPOCH_BITS,
    NO_EPOCH,
    Epoch,
    IdentityRecord,
    left_out,
    objection,
)
from quorate.recovery import keeping
from quorate.recovery.at_start import before_start
from quorate.recovery.epochs import next_epoch
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.states import state_of
from quorate.recovery.looking.summary import FolderSummary
from quorate.recovery.moved_state import INDEXES_BETWEEN
from quorate.recovery.recovering import PROGRESS_FILE
from quorate.storage.folder.data_folder import DataFolder

BOTH = lines(row(S1, A1), row(S0, A0))


def no_id() -> str:
    raise AssertionError("the folder has an ID")


def put(folder: Path, data: bytes = BOTH) -> Path:
    path = folder / "server" / "raft" / "peers.json"
    path.write_bytes(data)
    return path


def values(folder: Path) -> dict[tuple[str, str], object]:
    """The rows of the state without their indexes; locks apart."""
    rows: dict[tuple[str, str], object] = {}
    for each in state_of(folder).rows:
        value = {k: v for k, v in each.value.items() if not k.startswith(("lock", "modify_index"))}
        if each.type not in {"locks", "index_shift"}:
            rows[each.type, each.key] = value
    return rows


def test_nothing_is_lost_and_indexes_go_on_far_above(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    before = values(folder)
    put(folder)
    before_start(folder, own_address=A0)
    assert values(folder) == before
    rows = {(row.type, row.key): row.value for row in state_of(folder).rows}
    (shift,) = [value for (kind, _), value in rows.items() if kind == "index_shift"]
    assert shift["shift"] == INDEXES_BETWEEN
    # The lock is held by nobody, and its delay runs.
    golden = rows["variables", "default\0golden"]
    assert "lock_id" not in golden
    assert golden["modify_index"] > INDEXES_BETWEEN
    (lock,) = [value for (kind, _), value in rows.items() if kind == "locks"]
    assert "lock_id" not in lock
    assert lock["delay_ns"] > 0


def test_servers_that_are_recovered_apart_agree(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    for name, own in (("s0", A0), ("s1", A1)):
        put(folders[name])
        before_start(folders[name], own_address=own)
    one, other = inspect(folders["s0"]), inspect(folders["s1"])
    assert one.epoch == other.epoch != NO_EPOCH
    assert one.members == other.members
    assert list(state_of(folders["s0"]).rows) == list(state_of(folders["s1"]).rows)
    assert one.reach == other.reach


def test_another_list_is_another_epoch() -> None:
    servers = (Server("a", "a:1"), Server("b", "b:1"))
    one = next_epoch(NO_EPOCH, "c", Configuration(servers))
    assert one.counter == 1
    assert len(one.bits) == 16
    assert next_epoch(NO_EPOCH, "c", Configuration(servers[::-1])) == one
    others = [
        next_epoch(NO_EPOCH, "d", Configuration(servers)),
        next_epoch(NO_EPOCH, "c", Configuration(servers[:1])),
        next_epoch(NO_EPOCH, "c", Configuration((servers[0], Server("b", "b:2")))),
        next_epoch(one, "c", Configuration(servers)),
    ]
    assert len({each.bits for each in (one, *others)}) == 5


def test_the_servers_of_the_old_epoch_are_refused(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    put(folders["s0"])
    before_start(folders["s0"], own_address=A0)

    def record(name: str) -> IdentityRecord:
        with DataFolder.open(
            folders[name], region="global", version="now", make_id=no_id, run=bytes(8)
        ) as folder:
            assert folder.node_id == IDS[name]
            return folder.record

    ours, left_out = record("s0"), record("s2")
    assert "was left out of a recovery" in objection(ours, left_out)
    assert "belongs to a later recovery" in objection(left_out, ours)
    put(folders["s1"])
    before_start(folders["s1"], own_address=A1)
    assert objection(ours, record("s1")) == ""
    put(folders["s2"], lines(row(IDS["s2"], "127.0.0.1:30946")))
    before_start(folders["s2"], own_address="127.0.0.1:30946")
    assert "is of another recovery of the cluster" in objection(ours, record("s2"))


def test_only_a_later_epoch_of_the_own_cluster_leaves_a_server_out() -> None:
    ours = IdentityRecord(server_id="a", cluster_id="c", epoch=Epoch(1, bytes(EPOCH_BITS)))
    later = replace(ours, server_id="b", epoch=Epoch(2, bytes(EPOCH_BITS)))
    assert "this server was left out of a recovery" in left_out(ours, later)
    for other in (
        replace(later, epoch=NO_EPOCH),
        replace(later, epoch=Epoch(1, b"x" * EPOCH_BITS)),
        replace(later, cluster_id="d"),
        replace(later, cluster_id=""),
    ):
        assert left_out(ours, other) == ""
    assert left_out(replace(ours, cluster_id=""), later) == ""


def test_a_server_of_no_cluster_is_none_that_was_left_out() -> None:
    epoch = Epoch(1, bytes(EPOCH_BITS))
    recovered = IdentityRecord(server_id="a", cluster_id="c", epoch=epoch)
    newcomer = IdentityRecord(server_id="b")
    assert objection(recovered, newcomer) == objection(newcomer, recovered) == ""
    joined = IdentityRecord(server_id="b", cluster_id="c")
    assert "was left out of a recovery" in objection(recovered, joined)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", cases([9], [1]))
def test_a_kill_at_any_call_is_made_good_by_the_next_start(tmp_path: Path, step: int) -> None:
    base = tmp_path / "base"
    folder = golden_servers(base)["s0"]
    put(folder)
    done = tmp_path / "done"
    shutil.copytree(folder, done)
    before_start(done, own_address=A0)
    wanted, rows = inspect(done), list(state_of(done).rows)
    place = tmp_path / "now"

    def fresh() -> Callable[[], object]:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place)
        return lambda: before_start(place, own_address=A0)

    kills = 0
    for kills in every_kill(fresh, step=step):
        before_start(place, own_address=A0)
        found = inspect(place)
        assert (found.epoch, found.members, found.reach) == (
            wanted.epoch,
            wanted.members,
            wanted.reach,
        ), kills
        assert (found.base_index, found.entries, found.term) == (53, 0, wanted.term)
        assert list(state_of(place).rows) == rows, kills
        assert not (place / "server" / PROGRESS_FILE).exists()
        assert not (place / "server" / "raft" / "peers.json").exists()
        kept = [path for path in (place / "server").glob("recovered-*") if path.is_dir()]
        assert kept
        old = inspect_kept(kept[0], tmp_path / "kept")
        assert (old.epoch, old.last_index, old.entries) == (NO_EPOCH, 53, 53)
    assert kills > 30


def inspect_kept(kept: Path, place: Path) -> FolderSummary:
    """The old folder, as it could be put back."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place / "server")
    return inspect(place)


def test_two_kills_and_a_server_between_them(tmp_path: Path) -> None:
    """No server opens a folder whose recovery is under way; it finishes it first."""
    folder = golden_servers(tmp_path)["s0"]
    put(folder)

    def stop_at(name: str) -> Callable[[str], None]:
        def step(reached: str) -> None:
            if reached == name:
                raise KeyboardInterrupt

        return step

    for name in ("snapshot", "log", "epoch", "peers", "end"):
        with pytest.raises(KeyboardInterrupt):
            before_start(folder, own_address=A0, step=stop_at(name))
        assert (folder / "server" / PROGRESS_FILE).exists()
    (recovered,) = before_start(folder, own_address=A0)
    assert recovered.resumed
    assert recovered.epoch.counter == 1


def test_a_file_that_was_changed_after_a_kill_is_carried_out_too(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    put(folder)

    def step(name: str) -> None:
        if name == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        before_start(folder, own_address=A0, step=step)
    put(folder, lines(A0))
    first, second = before_start(folder, own_address=A0)
    assert (first.epoch.counter, second.epoch.counter) == (1, 2)
    assert [server.id for server in inspect(folder).members.servers] == [S0]


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (
            lambda raft: flip(raft / "log" / "0000000001.segment", 512 * 30),
            "checksum does not match",
        ),
        (
            lambda raft: flip(max(raft.glob("snapshots/*/state.bin")), 90),
            "state.bin is damaged",
        ),
        (lambda raft: (raft / "state-damaged.json").write_text("x"), "the state of this server"),
    ],
)
def test_damaged_data_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], object], text: str
) -> None:
    folder = golden_servers(tmp_path)["s0"]
    put(folder)
    spoil(folder / "server" / "raft")
    before = content_of(folder / "server" / "raft")
    with pytest.raises(LogDamaged, match=text) as raised:
        before_start(folder, own_address=A0)
    assert raised.value.next_step
    assert content_of(folder / "server" / "raft") == before


def test_without_room_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden_servers(tmp_path)["s0"]
    put(folder)
    before = content_of(folder / "server" / "raft")
    monkeypatch.setattr(keeping, "free_bytes", lambda _: 1 << 20)
    with pytest.raises(StorageFull, match="no room for a copy"):
        before_start(folder, own_address=A0)
    assert content_of(folder / "server" / "raft") == before


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    with DataFolder.open(folder, region="global", version="now", make_id=no_id, run=bytes(8)):
        put(folder)
        with pytest.raises(QuorateError, match="is in use by process"):
            before_start(folder, own_address=A0)


def test_epochs_rise_with_each_recovery(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    bits = set()
    for counter in (1, 2, 3):
        put(folder)
        (recovered,) = before_start(folder, own_address=A0)
        assert recovered.epoch.counter == counter
        bits.add(recovered.epoch.bits)
    assert len(bits) == 3
    assert inspect(folder).epoch == Epoch(3, recovered.epoch.bits)
    (shift,) = [each.value["shift"] for each in state_of(folder).rows if each.type == "index_shift"]
    assert shift == 3 * INDEXES_BETWEEN
