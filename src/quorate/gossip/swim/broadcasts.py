"""News that spreads by gossip: what is still to be sent, and which part of it comes first.

Invariants (docs/wire.md#probing): everything is sent `RetransmitMult x ceil(log10(n+1))` times in
all; what was sent least often goes first, then larger, then newer; of each name only the newest is
kept; and there are never more than `limit` of them, however many are sent.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable


def retransmit_limit(mult: int, members: int) -> int:
    """How often news is sent in a pool of so many members."""
    return mult * math.ceil(math.log10(members + 1))


class Broadcast:
    """One piece of news. `name` is empty if nothing replaces it."""

    __slots__ = ("data", "name", "on_gone", "order", "sends")

    def __init__(
        self, name: str, data: bytes, order: int, on_gone: Callable[[], None] | None
    ) -> None:
        self.name = name
        self.data = data
        self.order = order
        self.on_gone = on_gone
        self.sends = 0


# Size and order first, so that a list of these is sorted as packets are filled.
_Item = tuple[int, int, Broadcast]


class BroadcastQueue:
    """See the module. One sorted list for each number of sends: filling looks at few of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._levels: list[list[_Item]] = [[]]
        self._by_name: dict[str, Broadcast] = {}
        self._count = 0
        self._order = 0

    def __len__(self) -> int:
        return self._count

    def has(self, name: str) -> bool:
        """Whether something about `name` is still to be sent."""
        return name in self._by_name

    def add(self, name: str, data: bytes, on_gone: Callable[[], None] | None = None) -> None:
        """Queue `data`; it takes the place of what is queued for `name`, unless that is empty.

        `on_gone` is called when it was sent as often as it should be, or was replaced.
        """
        if name:
            self.drop(name)
        self._order += 1
        item = Broadcast(name, data, self._order, on_gone)
        if name:
            self._by_name[name] = item
        insort(self._levels[0], (len(data), item.order, item))
        self._count += 1
        if self._count > self._limit:
            self._evict()

    def drop(self, name: str) -> None:
        """Forget what is queued for `name`."""
        old = self._by_name.get(name)
        if old is None:
            return
        level = self._levels[old.sends]
        del level[bisect_left(level, (len(old.data), old.order))]
        self._gone(old)

    def clear(self) -> None:
        """Forget all, as if it had been sent."""
        for level in self._levels:
            for _, _, item in level:
                self._gone(item)
            level.clear()

    def fill(self, parts: list[bytes], room: int, per_part: int, most: int, sends_max: int) -> int:
        """Add news to `parts`, at most `most` in all, as fits into `room` bytes; the room left.

        Each costs `per_part` bytes more than its own.
        """
        sent: list[Broadcast] = []
        for level in self._levels:
            while level and len(parts) < most:
                index = bisect_right(level, (room - per_part, math.inf)) - 1
                if index < 0:
                    break
                size, _, item = level.pop(index)
                parts.append(item.data)
                room -= size + per_part
                sent.append(item)
        # Only now: nothing goes into one packet twice.
        for item in sent:
            item.sends += 1
            if item.sends >= sends_max:
                self._gone(item)
                continue
            if item.sends == len(self._levels):
                self._levels.append([])
            insort(self._levels[item.sends], (len(item.data), item.order, item))
        return room

    def _evict(self) -> None:
        level = next(level for level in reversed(self._levels) if level)
        self._gone(level.pop(0)[2])

    def _gone(self, item: Broadcast) -> None:
        """`item` stands in no list any more."""
        self._count -= 1
        if item.name and self._by_name.get(item.name) is item:
            del self._by_name[item.name]
        if item.on_gone is not None:
            item.on_gone()
