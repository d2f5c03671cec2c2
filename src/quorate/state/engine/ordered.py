"""A map of strings in their order, of which a copy costs microseconds for a thousand entries.

Entries lie in chunks, small dicts in a list. `image` copies the list alone: the copy and the map
share every chunk, and whichever of them changes one next makes a copy of that chunk first. So:

- an image of 100,000 entries takes 0.08 ms, a copied dict 6 ms;
- the map grows by a chunk at a time, where a dict of a million stops for 40 ms to grow;
- CPython's collector never looks at a dict that holds texts and records of `gc=False` alone, so no
  collection, of the young or of all, visits the entries. It would visit lists and new tuples;
- a map that is dropped in a thread stops no other thread: it is freed a chunk at a time;
- a range is read in order, and only its chunks are sorted.

Invariants: the keys of chunk i lie from `_bounds[i]` on and below `_bounds[i + 1]`; the first bound
is "", so every key has a chunk. Only a map without entries has an empty chunk. A chunk is changed
in place by the map alone that made it, since its last image (`_made[i] == _generation`). A value is
never None.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, Final, TypeVar, overload

CHUNK_MAX: Final = 85
"""Entries of a chunk: as many as a dict of 128 slots holds."""

_CHUNK_FILLED: Final = 64  # of a map built from sorted entries: room to grow
_CHUNK_MIN: Final = CHUNK_MAX // 4

V = TypeVar("V")
D = TypeVar("D")


class OrderedMap(Mapping[str, V]):
    """See the module. Iteration is in the order of keys, that of their code points.

    A scan goes on if the map changes meanwhile: what is put or deleted then may be seen or not,
    every other entry is seen once.
    """

    __slots__ = ("_bounds", "_chunks", "_count", "_generation", "_made")

    def __init__(self, entries: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._bounds: list[str] = [""]
        self._chunks: list[dict[str, V]] = [{}]
        self._made: list[int] = [0]
        self._generation = 0
        self._count = 0
        for key, value in entries.items() if isinstance(entries, Mapping) else entries:
            self.put(key, value)

    @classmethod
    def from_entries(cls, entries: Iterable[tuple[str, V]]) -> OrderedMap[V]:
        """A map of these entries, which take least where their keys rise.

        Raises ValueError if a key comes twice. No list of all is made on the way: each collection
        would visit it while it is young, and a million entries take that and its freeing 40 ms
        each, in which a thread does not give up the interpreter's lock.
        """
        built: OrderedMap[V] = cls()
        bounds, chunks = built._bounds, built._chunks
        chunk, last = chunks[0], None
        rest = iter(entries)
        for key, value in rest:
            if last is not None and key <= last:
                rest = chain(((key, value),), rest)
                break
            if len(chunk) == _CHUNK_FILLED:
                chunk = {}
                bounds.append(key)
                chunks.append(chunk)
                built._count += _CHUNK_FILLED
            chunk[key] = value
            last = key
        built._made = [0] * len(chunks)
        built._count += len(chunk)
        for key, value in rest:
            if built.put(key, value) is not None:
                raise ValueError(f"key {key!r} comes twice")
        return built

    # -- reading -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: str) -> V:
        return self._chunks[bisect_right(self._bounds, key) - 1][key]

    @overload
    def get(self, key: str) -> V | None: ...
    @overload
    def get(self, key: str, default: V | D) -> V | D: ...

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the key, or `default`."""
        return self._chunks[bisect_right(self._bounds, key) - 1].get(key, default)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

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
            keys = sorted(self._chunks[at])
            place = (bisect_right if behind else bisect_left)(keys, start)
            if place == len(keys):
                if at + 1 == len(self._chunks):
                    return
                at, place = at + 1, 0
                keys = sorted(self._chunks[at])
            chunk = self._chunks[at]
            for key, value in [(key, chunk[key]) for key in keys[place:]]:
                if not key.startswith(prefix):
                    return
                yield key, value
            start, behind = keys[-1], True

    def chunks(self) -> Iterator[ItemsView[str, V]]:
        """The entries, some dozens at a time, the chunks in order, what is in one in any order.

        Not to be used across a change.
        """
        for chunk in self._chunks:
            yield chunk.items()

    def image(self) -> OrderedMap[V]:
        """The map as it is now, as a map of its own that shares what neither changes."""
        self._generation += 1  # from now on neither of them has made any chunk
        copy: OrderedMap[V] = OrderedMap.__new__(OrderedMap)
        copy._bounds = self._bounds.copy()
        copy._chunks = self._chunks.copy()
        copy._made = self._made.copy()
        copy._generation = self._generation
        copy._count = self._count
        return copy

    # -- changing ----------------------------------------------------------------------------------

    def find(self, key: str) -> tuple[int, V | None]:
        """Where the key is or belongs, for `put_at` before any other change; and its value."""
        at = bisect_right(self._bounds, key) - 1
        return at, self._chunks[at].get(key)

    def put(self, key: str, value: V) -> V | None:
        """Insert or replace; the result is the value before, None if there was none."""
        at, before = self.find(key)
        self.put_at(at, key, value)
        return before

    def put_at(self, at: int, key: str, value: V) -> None:
        """Insert or replace where `find` says."""
        chunk = self._chunks[at]
        if self._made[at] != self._generation:
            chunk = self._own(at)
        if key in chunk:
            chunk[key] = value
            return
        chunk[key] = value
        self._count += 1
        if len(chunk) > CHUNK_MAX:
            self._split(at, key)

    def pop(self, key: str) -> V | None:
        """Remove an entry; the result is its value, None if there was none."""
        at, before = self.find(key)
        if before is None:
            return None
        chunk = self._own(at)
        del chunk[key]
        self._count -= 1
        if len(chunk) < _CHUNK_MIN and len(self._chunks) > 1:
            self._join(at)
        return before

    def _own(self, at: int) -> dict[str, V]:
        """The chunk, to be changed in place."""
        chunk = self._chunks[at]
        if self._made[at] != self._generation:
            chunk = self._chunks[at] = chunk.copy()
            self._made[at] = self._generation
        return chunk

    def _split(self, at: int, key: str) -> None:
        """Make two chunks of one that is too large for the key that came last."""
        chunk = self._chunks[at]
        keys = sorted(chunk)
        # Entries that come in order fill their chunks; others leave both halves room to grow.
        in_order = at + 1 == len(self._chunks) and key == keys[-1]
        half = CHUNK_MAX if in_order else CHUNK_MAX // 2
        self._chunks[at : at + 1] = (
            {each: chunk[each] for each in keys[:half]},
            {each: chunk[each] for each in keys[half:]},
        )
        self._bounds.insert(at + 1, keys[half])
        self._made.insert(at + 1, self._generation)

    def _join(self, at: int) -> None:
        """Join a small chunk with a neighbour, unless the result would soon be split again."""
        first = at - 1 if at else 0
        left, right = self._chunks[first : first + 2]
        if not self._chunks[at] or len(left) + len(right) <= CHUNK_MAX // 2:
            self._chunks[first : first + 2] = [left | right]
            self._made[first : first + 2] = [self._generation]
            del self._bounds[first + 1]

    def drain(self) -> Generator[None, None, None]:
        """Empty the map a chunk at a step, so that freeing a million entries stops nothing."""
        self._count = 0
        while len(self._chunks) > 1:
            self._chunks.pop()
            self._bounds.pop()
            self._made.pop()
            yield
        self._chunks[0] = {}
        self._made[0] = self._generation

    def __del__(self) -> None:
        """Free it a chunk at a time, wherever it is dropped.

        In one piece a million entries would keep the interpreter's lock for a tenth of a second.
        """
        chunks = self._chunks
        while chunks:
            chunks.pop()


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
