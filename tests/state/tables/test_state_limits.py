"""Bounds of the state: what makes it larger is refused, the same everywhere; the rest passes."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.commands import BeginRestore, CommitRestore
from quorate.state.engine.restore.rules import pieces_of, restored
from quorate.state.engine.snapshot import decode_snapshot, encode_snapshot
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import SINGLETON, Command, Reader
from quorate.state.registry import TABLES, TODAY
from quorate.state.tables import limits, variables
from quorate.state.tables.limits import (
    LIMITS_MAX,
    Full,
    Limit,
    RecordMemory,
    SetLimit,
    namespace_bytes,
    state_bytes,
    state_bytes_max,
)
from quorate.state.tables.locks import AcquireLock, ExpireLock, ReleaseLock, RenewLock
from quorate.state.tables.namespaces import DeleteNamespace, Namespace, UpsertNamespace
from quorate.state.tables.variables import (
    Conflict,
    DeleteVariable,
    Operation,
    PutVariable,
    Sealed,
    Variable,
    Why,
    WriteVariables,
)


class State:
    """A store of level 3."""

    def __init__(self) -> None:
        self.store = StateStore(TODAY)
        self.apply(RaiseLevel(level=3))

    def apply(self, command: Command) -> Any:
        return self.store.apply(self.store.applied_index + 1, encode(command))

    def put(self, path: str, size: int = 100, namespace: str = "default", **more: Any) -> Any:
        data = b"x" * size
        return self.apply(PutVariable(namespace=namespace, path=path, time_ns=1, data=data, **more))

    def delete(self, path: str, namespace: str = "default") -> Any:
        return self.apply(DeleteVariable(namespace=namespace, path=path))

    def acquire(self, path: str, lock_id: str = "l", *, keep: bool = False) -> Any:
        return self.apply(
            AcquireLock(
                namespace="default",
                path=path,
                time_ns=1,
                lock_id=lock_id,
                ttl_ns=10,
                delay_ns=0,
                data=b"x",
                keep=keep,
            )
        )

    def limit(self, bytes_max: int, namespace: str = "") -> Any:
        return self.apply(SetLimit(namespace=namespace, bytes_max=bytes_max))

    @property
    def size(self) -> int:
        return state_bytes(self.store)


def counted_again(reader: Reader, name: str) -> tuple[int, dict[str, int]]:
    """Weight and weights of a table, from its rows alone."""
    table = next(each for each in TABLES if each.name == name)
    by_group: dict[str, int] = {}
    for row in reader.rows(table).values():
        assert table.weigh is not None
        group, weight = table.weigh(row)
        by_group[group] = by_group.get(group, 0) + weight
    return sum(by_group.values()), by_group


def check(store: StateStore) -> None:
    for name in limits.COUNTED:
        assert (store.weight(name), dict(store.weights(name))) == counted_again(store, name)


def test_a_put_up_to_the_bound_passes_and_one_byte_more_does_not() -> None:
    state = State()
    state.put("a")
    grown = state.size
    state.put("b")
    one = state.size - grown
    state.limit(state.size + one)
    assert isinstance(state.put("c", 101), Full)
    assert isinstance(state.put("c", 100), Variable)
    assert state.size == state_bytes_max(state.store)
    before = state.size
    full = state.put("a", 101)
    assert full == Full("", before, 1, before)
    assert state.size == before
    assert isinstance(state.put("a", 100), Variable), "as large as before"


def test_what_does_not_grow_passes_when_the_state_is_far_over_its_bound() -> None:
    state = State()
    for number in range(10):
        state.put(f"v{number}")
    state.acquire("v0", keep=True)
    state.limit(limits.SHARE)  # below all that is there
    assert isinstance(state.put("new", 1), Full)
    assert isinstance(state.acquire("v1", keep=True), Full)
    assert isinstance(state.put("v2", 99), Variable), "it shrinks"
    assert isinstance(state.apply(RenewLock(namespace="default", path="v0", lock_id="l")), Variable)
    assert isinstance(state.acquire("v0", keep=True), Variable), "a renewal"
    index = state.store.index
    state.apply(ExpireLock(namespace="default", path="v0", since=index, time_ns=2))
    assert state.delete("v3") is None
    assert state.apply(UpsertNamespace(namespace=Namespace(name="team"))) == ""
    check(state.store)


def test_a_release_passes_too() -> None:
    state = State()
    state.acquire("a")
    state.limit(1)
    freed = state.apply(ReleaseLock(namespace="default", path="a", time_ns=2, lock_id="l"))
    assert isinstance(freed, Variable)


def test_a_lock_and_its_variable_count_together() -> None:
    state = State()
    state.acquire("probe")
    grown = state.size
    state.acquire("prob2")
    needs = state.size - grown
    state.limit(state.size + needs - 1)
    assert isinstance(state.acquire("prob3"), Full)
    state.limit(state.size + needs)
    assert isinstance(state.acquire("prob3"), Variable)
    assert state.size == state_bytes_max(state.store)


def test_several_writes_count_together() -> None:
    state = State()
    state.put("old", 1000)
    state.limit(state.size)

    def move(size: int) -> Any:
        return state.apply(
            WriteVariables(
                time_ns=1,
                operations=(
                    Operation(namespace="default", path="new", items=Sealed(b"y" * size)),
                    Operation(namespace="default", path="old"),
                ),
            )
        )

    assert isinstance(move(1001), Full)
    assert variables.by_path(state.store, "default", "old") is not None, "nothing is done"
    assert isinstance(move(1000), tuple), "what a full state holds can be moved"
    assert state.size == state_bytes_max(state.store)


def test_a_condition_is_told_before_the_bound() -> None:
    state = State()
    state.put("a")
    state.limit(1)
    conflict = state.put("a", 1000, cas=0)
    assert isinstance(conflict, Conflict)
    assert conflict.why is Why.CAS


def test_a_namespace_has_a_bound_of_its_own() -> None:
    state = State()
    state.put("a", namespace="web")
    most = namespace_bytes(state.store, "web")
    assert state.limit(most, "web") == ""
    assert state.put("b", namespace="web") == Full("web", most, most, most)
    assert isinstance(state.put("b", namespace="other"), Variable)
    assert isinstance(state.put("a", namespace="web"), Variable)
    state.limit(0, "web")
    assert isinstance(state.put("b", namespace="web"), Variable)


def test_a_bound_goes_with_its_namespace() -> None:
    state = State()
    state.apply(UpsertNamespace(namespace=Namespace(name="web")))
    state.limit(10_000, "web")
    assert state.apply(DeleteNamespace(name="web")) == ""
    assert "web" not in state.store.rows(limits.TABLE)


def test_the_default_is_a_quarter_of_the_smallest_servers_memory() -> None:
    state = State()
    assert state_bytes_max(state.store) == 0, "nothing is known as yet"
    state.apply(RecordMemory(memory=(("a", 8000), ("b", 4001))))
    assert state_bytes_max(state.store) == 1000
    state.limit(5000)
    assert state_bytes_max(state.store) == 5000
    state.apply(RecordMemory(memory=(("a", 8000),)))
    assert state.store.rows(limits.TABLE)[SINGLETON].bytes_max == 5000, "an operator's stays"
    state.limit(0)
    assert state_bytes_max(state.store) == 2000


def test_a_configured_bound_is_that_of_the_first_record_alone() -> None:
    state = State()
    state.apply(RecordMemory(memory=(("a", 8000),), first_bytes_max=777))
    assert state_bytes_max(state.store) == 777
    state.apply(RecordMemory(memory=(("a", 9000),), first_bytes_max=888))
    assert state_bytes_max(state.store) == 777


def test_bounds_of_namespaces_are_bounded() -> None:
    state = State()
    for number in range(LIMITS_MAX + 1):
        refused = state.limit(5, f"n{number}")
        if refused:
            break
    assert "most there can be" in refused
    assert state.limit(6, "n0") == "", "one that is there can be changed"


def test_a_restore_of_a_larger_archive_passes_and_then_only_less_does() -> None:
    archive = State()
    for number in range(20):
        archive.put(f"v{number:02}", 1000)
    archive.limit(1 << 30)
    archive.limit(123_456, "web")
    state = State()
    state.put("own")
    state.limit(5000)
    index = max(state.store.index, archive.store.index) + 100
    live = state.store.image()
    found = restored(live, archive.store.image(), index, TODAY)
    names = tuple(change.table for change in found.changes if change.any)
    state.apply(BeginRestore(id="r", index=index, tables=names))
    pieces = list(pieces_of(live, found, "r"))
    for piece in pieces:
        assert state.apply(piece)
    assert state.apply(CommitRestore(id="r", pieces=len(pieces), tables=names)) == index
    check(state.store)
    assert state.size > state_bytes_max(state.store) == 5000, "the cluster's own bound stays"
    assert state.store.rows(limits.TABLE)["web"].bytes_max == 123_456, "a namespace's comes with it"
    assert isinstance(state.put("v00", 1001), Full)
    assert isinstance(state.put("v00", 999), Variable)
    assert state.delete("v01") is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "acquire", "move", "snapshot"]),
        st.sampled_from(["a", "b/c", "d"]),
        st.sampled_from(["default", "web"]),
        st.integers(0, 3000),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_sizes_are_those_of_the_rows_whatever_happens(
    steps: list[tuple[str, str, str, int]],
) -> None:
    state = State()
    state.limit(6000)
    state.limit(3500, "web")
    for kind, path, namespace, size in steps:
        match kind:
            case "put":
                state.put(path, size, namespace)
            case "delete":
                state.delete(path, namespace)
            case "acquire":
                state.acquire(path, keep=bool(size % 2))
            case "move":
                items = Sealed(b"z" * size)
                operations = (
                    Operation(namespace=namespace, path="m", items=items),
                    Operation(namespace="default", path=path),
                )
                state.apply(WriteVariables(time_ns=1, operations=operations))
            case _:
                written = io.BytesIO()
                encode_snapshot(state.store.image(), written.write, TODAY)
                written.seek(0)
                state.store.restore(decode_snapshot(written.read, TODAY))
        check(state.store)
        assert state.size <= 6000
        assert namespace_bytes(state.store, "web") <= 3500


PUTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b/c"]),
        st.sampled_from(["default", "web"]),
        st.integers(0, 900),
        st.sampled_from([None, None, 0, 5]),
        st.sampled_from(["", "", "l"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(PUTS)
def test_a_put_is_one_of_several_writes_alone(
    puts: list[tuple[str, str, int, int | None, str]],
) -> None:
    """What a put leaves out for a variable that does not grow changes nothing."""
    alone, several = State(), State()
    for state in (alone, several):
        state.acquire("b/c")
        state.limit(3000)
        state.limit(1500, "web")
    for path, namespace, size, cas, lock_id in puts:
        found = alone.put(path, size, namespace, cas=cas, lock_id=lock_id)
        items = Sealed(b"x" * size)
        operation = Operation(namespace=namespace, path=path, items=items, cas=cas, lock_id=lock_id)
        other = several.apply(WriteVariables(time_ns=1, operations=(operation,)))
        assert (other[0] if isinstance(other, tuple) else other) == found
        assert alone.store.digest() == several.store.digest()


def test_a_limit_survives_a_snapshot() -> None:
    state = State()
    state.limit(4711, "web")
    written = io.BytesIO()
    encode_snapshot(state.store.image(), written.write, TODAY)
    written.seek(0)
    image = decode_snapshot(written.read, TODAY)
    assert image.rows["limits"]["web"] == Limit(bytes_max=4711, create_index=2, modify_index=2)
