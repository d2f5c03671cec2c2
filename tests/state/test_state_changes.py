"""Change records, what changed since an index, and whom a change wakes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespace_commands import REGISTRY, DeleteNamespaces, PutNamespaces

from quorate.state.engine import changes as changes_module
from quorate.state.engine.changes import Change
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.tables.namespaces import BUILT_IN, TABLE, Namespace

SPACES = TABLE.name


def put(*names: str) -> Command:
    return PutNamespaces(names=names)


def delete(*names: str) -> Command:
    return DeleteNamespaces(names=names)


def store_after(*commands: Command) -> StateStore:
    store = StateStore(REGISTRY)
    for command in commands:
        store.apply(store.applied_index + 1, encode(command))
    return store


def apply(store: StateStore, command: Command) -> int:
    store.apply(store.applied_index + 1, encode(command))
    return store.applied_index


# -- change records ------------------------------------------------------------------------------


def test_a_follower_gets_the_changes_of_each_command_in_order() -> None:
    store = StateStore(REGISTRY)
    heard: list[list[Change] | None] = []
    end = store.follow(heard.append, [SPACES])
    apply(store, put("a", "b"))
    apply(store, delete("nosuch"))
    apply(store, delete("a"))
    a, b = (Namespace(name=name, create_index=1, modify_index=1) for name in ("a", "b"))
    assert heard == [
        [Change(SPACES, "a", None, a, 1), Change(SPACES, "b", None, b, 1)],
        [Change(SPACES, "a", a, None, 3)],
    ]
    apply(store, put("default"))
    default = Namespace(name="default", create_index=1, modify_index=4)
    assert heard[2:] == [[Change(SPACES, "default", BUILT_IN, default, 4)]]
    store.restore(store_after().image())
    assert heard[3:] == [None]
    end()
    end()
    apply(store, put("c"))
    assert len(heard) == 4


# -- what changed since --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "since", "changed"),
    [
        pytest.param({}, 3, True, id="table"),
        pytest.param({}, 4, False, id="table, the last change"),
        pytest.param({}, 999, False, id="table, ahead"),
        pytest.param({"prefix": ""}, 3, True, id="no prefix is the table"),
        pytest.param({"key": "team-a"}, 1, True, id="a key that was written again"),
        pytest.param({"key": "team-a"}, 2, False, id="as it was written"),
        pytest.param({"key": "default"}, 1, False, id="a key that others were written beside"),
        pytest.param({"key": "team-b"}, 3, True, id="a deleted key"),
        pytest.param({"key": "team-b"}, 4, False, id="deleted before"),
        pytest.param({"key": "nosuch"}, 1, False, id="a key that never was"),
        pytest.param({"prefix": "team"}, 3, True, id="a deletion below the prefix"),
        pytest.param({"prefix": "team"}, 4, False, id="nothing after it"),
        pytest.param({"prefix": "team-a"}, 2, False, id="other keys only"),
        pytest.param({"prefix": "team-a"}, 1, True, id="a write below the prefix"),
        pytest.param({"prefix": "x"}, 1, False, id="nothing below the prefix"),
        pytest.param({"prefix": "x"}, 999, False, id="prefix, ahead"),
    ],
)
def test_what_changed_since_an_index(place: dict[str, str], since: int, changed: bool) -> None:
    # Index 1 is that of the built-in namespace; here nothing is known of what was before it.
    store = store_after(put("team-a"), put("team-a"), put("team-b"), delete("team-b"))
    assert store.changed_since(SPACES, since, **place) is changed


@pytest.mark.parametrize(
    ("place", "since", "changed"),
    [
        pytest.param({}, 3, True, id="the table's index tells"),
        pytest.param({"key": "kept"}, 1, False, id="a record tells when it was written"),
        pytest.param({"key": "kept"}, 0, True, id="and that it was written after"),
        pytest.param({"key": "gone"}, 3, None, id="a deletion before the snapshot"),
        pytest.param({"key": "gone"}, 4, False, id="none since the table's index"),
        pytest.param({"prefix": "x"}, 3, None, id="a prefix before the snapshot"),
        pytest.param({"prefix": "x"}, 4, False, id="and since the table's index"),
    ],
)
def test_after_a_snapshot_only_what_is_certain_is_said(
    place: dict[str, str], since: int, changed: bool | None
) -> None:
    """As after a restart, or an install: the changes that led to the snapshot are not known."""
    before = store_after(put("kept"), put("gone"), put("other"), delete("gone"))
    after = StateStore(REGISTRY)
    after.restore(before.image())
    assert after.changed_since(SPACES, since, **place) is changed


@pytest.mark.parametrize(
    ("bound", "value"), [("RECENT_MAX", 3), ("RECENT_KEY_BYTES_MAX", 3 * len("a0"))]
)
def test_what_was_forgotten_is_not_denied(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(changes_module, bound, value)
    store = store_after(*(put(f"a{number}") for number in range(5)), delete("a0"), put("a1"))
    # The changes at 5, 6 and 7 are kept: what came after 4 is known.
    assert store.changed_since(SPACES, 3, key="a0") is True
    assert store.changed_since(SPACES, 4, prefix="b") is False
    assert store.changed_since(SPACES, 3, prefix="b") is None
    assert store.changed_since(SPACES, 3, key="nosuch") is None
    assert store.changed_since(SPACES, 3, key="a2") is False
    for number in range(3):
        apply(store, put(f"b{number}"))
    assert store.changed_since(SPACES, 5, key="a0") is None  # its deletion is forgotten
    assert store.changed_since(SPACES, 7, key="a0") is False


NAMES = st.sampled_from(["a", "aa", "ab", "b", "ba", ""])
COMMANDS = st.lists(st.tuples(st.booleans(), st.lists(NAMES, min_size=1, max_size=3)), max_size=30)


@given(COMMANDS, st.integers(0, 30), st.integers(1, 31), NAMES)
def test_no_change_is_ever_denied_and_none_is_made_up(
    commands: list[tuple[bool, list[str]]], restored_at: int, since: int, place: str
) -> None:
    """Beside a model that remembers every change, with a restart in between."""
    store, history = StateStore(REGISTRY), []
    present = {"default"}
    for index, (puts, names) in enumerate(commands, start=2):
        store.apply(index, encode(put(*names) if puts else delete(*names)))
        for name in names:
            if puts or name in present:
                history.append((index, name))
            (present.add if puts else present.discard)(name)
        if index == restored_at:
            image, store = store.image(), StateStore(REGISTRY)
            store.restore(image)
    keyed = any(index > since and name == place for index, name in history)
    below = any(index > since and name.startswith(place) for index, name in history)
    assert store.changed_since(SPACES, since, key=place) in {keyed, None}
    assert store.changed_since(SPACES, since, prefix=place) in {below, None}
    newest = store.table_index(SPACES)
    assert store.changed_since(SPACES, newest, key=place) is False
    assert store.changed_since(SPACES, newest, prefix=place) is False
    if restored_at < since:
        assert store.changed_since(SPACES, since, key=place) is keyed
        assert store.changed_since(SPACES, since, prefix=place) is below


# -- watches -------------------------------------------------------------------------------------


class Ears:
    """Watches by name; what was heard since it was asked last."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._heard: list[str] = []
        self.ends: dict[str, Callable[[], None]] = {}

    def watch(self, name: str, **place: Any) -> None:
        self.ends[name] = self._store.watch(SPACES, partial(self._heard.append, name), **place)

    def heard(self) -> list[str]:
        heard, self._heard[:] = sorted(self._heard), []
        return heard


def test_a_change_wakes_those_of_its_key_its_prefixes_and_its_table_once() -> None:
    store = StateStore(REGISTRY)
    ears = Ears(store)
    ears.watch("all")
    ears.watch("no prefix", prefix="")
    ears.watch("team-a", key="team-a")
    ears.watch("team-b", key="team-b")
    ears.watch("team", prefix="team")
    ears.watch("team-a below", prefix="team-a")
    ears.watch("empty key", key="")
    assert store.watching == 7
    for command, heard in (
        (put("team-a"), ["all", "no prefix", "team", "team-a", "team-a below"]),
        (
            put("team-a", "team-b"),
            ["all", "no prefix", "team", "team-a", "team-a below", "team-b"],
        ),
        (put("tea"), ["all", "no prefix"]),
        (delete("team-b"), ["all", "no prefix", "team", "team-b"]),
        (delete("team-b"), []),
        (put(""), ["all", "empty key", "no prefix"]),
    ):
        apply(store, command)
        assert ears.heard() == heard
    store.restore(store.image())
    assert ears.heard() == sorted(ears.ends)
    for name in ("team", "team", "team-a", "all", "empty key"):
        ears.ends[name]()
    assert store.watching == 3
    apply(store, put("team-a"))
    assert ears.heard() == ["no prefix", "team-a below"]
    for end in ears.ends.values():
        end()
    assert store.watching == 0
    apply(store, put("team-a"))
    assert ears.heard() == []


class Counted(str):
    """A key that counts how often it is compared or hashed."""

    __slots__ = ()
    asked = 0

    def __hash__(self) -> int:
        Counted.asked += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Counted.asked += 1
        return super().__eq__(other)


def test_watches_of_other_keys_cost_a_change_nothing() -> None:
    store = StateStore(REGISTRY)
    woken: list[str] = []
    for number in range(2000):
        name = Counted(f"key-{number:04}")
        store.watch(SPACES, partial(woken.append, name), key=name)
        store.watch(SPACES, partial(woken.append, name + "/"), prefix=Counted(name + "/"))
    Counted.asked = 0
    apply(store, put("key-0007"))
    apply(store, put("key-0008/x"))
    assert woken == ["key-0007", "key-0008/"]
    assert Counted.asked < 20
