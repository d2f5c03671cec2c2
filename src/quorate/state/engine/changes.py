"""Change records, and which keys changed lately.

`RecentChanges` answers whether a key, or any key with a prefix, changed after an index, deletions
too. It never says "no" without proof: below a table's floor, where it knows nothing, it says None.
The floor is the newest index at which a change was forgotten, or at which the table came from a
snapshot. So an answer that carries the table's index can always be compared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

RECENT_MAX: Final = 8192
"""Keys kept for each table: 1.6 s of 5,000 writes a second, far longer than a client takes from
an answer to its next query. All of them are looked at in about 0.5 ms."""

RECENT_KEY_BYTES_MAX: Final = 1 << 20
"""Characters of the keys of these changes, for each table: long keys do not take the memory."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One record put or deleted by the command at `index`.

    `old` is None for a new record, `new` for a deletion. Both are records of the table.
    """

    table: str
    key: str
    old: msgspec.Struct | None
    new: msgspec.Struct | None
    index: int


class RecentChanges:
    """The last changes of each table. `floors` are the tables' indexes as they begin."""

    def __init__(self, floors: Mapping[str, int]) -> None:
        self._tables = {name: _Recent(floor) for name, floor in floors.items()}
        self.adders = {name: recent.add for name, recent in self._tables.items()}
        """By table: to be told of the key and the index of what changed last."""

    def add(self, changes: list[Change]) -> None:
        """These came last, in this order."""
        for change in changes:
            self.adders[change.table](change.key, change.index)

    def floor(self, table: str) -> int:
        """The index below which nothing is known of that table."""
        return self._tables[table].floor

    def key_changed(self, table: str, key: str, since: int) -> bool | None:
        """Whether that key was put or deleted after index `since`; None if that is not known."""
        return self._tables[table].key_changed(key, since)

    def prefix_changed(self, table: str, prefix: str, since: int) -> bool | None:
        """The same of all keys that begin with `prefix`."""
        return self._tables[table].prefix_changed(prefix, since)


class _Recent:
    """Of one table: the newest index of each key that changed lately, in the order of these."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._last: OrderedDict[str, int] = OrderedDict()
        self._characters = 0

    def add(self, key: str, index: int) -> None:
        last = self._last
        if key in last:
            last[key] = index
            last.move_to_end(key)
            return
        last[key] = index
        self._characters += len(key)
        while len(last) > RECENT_MAX or self._characters > RECENT_KEY_BYTES_MAX:
            name, oldest = last.popitem(last=False)
            assert oldest >= self.floor, "indexes only rise"
            self.floor = oldest
            self._characters -= len(name)

    def key_changed(self, key: str, since: int) -> bool | None:
        if self._last.get(key, 0) > since:
            return True
        return False if since >= self.floor else None

    def prefix_changed(self, prefix: str, since: int) -> bool | None:
        for key, index in reversed(self._last.items()):
            if index <= since:
                break
            if key.startswith(prefix):
                return True
        return False if since >= self.floor else None
