"""A map of strings in their order, of which a copy costs microseconds for a thousand entries.

Entries lie in chunks: a tuple of keys and a tuple of values, in lists of chunks. A change makes the
tuples of one chunk again and never changes one. So `image` copies the lists of chunks alone, and
the copy and the map share every chunk that neither has changed since (measured: `bench.state`):

- an image of a million entries takes a fraction of a millisecond, a copied dict 50 ms;
- the map grows by a chunk at a time, where a dict of a million stops for 40 ms to grow;
- CPython's collector stops looking at a tuple that holds nothing it would have to look into, so
  a full collection does not visit the entries, if the values are strings or records of `gc=False`;
- a range is read in order without sorting.

Invariants: the keys of chunk i are sorted, and lie from `_bounds[i]` on, below `_bounds[i + 1]`.
`_bounds[0]` is "", so every key has a chunk. Only a map without entries has an empty
chunk. A value is never None.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import Any, Final, TypeAlias, TypeVar, cast, overload

CHUNK_MAX: Final = 64
"""Entries of a chunk. Larger ones make changes dearer, smaller ones images (`bench.state`)."""

_CHUNK_FILLED: Final = CHUNK_MAX * 3 // 4  # of a map built from sorted entries: room to grow
_CHUNK_MIN: Final = CHUNK_MAX // 4

V = TypeVar("V")
D = TypeVar("D")

Place: TypeAlias = tuple[int, int, V | None]
"""Number of the chunk, place in it, and the value there if the key is there."""


class OrderedMap(Mapping[str, V]):
    """See the module. Iteration is in the order of keys, that of their code points.

    A scan goes on if the map changes meanwhile: what is put or deleted then may be seen or not,
    every other entry is seen once.
    """

    __slots__ = ("_bounds", "_count", "_keys", "_values")

    def __init__(self, entries: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._bounds: list[str] = [""]
        self._keys: list[tuple[str, ...]] = [()]
        self._values: list[tuple[V, ...]] = [()]
        self._count = 0
        for key, value in entries.items() if isinstance(entries, Mapping) else entries:
            self.put(key, value)

    @classmethod
    def from_sorted(cls, keys: Sequence[str], values: Sequence[V]) -> OrderedMap[V]:
        """A map of these entries. Raises ValueError unless the keys rise."""
        if len(keys) != len(values):
            raise ValueError(f"{len(keys)} keys for {len(values)} values")
        built: OrderedMap[V] = cls()
        bounds, chunks, held = [], [], []
        before = None
        for start in range(0, len(keys), _CHUNK_FILLED):
            chunk = tuple(keys[start : start + _CHUNK_FILLED])
            for key in chunk:
                if before is not None and key <= before:
                    raise ValueError(f"key {key!r} does not come after {before!r}")
                before = key
            bounds.append(chunk[0])
            chunks.append(chunk)
            held.append(tuple(values[start : start + _CHUNK_FILLED]))
        if chunks:
            bounds[0] = ""
            built._bounds, built._keys, built._values = bounds, chunks, held
            built._count = len(keys)
        return built

    # -- reading -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: str) -> V:
        at = bisect_right(self._bounds, key) - 1
        keys = self._keys[at]
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            return self._values[at][place]
        raise KeyError(key)

    @overload
    def get(self, key: str) -> V | None: ...
    @overload
    def get(self, key: str, default: V | D) -> V | D: ...

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the key, or `default`."""
        at = bisect_right(self._bounds, key) - 1
        keys = self._keys[at]
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            return self._values[at][place]
        return default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key, _ABSENT) is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        for key, _ in self.scan():
            yield key

    def items(self) -> ItemsView[str, V]:
        """All entries, in order."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """All values, in the order of their keys."""
        return _Values(self)

    def scan(self, prefix: str = "", after: str | None = None) -> Iterator[tuple[str, V]]:
        """The entries whose keys begin with `prefix` and, if `after` is given, lie behind it."""
        start, behind = prefix, False
        if after is not None and after >= prefix:
            start, behind = after, True
        while True:
            at = bisect_right(self._bounds, start) - 1
            keys = self._keys[at]
            place = (bisect_right if behind else bisect_left)(keys, start)
            if place == len(keys):
                if at + 1 == len(self._keys):
                    return
                at, place = at + 1, 0
                keys = self._keys[at]
            entries = zip(keys[place:], self._values[at][place:], strict=True)
            if keys[-1].startswith(prefix):
                yield from entries
            else:
                yield from ((key, value) for key, value in entries if key.startswith(prefix))
                return
            start, behind = keys[-1], True

    def chunks(self) -> Iterator[tuple[tuple[str, ...], tuple[V, ...]]]:
        """Keys and values, some dozens at a time, in order; not to be used across a change."""
        return zip(self._keys, self._values, strict=True)

    def image(self) -> OrderedMap[V]:
        """The map as it is now, as a map of its own that shares what neither changes."""
        copy: OrderedMap[V] = OrderedMap.__new__(OrderedMap)
        copy._bounds = self._bounds.copy()
        copy._keys = self._keys.copy()
        copy._values = self._values.copy()
        copy._count = self._count
        return copy

    # -- changing ----------------------------------------------------------------------------------

    def place(self, key: str) -> Place[V]:
        """Where the key is or would be, for `put_at` before any other change; and its value."""
        at = bisect_right(self._bounds, key) - 1
        keys = self._keys[at]
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            return at, place, self._values[at][place]
        return at, place, None

    def put(self, key: str, value: V) -> V | None:
        """Insert or replace; the result is the value before, None if there was none."""
        where = self.place(key)
        self.put_at(where, key, value)
        return where[2]

    def put_at(self, where: Place[V], key: str, value: V) -> None:
        """Insert or replace at the place of the key. No value is None."""
        at, place, before = where
        keys, values = self._keys[at], self._values[at]
        if before is not None:
            self._values[at] = (*values[:place], value, *values[place + 1 :])
            return
        keys = (*keys[:place], key, *keys[place:])
        values = (*values[:place], value, *values[place:])
        self._count += 1
        if len(keys) <= CHUNK_MAX:
            self._keys[at], self._values[at] = keys, values
            return
        # Entries that come in order fill their chunks; others leave both halves room to grow.
        last = at + 1 == len(self._keys) and place == CHUNK_MAX
        half = CHUNK_MAX if last else CHUNK_MAX // 2
        self._keys[at : at + 1] = keys[:half], keys[half:]
        self._values[at : at + 1] = values[:half], values[half:]
        self._bounds.insert(at + 1, keys[half])

    def pop(self, key: str) -> V | None:
        """Remove an entry; the result is its value, None if there was none."""
        at, place, before = self.place(key)
        if before is None:
            return None
        keys, values = self._keys[at], self._values[at]
        self._keys[at] = keys[:place] + keys[place + 1 :]
        self._values[at] = values[:place] + values[place + 1 :]
        self._count -= 1
        if len(keys) <= _CHUNK_MIN and len(self._keys) > 1:
            self._merge(at)
        return before

    def _merge(self, at: int) -> None:
        """Join a small chunk with a neighbour, unless the result would soon be split again."""
        first = at - 1 if at else 0
        pair = slice(first, first + 2)
        keys = sum(self._keys[pair], ())
        small = not self._keys[at]
        if small or len(keys) <= CHUNK_MAX // 2:
            self._keys[pair] = [keys]
            self._values[pair] = [sum(self._values[pair], ())]
            del self._bounds[first + 1]

    def drain(self) -> Generator[None, None, None]:
        """Empty the map a chunk at a step, so that freeing a million records stops nothing."""
        self._count = 0
        while self._keys:
            self._keys.pop()
            self._values.pop()
            yield
        self._bounds, self._keys, self._values = [""], [()], [()]


_ABSENT: Final = cast("Any", object())


class _Items(ItemsView[str, V]):
    def __init__(self, entries: OrderedMap[V]) -> None:
        super().__init__(entries)
        self._entries = entries

    def __iter__(self) -> Iterator[tuple[str, V]]:
        return self._entries.scan()


class _Values(ValuesView[V]):
    def __init__(self, entries: OrderedMap[V]) -> None:
        super().__init__(entries)
        self._entries = entries

    def __iter__(self) -> Iterator[V]:
        for _, value in self._entries.scan():
            yield value
