"""A table's rows against a plain dict: index, size, sum and secondary indexes at every change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.state.engine.record import Record
from quorate.state.engine.rows import Indexes, TableRows, hash_row
from quorate.state.engine.table import OnRestore, Table, Tables


class Service(Record, frozen=True, kw_only=True):
    """A row with one value in the index `node`, and any number in `tags`."""

    node: str = ""
    tags: tuple[str, ...] = ()


INDEXES: Indexes[Service] = {"node": lambda row: (row.node,), "tags": lambda row: row.tags}
TABLE = Table(name="services", record=Service, on_restore=OnRestore.REPLACED, indexes=INDEXES)

TEXTS = st.text(st.sampled_from("ab\0\1\u00e9"), max_size=3)
OPERATIONS = st.lists(
    st.tuples(st.booleans(), TEXTS, TEXTS, st.lists(TEXTS, max_size=3, unique=True)), max_size=40
)


def encoded(model: Mapping[str, Service]) -> list[bytes]:
    return [msgspec.msgpack.encode((key, record)) for key, record in model.items()]


def check(rows: TableRows[Service], model: Mapping[str, Service]) -> None:
    assert rows.records == model
    assert rows.size == sum(map(len, encoded(model)))
    assert rows.sum % 2**256 == sum(map(hash_row, encoded(model))) % 2**256
    assert (sum(rows.sums()) - rows.sum) % 2**256 == 0
    for name, values_of in INDEXES.items():
        assert dict(rows.secondary[name]) == dict(rows.entries_of(name))
        for value in {"", *(value for record in model.values() for value in values_of(record))}:
            assert list(rows.with_value(name, value, None)) == [
                (key, model[key]) for key in sorted(model) if value in values_of(model[key])
            ]
            begin = [
                (each, key)
                for key, record in model.items()
                for each in values_of(record)
                if each.startswith(value)
            ]
            assert [key for key, _ in rows.with_values(name, value)] == [
                key for _, key in sorted(begin)
            ]


@given(OPERATIONS)
def test_what_is_kept_is_what_the_records_say(
    operations: Iterable[tuple[bool, str, str, list[str]]],
) -> None:
    rows, model = TABLE.fresh(), dict[str, Service]()
    for index, (is_put, key, node, tags) in enumerate(operations, start=1):
        known = model.get(key)
        if is_put:
            created = index if known is None else known.create_index
            given_row = Service(node=node, tags=tuple(tags), create_index=99, modify_index=99)
            model[key] = msgspec.structs.replace(
                given_row, create_index=created, modify_index=index
            )
            assert rows.put(key, given_row, index) == (known, model[key])
            assert rows.index == index
        else:
            was = rows.index
            assert rows.delete(key, index) == model.pop(key, None) == known
            assert rows.index == (was if known is None else index)
    rows.settle()
    check(rows, model)
    image = rows.image()
    built = TableRows.built(INDEXES, rows.index, model.items())
    check(built, model)
    rows.put("later", Service(node="a"), 999)
    check(image, model)


def test_a_key_twice_is_refused() -> None:
    row = Service()
    for keys in (["a", "a"], ["b", "a", "b"]):
        with pytest.raises(ValueError, match="twice"):
            TableRows.built(INDEXES, 1, [(key, row) for key in keys])


def test_pages_of_a_scan_and_of_an_index() -> None:
    tables = Tables({TABLE.name: TABLE.fresh()})
    for n in range(300):
        tables.put(TABLE, f"app/{n:03}", Service(node=f"n{n % 3}"), n + 1)
    tables.put(TABLE, "b", Service(node="n1"), 400)
    page = [key for key, _ in tables.scan(TABLE, "app/", after="app/100", limit=3)]
    assert page == ["app/101", "app/102", "app/103"]
    assert [key for key, _ in tables.scan(TABLE, "b")] == ["b"]
    assert [key for key, _ in tables.with_value(TABLE, "node", "n1", after="app/295")] == [
        *("app/298", "b"),
    ]
    assert tables.index_of(TABLE.name) == 400
    assert tables.size == tables.held[TABLE.name].size > 0


def test_a_row_that_changed_in_memory_leaves_a_wrong_sum_for_good() -> None:
    """Even if it is written again before anything compares: its hash was of what it had been."""
    rows = TABLE.fresh()
    rows.put("a", Service(node="x"), 1)
    rows.records.put("a", Service(node="y", create_index=1, modify_index=1))
    assert rows.sum != sum(rows.sums())
    rows.put("a", Service(node="z"), 2)
    assert rows.sum != sum(rows.sums())
