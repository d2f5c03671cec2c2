"""The records of one table, and what is kept beside them at every change.

- the table's index, that of the last command that changed it;
- its size, in bytes of its encoded rows;
- the sum of the hashes of its rows, from which the state's digest follows (`engine.digest`);
- the entries of its secondary indexes;
- the bytes that its rows count for against a bound of the state, in all and by group.

Invariant: all of it follows from the records alone; `sums` and `entries_of` compute it again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, Generic, TypeAlias

import msgspec
from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.record import R, cas_holds

Indexes: TypeAlias = Mapping[str, Callable[[R], tuple[str, ...]]]
"""Secondary indexes by name: from a record to the values under which it is found."""

Weigh: TypeAlias = Callable[[R], tuple[str, int]]
"""From a record to its group, and the bytes of memory that it counts for."""

Gain: TypeAlias = Callable[[R, R], int]
"""From two records of one key, which are of one group, to the bytes that the second has more."""

SUM_MASK: Final = (1 << 256) - 1

encode_row = msgspec.msgpack.Encoder().encode
"""A row as it is hashed and counted: the array of key and record in msgpack."""

WAITING_MAX: Final = 64
"""Rows whose change is not in size and sum yet: one that changes again and again is hashed once."""

_PART_BYTES: Final = 64 * 1024
"""Hashed without a pause: 0.1 ms or less."""

_END: Final = "\0\0"
"""Between the value and the key in an entry of a secondary index; `_escaped` keeps it apart."""


def hash_row(data: bytes) -> int:
    """One summand of a table's sum. SHA-256, because no other hash here is as quick for rows."""
    return int.from_bytes(sha256(data).digest(), "little")


def _summed(rows: Sequence[bytes]) -> int:
    """`hash_row` of all of them."""
    from_bytes = int.from_bytes
    return sum([from_bytes(sha256(data).digest(), "little") for data in rows])


def _escaped(value: str) -> str:
    """Keeps the order of values, and that one begins with another."""
    return value.replace("\0", "\0\1") if "\0" in value else value


class TableRows(Generic[R]):
    """See the module. `sum` is not reduced: modulo 2^256 it is that of the hashes.

    `size` and `sum` are those of the rows after `settle`, and in every image; `waiting` has the
    rows that changed since, as they were at the last one. `weight` and `weights` (by group, none is
    0) are those of the rows at any time; both are empty without `weigh`.
    """

    __slots__ = (
        "gain",
        "index",
        "indexes",
        "records",
        "secondary",
        "size",
        "sum",
        "waiting",
        "weigh",
        "weight",
        "weights",
    )

    def __init__(
        self,
        indexes: Indexes[R],
        initial: Mapping[str, R],
        index: int,
        weigh: Weigh[R] | None = None,
        *,
        gain: Gain[R] | None = None,
    ) -> None:
        self.indexes = indexes
        self.weigh = weigh
        self.gain = gain
        self.weight = 0
        self.weights: dict[str, int] = {}
        self.index = index
        self.records: OrderedMap[R] = OrderedMap()
        self.size = 0
        self.sum = 0
        self.secondary: dict[str, OrderedMap[str]] = {name: OrderedMap() for name in indexes}
        self.waiting: dict[str, R | None] = {}
        for key, record in initial.items():
            self._changed(key, self.records.put(key, record), record)
        self.settle()

    @classmethod
    def built(
        cls,
        indexes: Indexes[R],
        index: int,
        entries: Iterable[tuple[str, R]],
        weigh: Weigh[R] | None = None,
        *,
        gain: Gain[R] | None = None,
    ) -> TableRows[R]:
        """A table of these rows, best in the order of keys. ValueError if a key is there twice."""
        rows = cls.__new__(cls)
        rows.gain = gain
        rows.indexes, rows.index = indexes, index
        rows.weigh, rows.weight, rows.weights = weigh, 0, {}
        rows.sum = rows.size = 0
        rows.waiting = {}
        rows.records = OrderedMap.from_entries(rows.summing(entries))
        rows.secondary = {
            name: OrderedMap.from_entries(sorted(rows.entries_of(name))) for name in indexes
        }
        return rows

    def summing(self, entries: Iterable[tuple[str, R]]) -> Iterator[tuple[str, R]]:
        """The entries as they pass; sum, size and weights follow them."""
        weighs = self.weigh is not None
        for entry in entries:
            data = encode_row(entry)
            self.sum += hash_row(data)
            self.size += len(data)
            if weighs:
                self.count(None, entry[1])
            yield entry

    def image(self) -> TableRows[R]:
        """The table as it is now, settled; it shares what neither changes afterwards."""
        self.settle()
        copy: TableRows[R] = TableRows.__new__(TableRows)
        copy.waiting = {}
        copy.indexes, copy.index = self.indexes, self.index
        copy.size, copy.sum = self.size, self.sum
        copy.weigh, copy.gain = self.weigh, self.gain
        copy.weight, copy.weights = self.weight, self.weights.copy()
        copy.records = self.records.image()
        copy.secondary = {name: entries.image() for name, entries in self.secondary.items()}
        return copy

    # -- changing ----------------------------------------------------------------------------------

    def put(
        self, key: str, record: R, index: int, cas: int | None = None
    ) -> tuple[R | None, R] | None:
        """Insert or replace, with its indexes stamped. The record before, and that after.

        None, and nothing is changed, if the modify index is not `cas`.
        """
        records = self.records
        at, known = records.find(key)
        created = index if known is None else known.create_index
        if cas is not None and not cas_holds(cas, known):
            return None
        stamped = replace(record, create_index=created, modify_index=index)
        records.put_at(at, key, stamped)
        self.index = index
        waiting = self.waiting
        if key not in waiting:  # else size and sum of the row are still to follow
            waiting[key] = known
            if len(waiting) >= WAITING_MAX:
                self.settle()
        if self.weigh is not None and (
            known is None or self.gain is None or self.gain(known, stamped)
        ):
            self.count(known, stamped)
        if self.indexes:
            self._find_by(key, known, stamped)
        return known, stamped

    def amend(self, key: str, record: R) -> None:
        """Replace a record that is there by one that says the same; all indexes stay.

        A reader sees no difference, so none is told of one.
        """
        at, known = self.records.find(key)
        assert known is not None, "what is amended is there"
        kept = replace(record, create_index=known.create_index, modify_index=known.modify_index)
        self.records.put_at(at, key, kept)
        self._changed(key, known, kept)

    def delete(self, key: str, index: int) -> R | None:
        """Remove; the result is the record before, None if there was none (and no change)."""
        known = self.records.pop(key)
        if known is not None:
            self.index = index
            self._changed(key, known, None)
        return known

    def load(self, key: str, record: R) -> None:
        """Insert or replace a record as it is, its indexes too."""
        self._changed(key, self.records.put(key, record), record)

    def unload(self, key: str) -> None:
        """Remove a record, if it is there; the table's index stays."""
        known = self.records.pop(key)
        if known is not None:
            self._changed(key, known, None)

    def empty(self) -> TableRows[R]:
        """A table of this kind without rows."""
        return TableRows(self.indexes, {}, 0, self.weigh, gain=self.gain)

    def settle(self) -> None:
        """Bring size and sum up to date. Rows are hashed as memory holds them: damage shows."""
        waiting, self.waiting = self.waiting, {}
        get = self.records.get
        gone = [encode_row((key, row)) for key, row in waiting.items() if row is not None]
        come = [encode_row((key, row)) for key in waiting if (row := get(key)) is not None]
        self.size += sum(map(len, come)) - sum(map(len, gone))
        self.sum += _summed(come) - _summed(gone)

    def _changed(self, key: str, before: R | None, after: R | None) -> None:
        """Have size and sum follow soon, and the weight and the secondary indexes at once."""
        if self.weigh is not None:
            self.count(before, after)
        waiting = self.waiting
        waiting.setdefault(key, before)
        if len(waiting) >= WAITING_MAX:
            self.settle()
        if self.indexes:
            self._find_by(key, before, after)

    def count(self, before: R | None, after: R | None) -> None:
        """Have the weights follow a change."""
        weigh, gain = self.weigh, self.gain
        assert weigh is not None
        if gain is not None and before is not None and after is not None:
            if more := gain(before, after):
                self._add_weight(weigh(after)[0], more)
            return
        old, lost = ("", 0) if before is None else weigh(before)
        new, gained = ("", 0) if after is None else weigh(after)
        if old == new or before is None or after is None:
            self._add_weight(new or old, gained - lost)
        else:
            self._add_weight(old, -lost)
            self._add_weight(new, gained)

    def _add_weight(self, group: str, more: int) -> None:
        if not more:
            return
        self.weight += more
        left = self.weights.get(group, 0) + more
        assert left >= 0, f"group {group!r} takes less than nothing"
        if left:
            self.weights[group] = left
        else:
            del self.weights[group]

    def _find_by(self, key: str, before: R | None, after: R | None) -> None:
        for name, values_of in self.indexes.items():
            old = () if before is None else values_of(before)
            new = () if after is None else values_of(after)
            if old == new:
                continue
            entries = self.secondary[name]
            for value in old:
                entries.pop(_escaped(value) + _END + key)
            for value in new:
                entries.put(_escaped(value) + _END + key, key)

    # -- reading -----------------------------------------------------------------------------------

    def with_value(self, name: str, value: str, after: str | None) -> Iterator[tuple[str, R]]:
        """The rows of which index `name` has the value, by key, from behind the key `after`."""
        place = _escaped(value) + _END
        for _, key in self.secondary[name].scan(place, None if after is None else place + after):
            yield key, self.records[key]

    def with_values(self, name: str, prefix: str) -> Iterator[tuple[str, R]]:
        """The rows by their values in index `name` that begin with `prefix`, then by key."""
        for _, key in self.secondary[name].scan(_escaped(prefix)):
            yield key, self.records[key]

    def in_order(self, name: str, after: tuple[str, str] | None) -> Iterator[tuple[str, R]]:
        """All rows by their values in index `name`, then by key, from behind a value and a key."""
        place = None if after is None else _escaped(after[0]) + _END + after[1]
        for _, key in self.secondary[name].scan("", place):
            yield key, self.records[key]

    def sums(self) -> Iterator[int]:
        """The sum from the records alone, in parts: of a few dozen rows each, or one large one."""
        for chunk in self.records.chunks():
            part = size = 0
            for row in chunk:
                data = encode_row(row)
                part += hash_row(data)
                size += len(data)
                if size > _PART_BYTES:
                    yield part
                    part = size = 0
            yield part

    def entries_of(self, name: str) -> Iterator[tuple[str, str]]:
        """The entries of index `name` from the records alone, in no order."""
        values_of = self.indexes[name]
        for key, record in self.records.items():
            for value in values_of(record):
                yield _escaped(value) + _END + key, key

    def drain(self) -> Generator[None, None, None]:
        """Free the memory a step at a time; the table is of no use from the first step on."""
        yield from self.records.drain()
        for entries in self.secondary.values():
            yield from entries.drain()
