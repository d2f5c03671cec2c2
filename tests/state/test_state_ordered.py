"""The ordered map against a plain dict: entries, order, scans, images, and its chunks."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterable
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.state.engine.ordered import CHUNK_MAX, OrderedMap
from quorate.state.tables.namespaces import Namespace

NAMESPACE = Namespace(name="a")
KEYS = st.text(st.sampled_from("ab\0\u00e9\U0010ffff"), max_size=4)
OPERATIONS = st.lists(st.tuples(st.sampled_from("ppd"), KEYS, st.integers()), max_size=60)


def check(entries: OrderedMap[int], model: dict[str, int]) -> None:
    """All that the map shows is what the model holds, and its chunks are well filled."""
    assert list(entries.items()) == sorted(model.items())
    assert len(entries) == len(model)
    assert entries == model
    chunks = [[key for key, _ in chunk] for chunk in entries.chunks()]
    assert [key for keys in chunks for key in sorted(keys)] == sorted(model)
    assert all(0 < len(keys) <= CHUNK_MAX for keys in chunks) or not model
    assert len(chunks) <= 1 + 8 * len(model) // CHUNK_MAX


def expected(model: dict[str, int], prefix: str, after: str | None) -> list[tuple[str, int]]:
    return [
        (key, value)
        for key, value in sorted(model.items())
        if key.startswith(prefix) and (after is None or key > after)
    ]


@given(OPERATIONS, KEYS, st.none() | KEYS)
def test_it_holds_what_a_dict_holds_in_order(
    operations: Iterable[tuple[str, str, int]], prefix: str, after: str | None
) -> None:
    entries: OrderedMap[int] = OrderedMap()
    model: dict[str, int] = {}
    for kind, key, value in operations:
        assert (key in entries) == (key in model)
        assert entries.get(key, -1) == model.get(key, -1)
        if kind == "p":
            assert entries.put(key, value) == model.get(key)
            model[key] = value
        else:
            assert entries.pop(key) == model.pop(key, None)
    check(entries, model)
    check(OrderedMap(model), model)
    assert list(entries.scan(prefix, after)) == expected(model, prefix, after)
    assert (list(entries), list(entries.values())) == (
        sorted(model),
        [model[key] for key in sorted(model)],
    )


@pytest.mark.parametrize("seed", range(4))
def test_many_chunks_are_split_joined_and_shared_with_images(seed: int) -> None:
    """It grows to some hundred chunks and shrinks again; each image stays as it was."""
    rng = Random(seed)
    entries: OrderedMap[int] = OrderedMap()
    model: dict[str, int] = {}
    images: list[tuple[OrderedMap[int], dict[str, int]]] = []
    for puts in (0.95, 0.7, 0.3, 0.05):
        for step in range(4_000):
            key = f"{rng.randrange(9)}/{rng.randrange(900)}"
            if rng.random() < puts:
                assert entries.put(key, step) == model.get(key)
                model[key] = step
            elif model:
                assert entries.pop(key) == model.pop(key, None)
            if step % 1_500 == 7:
                images.append((entries.image(), model.copy()))
        check(entries, model)
        for prefix in ("", "3/", "3/1", "9"):
            after = rng.choice([None, "3", "3/5", f"{rng.randrange(9)}/{rng.randrange(900)}"])
            assert list(entries.scan(prefix, after)) == expected(model, prefix, after)
    for image, was in images:
        check(image, was)
    image, was = images[0]
    image.put("own", 1)  # an image is a map of its own
    check(image, {**was, "own": 1})
    check(entries, model)


def test_entries_that_come_in_order_fill_their_chunks() -> None:
    entries = OrderedMap((f"{n:06}", n) for n in range(10_000))
    assert len(list(entries.chunks())) <= 10_000 // CHUNK_MAX + 1


def test_a_scan_goes_on_while_rows_it_has_passed_are_deleted_and_put() -> None:
    """An apply may delete, page by page, what it finds: nothing is passed over or seen twice."""
    entries = OrderedMap((f"{n:06}", n) for n in range(1_000))
    seen = []
    for key, value in entries.scan("0"):
        seen.append(value)
        entries.pop(key)
        entries.put(f"-{key}", value)
    assert seen == list(range(1_000))
    assert len(entries) == 1_000


@given(st.lists(st.tuples(KEYS, st.integers()), max_size=200), st.booleans())
def test_entries_are_taken_one_by_one_in_any_order(
    pairs: list[tuple[str, int]], in_order: bool
) -> None:
    if in_order:
        pairs.sort()
    if len(dict(pairs)) < len(pairs):
        with pytest.raises(ValueError, match="comes twice"):
            OrderedMap.from_entries(pairs)
    else:
        check(OrderedMap.from_entries(iter(pairs)), dict(pairs))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 1_000])
def test_entries_of_many_chunks(count: int) -> None:
    model = {f"{n:05}": n for n in range(count)}
    entries = OrderedMap.from_entries(model.items())
    check(entries, model)
    for key in ("", "00000x", "99999"):
        entries.put(key, model.setdefault(key, 7))
    check(entries, model)
    late = [*model.items(), ("00001x", 1), ("5", 5)]
    check(OrderedMap.from_entries(late), dict(late))


def test_what_is_no_key_is_not_in_it() -> None:
    entries = OrderedMap({"a": 1})
    no_text: object = 1
    assert no_text not in entries
    with pytest.raises(KeyError):
        entries["b"]


def test_it_is_emptied_a_chunk_at_a_time_and_of_use_again() -> None:
    entries = OrderedMap((f"{n:06}", n) for n in range(1_000))
    image = entries.image()
    steps = sum(1 for _ in entries.drain())
    assert steps >= 1_000 // CHUNK_MAX
    check(entries, {})
    entries.put("a", 1)
    check(entries, {"a": 1})
    assert len(image) == len(list(image.items())) == 1_000


def test_a_dropped_map_is_freed_a_chunk_at_a_time() -> None:
    """Between two steps another thread may run. What others hold of it stays."""

    class Noted:
        def __del__(self) -> None:
            freed.append(steps)

    freed, steps = list[int](), 0

    def tracing(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        steps += event == "line" and frame.f_code is OrderedMap.__del__.__code__
        return tracing

    entries = OrderedMap((f"{n:06}", Noted()) for n in range(1_000))
    image = entries.image()
    sys.settrace(tracing)
    try:
        del entries
        assert not freed
        del image
    finally:
        sys.settrace(None)
    assert len(freed) == 1_000
    most = max(Counter(freed).values())
    assert most <= CHUNK_MAX


def test_what_is_read_of_a_map_keeps_it() -> None:
    model = {f"{n:06}": n for n in range(1_000)}
    assert dict(OrderedMap(model).items()) == model
    assert dict(OrderedMap(model).scan()) == model
    assert dict(pair for chunk in OrderedMap(model).chunks() for pair in chunk) == model
    assert list(OrderedMap(model).values()) == list(model.values())


def test_the_collector_does_not_look_at_the_rows() -> None:
    """Neither when they are new nor later: a collection takes no longer with a million of them."""
    gc.collect()
    before = len(gc.get_objects())
    built = OrderedMap.from_entries((f"{n:06}", NAMESPACE) for n in range(0, 20_000, 2))
    grown = OrderedMap((f"{n % 7}{n:06}", NAMESPACE) for n in range(10_000))
    image = grown.image()
    for rows in (built, grown):
        for n in range(0, 10_000, 3):
            rows.put(f"{n:06}", NAMESPACE)
            rows.pop(f"{n + 1:06}")
    assert len(image) == 10_000
    assert len(gc.get_objects()) - before < 50
