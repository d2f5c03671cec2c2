"""The checker of histories: known ones by hand, many small ones beside a slow twin, long ones."""

from __future__ import annotations

from itertools import combinations, permutations
from random import Random
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.testing.history import Kind, Operation, Recorder
from quorate.testing.linearizability import TooManyConfigurationsError, check

K = Kind
LOST = None


def op(kind: Kind, value: Any, called: float, returned: float | None, **more: Any) -> Operation:
    return Operation(
        key="x", kind=kind, value=value, called_at=called, returned_at=returned, **more
    )


def read(value: Any, called: float, returned: float) -> Operation:
    return op(K.READ, value, called, returned)


def write(value: Any, called: float, returned: float | None) -> Operation:
    return op(K.WRITE, value, called, returned)


def cas(
    old: Any, new: Any, called: float, returned: float | None, swapped: bool = True
) -> Operation:
    return op(K.CAS, new, called, returned, expected=old, swapped=swapped)


GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "a read of what is there": [read(None, 0, 1)],
    "one after another": [write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)],
    "a read beside a write sees either": [write(1, 0, 9), read(None, 1, 2), read(1, 3, 4)],
    "a write that returns late took effect early": [write(1, 0, 9), read(1, 1, 2)],
    "a lost write takes effect much later": [write(1, 0, LOST), read(None, 1, 2), read(1, 3, 4)],
    "a lost write never takes effect": [write(1, 0, LOST), read(None, 1, 2)],
    "a lost write between two others": [
        *(write(1, 0, LOST), write(2, 1, 2), read(2, 3, 4), read(1, 5, 6), write(2, 7, 8)),
        read(2, 9, 10),
    ],
    "swaps in a row": [cas(None, 1, 0, 1), cas(1, 2, 2, 3), read(2, 4, 5)],
    "one of two swaps wins": [cas(None, 1, 0, 5), cas(None, 2, 0, 5, swapped=False), read(1, 6, 7)],
    "a chain of lost swaps": [cas(None, 1, 0, LOST), cas(1, 2, 0, LOST), read(2, 3, 4)],
    "a lost write makes a comparison fail": [
        *(write(5, 0, LOST), cas(None, 1, 1, 2, swapped=False), read(5, 3, 4)),
    ],
    "a write of the same value is kept for later": [
        *(write(5, 0, 1), write(5, 2, 9), write(6, 2, 9), read(6, 3, 4), read(5, 5, 6)),
    ],
}

BAD: dict[str, list[Operation]] = {
    "a value from nowhere": [read(1, 0, 1)],
    "a stale read": [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)],
    "a lost acknowledged write": [write(1, 0, 1), read(None, 2, 3)],
    "back and forth": [write(1, 0, 9), read(1, 1, 2), read(None, 3, 4)],
    "two readers disagree": [
        *(write(1, 0, 9), write(2, 0, 9), read(1, 10, 11), read(2, 12, 13)),
    ],
    "two swaps win": [cas(None, 1, 0, 5), cas(None, 2, 0, 5), read(1, 6, 7)],
    "a swap fails although it fits": [write(1, 0, 1), cas(1, 2, 2, 3, swapped=False)],
    "a lost write takes effect twice": [
        *(write(1, 0, LOST), read(1, 1, 2), write(2, 3, 4), read(1, 5, 6)),
    ],
    "a read before the call of a lost write": [read(1, 0, 1), write(1, 2, LOST)],
    "a lost swap without what it needs": [cas(7, 1, 0, LOST), read(1, 1, 2)],
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    assert check(GOOD[name]).ok


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    result = check(BAD[name])
    assert not result.ok
    # An answer that came after the window may be left out, an operation may not be made up.
    assert {(o.kind, o.value) for o in result.window} <= {(o.kind, o.value) for o in BAD[name]}
    assert "no order explains these operations on x" in str(result)


def test_initial_values_and_keys_apart() -> None:
    other = msgspec.structs.replace(read(4, 0, 1), key="y")
    assert check([read(3, 0, 1), other], {"x": 3, "y": 4}).ok
    assert check([read(3, 0, 1), other], {"x": 3}).key == "y"


# -- a slow twin ------------------------------------------------------------------------------


def explained(history: list[Operation], initial: Any = None) -> bool:
    """Try every order of every choice of the lost ones."""
    known = [o for o in history if o.returned_at is not None]
    lost = [o for o in history if o.returned_at is None]
    for count in range(len(lost) + 1):
        for chosen in combinations(lost, count):
            if any(_fits(order, initial) for order in permutations([*known, *chosen])):
                return True
    return False


def _fits(order: tuple[Operation, ...], value: Any) -> bool:
    for place, o in enumerate(order):
        for later in order[place + 1 :]:
            if later.returned_at is not None and later.returned_at < o.called_at:
                return False
    for o in order:
        match o.kind:
            case K.READ:
                if o.value != value:
                    return False
            case K.WRITE:
                value = o.value
            case K.CAS:
                fits = o.expected == value
                if o.returned_at is not None and o.swapped is not fits:
                    return False
                value = o.value if fits else value
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Anything: few values, so that right and wrong are both likely."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        called = draw(st.integers(0, 8))
        kind = draw(st.sampled_from(Kind))
        lost = kind is not K.READ and draw(st.booleans())
        value = draw(st.sampled_from([None, 1, 2] if kind is K.READ else [1, 2]))
        found.append(
            op(
                kind,
                value,
                called,
                None if lost else called + draw(st.integers(1, 5)),
                expected=draw(st.sampled_from([None, 1, 2])),
                swapped=draw(st.booleans()),
            )
        )
    return found


@settings(max_examples=400, deadline=None)
@given(histories())
def test_agrees_with_the_slow_twin(history: list[Operation]) -> None:
    assert check(history).ok == explained(history)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_the_window_is_wrong_by_itself(history: list[Operation]) -> None:
    result = check(history)
    if not result.ok:
        befores = [None, 1, 2, 3] if result.started_in_the_middle else [None]
        assert not any(explained(list(result.window), before) for before in befores)


# -- long ones --------------------------------------------------------------------------------


def sequential(rng: Random, count: int, clients: int, lost: float, span: float) -> list[Operation]:
    """A history made from a run in which each operation has its moment at a whole number."""
    values: dict[str, Any] = {}
    history: list[Operation] = []
    for moment in range(count):
        key = rng.choice("abc")
        now = values.get(key)
        kind = rng.choice(list(Kind))
        called = moment - rng.uniform(0, span)
        returned: float | None = moment + rng.uniform(0, span)
        value: Any = now if kind is K.READ else f"v{moment}"
        expected = rng.choice([now, now, "other"]) if kind is K.CAS else None
        swapped = kind is not K.CAS or expected == now
        if kind is not K.READ and rng.random() < lost:
            returned = None
            if rng.random() < 0.5:
                values[key] = value if swapped else now
        elif kind is not K.READ and swapped:
            values[key] = value
        history.append(
            Operation(
                key=key,
                kind=kind,
                value=value,
                called_at=called,
                returned_at=returned,
                expected=expected,
                swapped=swapped,
                client=f"c{moment % clients}",
            )
        )
    return history


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([0.5, 3.0, 10.0]), st.sampled_from([0.0, 0.1, 0.5]))
def test_what_was_made_from_a_sequence_is_accepted(seed: int, span: float, lost: float) -> None:
    assert check(sequential(Random(seed), 300, 5, lost, span)).ok


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_one_wrong_read_in_it_is_found(seed: int) -> None:
    rng = Random(seed)
    history = sequential(rng, 300, 5, 0.1, 3.0)
    place = rng.randrange(100, 300)
    stale = Operation(
        key="a", kind=K.READ, value="v0x", called_at=place, returned_at=place + 1.0, client="w"
    )
    result = check([*history, stale])
    assert not result.ok
    assert stale in result.window
    assert len(result.window) < 30


def test_ten_thousand_operations_take_seconds_at_most() -> None:
    history = sequential(Random(1), 10_000, 8, 0.02, 4.0)
    begun = process_time()
    result = check(history)
    assert result.ok
    assert process_time() - begun < 5
    assert result.configurations < 100_000


def test_one_long_operation_does_not_make_it_slow() -> None:
    history = sequential(Random(2), 10_000, 8, 0.0, 2.0)
    long = Operation(key="a", kind=K.WRITE, value="long", called_at=-5, returned_at=1e9)
    begun = process_time()
    assert check([*history, long]).ok
    assert process_time() - begun < 10


def test_hundreds_of_lost_writes_do_not_make_it_slow() -> None:
    history = sequential(Random(3), 3_000, 8, 0.4, 4.0)
    assert check(history, configurations_max=100_000).ok


def test_a_search_without_end_is_given_up() -> None:
    history = [write(n % 3, 0, 100) for n in range(30)] + [read(7, 1, 99)]
    with pytest.raises(TooManyConfigurationsError, match="more than 1000"):
        check(history, configurations_max=1000)


def test_the_recorder_keeps_what_is_known() -> None:
    times = iter(range(100))
    recorder = Recorder(lambda: float(next(times)))
    recorder.write("a", "x", 1).done()
    recorder.read("b", "x").found(1)
    recorder.compare_and_set("a", "x", 5, 2).done(swapped=False)
    recorder.write("b", "x", 3).refused()
    recorder.read("b", "x").lost()
    recorder.write("a", "x", 4).lost()
    recorder.write("a", "x", 6)
    history = recorder.history()
    assert [(o.kind, o.value, o.returned_at is None) for o in history] == [
        *((K.WRITE, 1, False), (K.READ, 1, False), (K.CAS, 2, False)),
        *((K.WRITE, 4, True), (K.WRITE, 6, True)),
    ]
    assert check(history).ok
    assert str(history[1]) == "2.000000 .. 3.000000     b    x: read -> 1"
