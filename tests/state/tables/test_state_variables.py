"""The table of variables: compare-and-set, several at once, lists, what a snapshot keeps."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.variables import (
    OPERATIONS_MAX,
    Conflict,
    DeleteVariable,
    Operation,
    PutVariable,
    Sealed,
    Variable,
    WriteVariables,
    any_in,
    by_path,
    key_of,
    listed,
    listed_in_all,
)


class State:
    """A store, and the next index."""

    def __init__(self) -> None:
        self.store = StateStore(TODAY)
        self.apply(RaiseLevel(level=3))

    def apply(self, command: Command) -> object:
        return self.store.apply(self.store.applied_index + 1, encode(command))

    def put(
        self, path: str, data: bytes = b"x", cas: int | None = None, namespace: str = "default"
    ) -> object:
        time_ns = 1000 + self.store.applied_index
        return self.apply(
            PutVariable(namespace=namespace, path=path, time_ns=time_ns, data=data, cas=cas)
        )

    def paths(self, prefix: str = "", start: str = "", namespace: str = "default") -> list[str]:
        return [row.path for row in listed(self.store, namespace, prefix, start)]

    def all_paths(self, prefix: str = "", start: str = "") -> list[tuple[str, str]]:
        rows = listed_in_all(self.store, prefix, start)
        return [(row.namespace, row.path) for row in rows]


def test_a_put_keeps_the_time_of_creation_and_raises_the_modify_index() -> None:
    state = State()
    first, second = state.put("a"), state.put("a", b"y")
    assert isinstance(first, Variable)
    assert isinstance(second, Variable)
    assert (second.create_index, second.create_time) == (first.create_index, first.create_time)
    assert second.modify_index == first.modify_index + 1
    assert second.modify_time > first.modify_time
    assert by_path(state.store, "default", "a") == second


def test_cas_writes_once_and_answers_with_the_present_one() -> None:
    state = State()
    made = state.put("a", cas=0)
    assert isinstance(made, Variable)
    lost = state.put("a", b"y", cas=0)
    assert isinstance(lost, Conflict)
    assert lost.current == made
    assert state.put("none", cas=7) == Conflict(lost.why, None)
    assert isinstance(state.put("a", b"y", cas=made.modify_index), Variable)


def test_a_deletion_obeys_cas_and_none_to_delete_is_no_error() -> None:
    state = State()
    made = state.put("a")
    assert isinstance(made, Variable)
    refused = state.apply(DeleteVariable(namespace="default", path="a", cas=1))
    assert isinstance(refused, Conflict)
    assert refused.current == made
    at = made.modify_index
    assert state.apply(DeleteVariable(namespace="default", path="a", cas=at)) is None
    index = state.store.table_index("variables")
    assert state.apply(DeleteVariable(namespace="default", path="a")) is None
    assert state.store.table_index("variables") == index, "nothing changed"


def written(*operations: Operation) -> WriteVariables:
    return WriteVariables(time_ns=5, operations=operations)


def test_several_are_written_or_none() -> None:
    state = State()
    old = state.put("old")
    assert isinstance(old, Variable)
    sealed = Sealed(b"new")
    put = Operation(namespace="default", path="new", items=sealed, cas=0)
    gone = Operation(namespace="default", path="old", cas=old.modify_index)
    check = Operation(namespace="default", path="none", cas=0, only_check=True)
    wrong = Operation(namespace="default", path="old", cas=1, only_check=True)

    refused = state.apply(written(put, gone, wrong))
    assert isinstance(refused, Conflict)
    assert (refused.position, refused.current) == (2, old)
    assert state.paths() == ["old"]

    done = state.apply(written(put, gone, check))
    assert isinstance(done, tuple)
    assert [None if each is None else each.path for each in done] == ["new", None, None]
    assert state.paths() == ["new"]
    assert OPERATIONS_MAX == 64


def test_lists_are_by_namespace_and_prefix() -> None:
    state = State()
    for namespace in ("team-b", "default", "team"):
        for path in ("b/2", "a/1", "a", "b/1"):
            state.put(path, namespace=namespace)
    assert state.paths() == ["a", "a/1", "b/1", "b/2"]
    assert state.paths("b/", namespace="team") == ["b/1", "b/2"]
    assert state.paths("zzz") == []
    assert state.all_paths("b/2") == [(name, "b/2") for name in ("default", "team", "team-b")]
    assert state.paths("a", start=key_of("default", "a/1")) == ["a/1"]
    assert state.all_paths("", start=key_of("team", "b/1")) == [
        *(("team", path) for path in ("b/1", "b/2")),
        *(("team-b", path) for path in ("a", "a/1", "b/1", "b/2")),
    ]
    assert any_in(state.store, "team-b") is not None
    assert any_in(state.store, "tea") is None


NAMES = st.text("ab-", min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NAMES, NAMES, st.booleans()), max_size=40),
    st.text("ab-", max_size=2),
    st.tuples(NAMES, NAMES) | st.none(),
)
def test_lists_are_those_of_a_sorted_list(
    writes: list[tuple[str, str, bool]], prefix: str, start: tuple[str, str] | None
) -> None:
    state, model = State(), set[tuple[str, str]]()
    for namespace, path, kept in writes:
        if kept:
            state.put(path, namespace=namespace)
            model.add((namespace, path))
        else:
            state.apply(DeleteVariable(namespace=namespace, path=path))
            model.discard((namespace, path))
    wanted = sorted(pair for pair in model if pair[1].startswith(prefix))
    key = key_of(*start) if start else ""
    assert state.all_paths(prefix, key) == [pair for pair in wanted if pair >= (start or ("",))]
    for namespace in {pair[0] for pair in model}:
        ours = [path for name, path in wanted if name == namespace]
        assert state.paths(prefix, namespace=namespace) == ours


def test_a_snapshot_keeps_variables() -> None:
    state = State()
    state.put("a", b"secret")
    chunks: list[bytes] = []
    state.store.snapshot()(chunks.append)
    other = StateStore(TODAY)
    other.restore(decode_snapshot(io.BytesIO(b"".join(chunks)).read, TODAY))
    assert by_path(other, "default", "a") == by_path(state.store, "default", "a")
    assert other.digest() == state.store.digest()
