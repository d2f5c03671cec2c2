"""The cost of one operation, and of one record in memory, beside a plain dict of the same."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import islice
from random import Random
from statistics import median
from typing import Any, Final, NamedTuple

from bench.state.table import ITEMS, VALUE_BYTES, Item, key_of
from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.rows import TableRows

_SAMPLES: Final = 20_000
_PARTS: Final = 20  # a cost is the median of so many
_PAGE: Final = 100


class Cost(NamedTuple):
    """Microseconds of the processor for one operation: of a dict, and of the table's rows."""

    plain_us: float
    rows_us: float


def operations(records: int) -> dict[str, Cost]:
    """The costs by operation, with that number of records."""
    rng = Random(1)
    keys = [key_of(number) for number in range(records)]
    items = [Item(value=rng.randbytes(VALUE_BYTES)) for _ in range(records)]
    some = [keys[rng.randrange(records)] for _ in range(_SAMPLES)]
    pairs = list(zip(keys, items, strict=True))
    replacing = [(key, items[0]) for key in some]
    plain: dict[str, Item] = {}
    rows: OrderedMap[Item] = OrderedMap()

    def both(ours: Callable[..., object], theirs: Callable[..., object], given: Any) -> Cost:
        return Cost(_each(given, theirs), _each(given, ours))

    def prefixes() -> list[tuple[str]]:
        return [(key[: key.index("/", len("apps/")) + 1],) for key in some[:_PARTS]]

    def sorted_page(prefix: str) -> list[str]:
        return sorted(key for key in plain if key.startswith(prefix))[:_PAGE]

    def page(prefix: str) -> list[str]:
        return [key for key, _ in islice(rows.scan(prefix), _PAGE)]

    found = {
        "put, growing": both(rows.put, plain.__setitem__, pairs),
        "get": both(rows.get, plain.get, list(zip(some))),
        "replace": both(rows.put, plain.__setitem__, replacing),
        "first 100 keys of a prefix": both(page, sorted_page, prefixes()),
        "image": both(rows.image, plain.copy, [()] * _PARTS),
    }
    assert page("apps/") == sorted_page("apps/"), "both give the same page"
    assert len(rows) == len(plain) == records
    table = TableRows.built({}, 1, rows.items())
    puts = [(key, items[1], 2) for key in some]
    found["replace, with indexes, size and sum"] = Cost(
        found["replace"].plain_us, _each(puts, table.put)
    )
    return found


class Memory(NamedTuple):
    """Bytes of one record: in all, the map's share of it, a dict's share, and when encoded."""

    total: float
    rows: float
    plain: float
    encoded: float


def memory(records: int) -> Memory:
    """The allocator's bytes by record, as `tracemalloc` counts them."""
    rng = Random(1)
    tracemalloc.start()
    try:
        keys = sorted(key_of(number) for number in range(records))
        items = [
            Item(value=rng.randbytes(VALUE_BYTES), create_index=n + 10**6, modify_index=n + 10**6)
            for n in range(records)
        ]
        before = _traced()
        plain = dict(zip(keys, items, strict=True))
        of_plain = _traced() - before
        del plain
        built = OrderedMap.from_entries(zip(keys, items, strict=True))
        of_rows = _traced() - before
        del keys, items
        gc.collect()
        total = _traced()
        size = TableRows.built(ITEMS.indexes, 1, built.items()).size
    finally:
        tracemalloc.stop()
    return Memory(total / records, of_rows / records, of_plain / records, size / records)


def _traced() -> int:
    return tracemalloc.get_traced_memory()[0]


def _each(given: Iterable[tuple[Any, ...]], work: Callable[..., object]) -> float:
    """Microseconds of one call: the median of some parts of all calls."""
    calls = list(given)
    size = max(1, len(calls) // _PARTS)
    parts = []
    for first in range(0, len(calls), size):
        part = calls[first : first + size]
        began = time.thread_time()
        for arguments in part:
            work(*arguments)
        parts.append((time.thread_time() - began) / len(part) * 1e6)
    return median(parts)
