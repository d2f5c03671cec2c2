"""A restore of an archive: what becomes of each table, and that no index falls."""

from __future__ import annotations

import io
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import QuorateError
from quorate.state.engine import level
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.registry import Registry
from quorate.state.engine.restore import commands as restoring
from quorate.state.engine.restore.commands import (
    BeginRestore,
    CommitRestore,
    DropRestore,
    RestoreRows,
)
from quorate.state.engine.restore.rules import Restored, TableChange, pieces_of, restored
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot, encode_snapshot
from quorate.state.engine.store import Held, StateStore
from quorate.state.engine.table import SINGLETON, Command, OnRestore, Record, Table, Tables
from quorate.state.registry import LOOSE_COMMANDS, TABLES, TODAY
from quorate.state.tables import cluster, scheduler
from quorate.state.tables.cluster import SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration

SPREAD = SchedulerConfiguration(scheduler_algorithm="spread")


class Row(Record, frozen=True, kw_only=True):
    value: int = 0


def larger(ours: OrderedMap[Row], theirs: OrderedMap[Row]) -> dict[str, Row]:
    """Both, and of two rows with one key that with the larger value."""
    merged = dict(theirs)
    for key, row in ours.items():
        if key not in merged or merged[key].value <= row.value:
            merged[key] = row
    return merged


def table(on_restore: OnRestore) -> Table[Row]:
    merge = larger if on_restore is OnRestore.MERGED else None
    return Table(
        name=on_restore.value,
        record=Row,
        on_restore=on_restore,
        merge=merge,
        indexes={"value": lambda row: (str(row.value),)},
    )


KINDS = {kind: table(kind) for kind in OnRestore}
OURS = Registry(tables=(*TABLES, *KINDS.values()), commands=LOOSE_COMMANDS)

ROWS = st.dictionaries(
    st.text("ab", max_size=2),
    st.tuples(st.integers(0, 3), st.integers(1, 50), st.integers(0, 50)),
    max_size=6,
)


def state(rows: dict[str, tuple[int, int, int]], at: int = 100) -> SnapshotImage:
    """All three tables with these rows: value, index of creation, and how much later it changed."""
    tables = OURS.fresh_tables()
    for kind in KINDS.values():
        for key, (value, created, later) in sorted(rows.items(), key=lambda row: row[1][1]):
            tables.put(kind, key, Row(value=value), created)
            if later:
                tables.put(kind, key, Row(value=value), created + later)
    return SnapshotImage(at, tables)


def values(rows: OrderedMap[Row]) -> dict[str, int]:
    return {key: row.value for key, row in rows.items()}


@given(ROWS, ROWS)
def test_each_table_is_replaced_kept_or_merged(
    ours: dict[str, tuple[int, int, int]], theirs: dict[str, tuple[int, int, int]]
) -> None:
    live, archive = state(ours), state(theirs)
    before = {name: dict(rows) for name, rows in live.rows.items()}
    result = restored(live, archive, 500, OURS)
    after = result.image
    assert {name: dict(rows) for name, rows in live.rows.items()} == before
    wanted = {
        "replaced": values(archive.rows["replaced"]),
        "kept": values(live.rows["kept"]),
        "merged": {
            key: max(each[key][0] for each in (ours, theirs) if key in each)
            for key in {*ours, *theirs}
        },
    }
    for name, expected in wanted.items():
        rows = after.tables.held[name]
        assert values(rows.records) == expected
        changed = 0
        for key, row in rows.records.items():
            known = before[name].get(key)
            if known is not None and known.value == row.value:
                assert row == known  # untouched, with its indexes
            else:
                changed += 1
                assert (row.modify_index, row.create_index <= 500) == (500, True)
                assert known is None or row.create_index == known.create_index
        gone = before[name].keys() - rows.records.keys()
        assert rows.index == (500 if changed or gone else live.tables.held[name].index)
        told = next(change for change in result.changes if change.table == name)
        assert (told.added + told.changed, told.deleted) == (changed, len(gone))
        assert told.added + told.changed + told.same == len(rows.records)
        # What is kept beside the rows is what they say.
        assert (sum(rows.sums()) - rows.sum) % 2**256 == 0
        assert dict(rows.secondary["value"]) == dict(rows.entries_of("value"))


def live_store() -> StateStore:
    store = StateStore(TODAY)
    store.apply(1, encode(InitialiseDefaults()))
    store.apply(2, encode(SetClusterMetadata(cluster_id="ours")))
    store.apply(3, encode(RaiseLevel(level=TODAY.level)))
    return store


def test_the_cluster_stays_what_it_is_and_its_settings_come_from_the_archive() -> None:
    live, other = live_store(), StateStore(TODAY)
    other.apply(1, encode(InitialiseDefaults()))
    other.apply(2, encode(SetClusterMetadata(cluster_id="theirs")))
    other.apply(900, encode(SetSchedulerConfiguration(configuration=SPREAD)))
    result = restored(live.image(), other.image(), 1_000, TODAY)
    live.restore(result.image)
    assert live.applied_index == 1_000
    assert live.level == TODAY.level
    assert cluster.current(live) == cluster.ClusterMetadata(
        cluster_id="ours", create_index=2, modify_index=2
    )
    written = scheduler.current(live)
    assert written is not None
    assert (written.scheduler_algorithm, written.create_index, written.modify_index) == (
        *("spread", 1, 1_000),
    )
    assert live.table_index("autopilot_configuration") == 1  # the same: nothing has changed
    assert live.changed_in_memory() == []
    kept = {change.table for change in result.changes if change.on_restore is OnRestore.KEPT}
    assert {"cluster_level", "cluster_metadata", "servers"} <= kept
    told = {change.table: change for change in result.changes}
    assert told["scheduler_configuration"] == TableChange(
        table="scheduler_configuration", on_restore=OnRestore.REPLACED, changed=1
    )


def test_a_restore_of_the_present_state_changes_nothing_but_the_index() -> None:
    live = live_store()
    digest = live.digest()
    result: Restored = restored(live.image(), live.image(), 10, TODAY)
    assert all(change.added == change.changed == change.deleted == 0 for change in result.changes)
    live.restore(result.image)
    assert (live.digest(), live.applied_index) == (digest, 10)


def test_an_archive_of_a_higher_level_is_refused() -> None:
    live, archive = StateStore(TODAY), live_store()
    with pytest.raises(QuorateError, match="was of feature level") as refused:
        restored(live.image(), archive.image(), 10, TODAY)
    assert "upgrade all servers" in refused.value.next_step


def test_an_index_that_may_have_been_given_is_a_bug_of_the_caller() -> None:
    live = live_store()
    with pytest.raises(AssertionError, match="may have been given"):
        restored(live.image(), StateStore(TODAY).image(), 3, TODAY)


class Merge(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 0x71

    def apply(self, tables: Tables, index: int) -> None:
        tables.put(KINDS[OnRestore.MERGED], SINGLETON, Row(), index)


def test_a_table_says_how_it_is_merged_if_it_is() -> None:
    for on_restore, merge in ((OnRestore.MERGED, None), (OnRestore.KEPT, larger)):
        wrong = msgspec.structs.replace(table(on_restore), merge=merge)
        with pytest.raises(ValueError, match="merge"):
            Registry(tables=(wrong,))
    assert level.TABLE.on_restore is OnRestore.KEPT


# -- as commands of the log (state.engine.restoring) ---------------------------------------------


def store_of(image: SnapshotImage) -> StateStore:
    store = StateStore(OURS)
    store.restore(image)
    return store


def again(store: StateStore) -> StateStore:
    """The same, out of a snapshot."""
    out = io.BytesIO()
    encode_snapshot(store.image(), out.write, OURS)
    out.seek(0)
    return store_of(decode_snapshot(out.read, OURS))


@given(ROWS, ROWS, st.integers(1, 3))
def test_pieces_and_one_commit_make_what_was_computed(
    ours: dict[str, tuple[int, int, int]], theirs: dict[str, tuple[int, int, int]], rows_max: int
) -> None:
    store = store_of(state(ours))
    live = store.image()
    found = restored(live, state(theirs, 7_000), 9_000, OURS)
    names = ("replaced", "merged")
    pieces = list(pieces_of(live, found, "r", rows_max=rows_max))
    commit = CommitRestore(
        id="r", pieces=len(pieces), tables=tuple(c.table for c in found.changes if c.any)
    )
    assert store.apply(101, encode(BeginRestore(id="r", index=9_000, tables=names))) is True
    before = {name: dict(rows) for name, rows in live.rows.items()}
    restarted = again(store)
    for at, piece in enumerate(pieces, 102):
        assert len(piece.rows) + len(piece.gone) <= rows_max
        assert store.apply(at, encode(piece)) is True
        assert restarted.apply(at, encode(piece)) is True
        restarted = again(restarted)
        for kind, table in KINDS.items():  # nothing shows before the end
            assert dict(store.rows(table)) == before[kind.value]
    at = 102 + len(pieces)
    woken: list[bool] = []
    store.watch("replaced", lambda: woken.append(True))
    for each in (store, restarted):
        assert each.apply(at, encode(commit)) == 9_000
        assert each.changed_in_memory() == []
    assert woken
    for kind, table in KINDS.items():
        assert dict(store.rows(table)) == dict(found.image.rows[kind.value])
        assert store.table_index(table.name) == found.image.tables.held[table.name].index
    assert store.index == 9_000
    assert store.digest() == restarted.digest() == again(store).digest()
    assert again(store).index == 9_000
    assert {rows for rows in store.image().rows if rows.startswith("restoring:")} == set()


def test_a_write_in_between_refuses_the_restore_and_stays() -> None:
    store = live_store()
    live = store.image()
    other = StateStore(TODAY)
    other.apply(900, encode(SetSchedulerConfiguration(configuration=SPREAD)))
    found = restored(live, other.image(), 9_000, TODAY)
    names = ("scheduler_configuration", "autopilot_configuration")
    pieces = list(pieces_of(live, found, "r"))
    commit = CommitRestore(id="r", pieces=len(pieces), tables=("scheduler_configuration",))
    store.apply(10, encode(BeginRestore(id="r", index=9_000, tables=names)))
    for at, piece in enumerate(pieces, 11):
        assert store.apply(at, encode(piece)) is True
    written = SchedulerConfiguration(reject_job_registration=True)
    store.apply(50, encode(SetSchedulerConfiguration(configuration=written)))
    assert store.apply(51, encode(commit)) == 0
    now = scheduler.current(store)
    assert now is not None
    assert (now.reject_job_registration, now.scheduler_algorithm) == (True, "binpack")
    assert (store.index, restoring.current(store)) == (51, None)


@pytest.mark.parametrize("wrong", ["id", "number", "pieces", "tables", "index", "dropped", "again"])
def test_a_restore_that_is_not_the_one_begun_changes_nothing(wrong: str) -> None:
    store = live_store()
    (key, row) = next(iter(store.rows(scheduler.TABLE).items()))
    data = msgspec.msgpack.encode((key, msgspec.structs.replace(row, scheduler_algorithm="spread")))
    name = "scheduler_configuration"
    begun = store.apply(
        10, encode(BeginRestore(id="r", index=9 if wrong == "index" else 9_000, tables=(name,)))
    )
    assert begun is (wrong != "index")
    if wrong == "dropped":
        assert store.apply(11, encode(DropRestore(id="r"))) is True
    if wrong == "again":  # another leader begins: what the first one still sends is not taken
        assert store.apply(11, encode(BeginRestore(id="s", index=9_000, tables=(name,)))) is True
    piece = RestoreRows(
        id="x" if wrong == "id" else "r",
        number=1 if wrong == "number" else 0,
        table=name,
        rows=(data,),
    )
    taken = store.apply(12, encode(piece))
    assert taken is (wrong in {"pieces", "tables"})
    commit = CommitRestore(
        id="r",
        pieces=2 if wrong == "pieces" else 1,
        tables=("cluster_metadata",) if wrong == "tables" else (name,),
    )
    assert store.apply(13, encode(commit)) == 0
    assert dict(store.rows(scheduler.TABLE)) == {key: row}
    assert store.index == 13


def test_rows_that_this_version_cannot_read_are_not_passed_over() -> None:
    store = live_store()
    store.apply(10, encode(BeginRestore(id="r", index=9_000, tables=("scheduler_configuration",))))
    for table, data in (("scheduler_configuration", b"x"), ("to_come", b"")):
        piece = RestoreRows(id="r", number=0, table=table, rows=(data,))
        with pytest.raises(Held):
            store.apply(11, encode(piece))
