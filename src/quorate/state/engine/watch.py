"""Waits for a change: of a table, of one key in it, or of the keys with a prefix.

Invariant: the cost of a change grows with the watches that it wakes, not with those of other keys.
Exact keys are found in a dictionary. A prefix is found by its text among those of its length, so a
change costs one look-up for each length in use, however many prefixes there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from quorate.state.engine.changes import Change

Watcher = Callable[[], None]


class _Watch:
    """One watch; its own identity, if one callback watches twice."""

    __slots__ = ("callback",)

    def __init__(self, callback: Watcher) -> None:
        self.callback: Watcher | None = callback


_Group = dict[_Watch, None]  # a set that keeps the order in which they came


class Watches:
    """The watches of a store, in `tables` by table. Callbacks must be quick and must not raise."""

    def __init__(self) -> None:
        self.tables: dict[str, _OfTable] = {}
        self.count = 0

    def add(
        self, table: str, callback: Watcher, *, key: str | None = None, prefix: str | None = None
    ) -> Callable[[], None]:
        """Wake `callback` for the key, the prefix, or the whole table; the result ends it."""
        assert key is None or prefix is None, "a watch is for one thing"
        watch = _Watch(callback)
        self.tables.setdefault(table, _OfTable()).add(watch, key, prefix or None)
        self.count += 1
        return partial(self._end, table, watch, key, prefix or None)

    def _end(self, table: str, watch: _Watch, key: str | None, prefix: str | None) -> None:
        if watch.callback is None:
            return
        watch.callback = None
        self.count -= 1
        of_table = self.tables[table]
        of_table.remove(watch, key, prefix)
        if of_table.empty:
            del self.tables[table]

    def wake(self, changes: list[Change]) -> None:
        """Call each watch that one of these changes is for, once."""
        woken: _Group = {}
        for change in changes:
            of_table = self.tables.get(change.table)
            if of_table is not None:
                of_table.collect(change.key, woken)
        if woken:
            _call(woken)

    def wake_all(self) -> None:
        """Call every watch: the state was replaced."""
        woken: _Group = {}
        for of_table in self.tables.values():
            of_table.collect_all(woken)
        _call(woken)


def _call(woken: _Group) -> None:
    for watch in woken:
        if watch.callback is not None:  # not ended by one before it
            watch.callback()


class _OfTable:
    def __init__(self) -> None:
        self._whole: _Group = {}
        self._keys: dict[str, _Group] = {}
        self._prefixes: dict[int, dict[str, _Group]] = {}  # by length, then by text

    @property
    def empty(self) -> bool:
        return not (self._whole or self._keys or self._prefixes)

    def add(self, watch: _Watch, key: str | None, prefix: str | None) -> None:
        if key is not None:
            self._keys.setdefault(key, {})[watch] = None
        elif prefix is not None:
            self._prefixes.setdefault(len(prefix), {}).setdefault(prefix, {})[watch] = None
        else:
            self._whole[watch] = None

    def remove(self, watch: _Watch, key: str | None, prefix: str | None) -> None:
        if key is not None:
            _remove(self._keys, key, watch)
        elif prefix is not None:
            of_length = self._prefixes[len(prefix)]
            _remove(of_length, prefix, watch)
            if not of_length:
                del self._prefixes[len(prefix)]
        else:
            del self._whole[watch]

    def collect(self, key: str, woken: _Group) -> None:
        woken.update(self._whole)
        if (group := self._keys.get(key)) is not None:
            woken.update(group)
        for length, of_length in self._prefixes.items():
            if (group := of_length.get(key[:length])) is not None:
                woken.update(group)

    def collect_all(self, woken: _Group) -> None:
        woken.update(self._whole)
        for group in self._keys.values():
            woken.update(group)
        for of_length in self._prefixes.values():
            for group in of_length.values():
                woken.update(group)


def _remove(groups: dict[str, _Group], name: str, watch: _Watch) -> None:
    group = groups[name]
    del group[watch]
    if not group:
        del groups[name]
