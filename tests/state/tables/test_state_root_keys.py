"""The table of root keys: one active key, rotations, removals, and what a restore makes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.rules import restored
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.root_keys import (
    ACTIVE,
    DISKS,
    INACTIVE,
    KEYS_MAX,
    NOT_FOUND,
    REKEYING,
    STILL_ACTIVE,
    TABLE,
    VALUES,
    AddRootKey,
    EndPhase,
    RemoveRootKey,
    RootKey,
    active,
)


class State:
    """A store, and the next index."""

    def __init__(self) -> None:
        self.store = StateStore(TODAY)
        self.apply(RaiseLevel(level=3))

    def apply(self, command: Command) -> object:
        return self.store.apply(self.store.applied_index + 1, encode(command))

    def add(self, key_id: str, prev: str = "", *, full: bool = False) -> object:
        key = key_id.encode().ljust(32, b".")
        return self.apply(AddRootKey(key_id=key_id, key=key, create_time=1, prev=prev, full=full))

    def end(self, key_id: str, phase: str) -> object:
        row = self.rows().get(key_id)
        index = row.modify_index if row else 0
        return self.apply(EndPhase(key_id=key_id, phase=phase, modify_index=index))

    def rows(self) -> dict[str, RootKey]:
        return dict(self.store.rows(TABLE))

    def states(self) -> dict[str, str]:
        return {key_id: row.state for key_id, row in self.rows().items()}


def test_the_first_key_is_active_and_has_nothing_to_seal_again() -> None:
    state = State()
    assert state.add("a") == ""
    assert state.states() == {"a": ACTIVE}
    assert state.rows()["a"].phase == ""


def test_two_leaders_that_both_make_the_first_key_leave_one() -> None:
    state = State()
    state.add("a")
    assert "meanwhile" in str(state.add("b"))
    assert state.states() == {"a": ACTIVE}


def test_a_rotation_seals_values_again_and_then_the_older_key_is_unused() -> None:
    state = State()
    state.add("a")
    state.add("b", "a")
    assert state.states() == {"a": INACTIVE, "b": ACTIVE}
    assert state.rows()["b"].phase == VALUES
    assert state.rows()["a"].unused_index == 0
    assert state.end("b", VALUES) is True
    assert state.rows()["b"].phase == ""
    assert state.rows()["a"].unused_index == state.store.applied_index
    assert state.end("b", VALUES) is False


def test_a_phase_ends_only_as_it_was_looked_at() -> None:
    state = State()
    state.add("a")
    state.add("b", "a")
    index = state.rows()["b"].modify_index
    assert state.apply(EndPhase(key_id="b", phase=VALUES, modify_index=index - 1)) is False
    assert state.apply(EndPhase(key_id="b", phase=DISKS, modify_index=index)) is False
    assert state.rows()["b"].phase == VALUES


def test_a_full_rotation_ends_when_the_disks_are_done() -> None:
    state = State()
    state.add("a")
    state.add("b", "a", full=True)
    assert state.states() == {"a": REKEYING, "b": ACTIVE}
    state.end("b", VALUES)
    assert (state.rows()["b"].phase, state.rows()["b"].full) == (DISKS, True)
    assert state.states()["a"] == REKEYING
    unused = state.rows()["a"].unused_index
    assert unused == state.store.applied_index
    state.end("b", DISKS)
    assert state.states() == {"a": INACTIVE, "b": ACTIVE}
    assert (state.rows()["b"].phase, state.rows()["b"].full) == ("", False)
    assert state.rows()["a"].unused_index == unused


def test_a_full_rotation_that_did_not_end_goes_on_with_the_next_key() -> None:
    state = State()
    state.add("a")
    state.add("b", "a", full=True)
    state.add("c", "b")
    assert state.states() == {"a": REKEYING, "b": INACTIVE, "c": ACTIVE}
    assert (state.rows()["c"].phase, state.rows()["c"].full) == (VALUES, True)


def test_the_active_key_is_not_removed_nor_one_that_has_changed() -> None:
    state = State()
    state.add("a")
    state.add("b", "a")
    index = state.rows()["a"].modify_index
    assert state.apply(RemoveRootKey(key_id="b", modify_index=index)) == STILL_ACTIVE
    assert state.apply(RemoveRootKey(key_id="x", modify_index=index)) == NOT_FOUND
    assert "meanwhile" in str(state.apply(RemoveRootKey(key_id="a", modify_index=index - 1)))
    assert state.apply(RemoveRootKey(key_id="a", modify_index=index)) == ""
    assert state.states() == {"b": ACTIVE}


def test_keys_are_bounded() -> None:
    state = State()
    prev = ""
    for number in range(KEYS_MAX):
        assert state.add(f"k{number}", prev) == ""
        prev = f"k{number}"
    assert "remove older ones" in str(state.add("more", prev))


def test_no_key_is_shown_where_a_record_or_a_command_is() -> None:
    state = State()
    state.add("secret")
    command = AddRootKey(key_id="a", key=b"secret" * 6, create_time=1)
    assert "secret" not in repr(state.rows()["secret"])
    assert "secret" not in repr(command)


def test_a_restore_keeps_all_keys_and_the_own_active_one() -> None:
    archive = State()
    archive.add("old")
    archive.add("older", "old")
    live = State()
    live.add("a")
    live.add("b", "a")
    live.end("b", VALUES)
    done = restored(live.store.image(), archive.store.image(), 100, TODAY)
    rows = dict(done.image.tables.rows(TABLE).items())
    assert {key_id: row.state for key_id, row in rows.items()} == {
        "a": INACTIVE,
        "b": ACTIVE,
        "old": INACTIVE,
        "older": INACTIVE,
    }
    # The rows of the archive may be sealed with any of the others.
    assert rows["b"].phase == VALUES
    assert all(row.unused_index == 0 for row in rows.values())


def test_a_cluster_without_keys_takes_those_of_the_archive() -> None:
    archive = State()
    archive.add("old")
    done = restored(State().store.image(), archive.store.image(), 100, TODAY)
    found = active(done.image.tables)
    assert found is not None
    assert found[0] == "old"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "full", "values", "disks", "remove"]), st.sampled_from("abcd")
        ),
        max_size=30,
    )
)
def test_one_key_is_active_whatever_is_asked(steps: list[tuple[str, str]]) -> None:
    state = State()
    for what, key_id in steps:
        found = active(state.store)
        prev = found[0] if found else ""
        if what in {"add", "full"}:
            state.add(key_id, prev, full=what == "full")
        elif what == "remove":
            row = state.rows().get(key_id)
            state.apply(RemoveRootKey(key_id=key_id, modify_index=row.modify_index if row else 0))
        else:
            state.end(key_id, what)
        rows = state.rows()
        working = [key_id for key_id, row in rows.items() if row.phase]
        assert sum(row.state == ACTIVE for row in rows.values()) == (1 if rows else 0)
        assert all(rows[key_id].state == ACTIVE for key_id in working)
        if any(row.state == REKEYING for row in rows.values()):
            assert [rows[key_id].full for key_id in working] == [True]
