"""The events and queries seen at each Lamport time: each event and query counts once.

See docs/wire.md#events-and-queries.
"""

from __future__ import annotations

from typing import Any, Final

_PER_TIME_MAX: Final = 256
"""Events of one Lamport time: honest ones are as many as members that send at the same moment."""

KEPT_MAX: Final = 1024
"""Events of all times together. Of more the oldest time is forgotten, and refused from then on."""


class Ring:
    """The messages of each of the last Lamport times; `first` is the oldest that is accepted."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._slots: dict[int, tuple[int, dict[Any, None]]] = {}
        self._kept = 0
        self.first = 0

    def ignore_before(self, ltime: int) -> None:
        """Refuse what is older."""
        self.first = max(self.first, ltime)

    def is_new(self, clock: int, ltime: int, what: Any) -> bool:
        """True once for `what` (hashable) at `ltime`, when our clock is at `clock`."""
        if ltime < self.first or ltime + self._size < clock:
            return False
        place = ltime % self._size
        slot = self._slots.get(place)
        if slot is not None and slot[0] > ltime:
            return False
        if slot is None or slot[0] < ltime:
            self._kept -= 0 if slot is None else len(slot[1])
            slot = self._slots[place] = (ltime, {})
        if what in slot[1] or len(slot[1]) >= _PER_TIME_MAX:
            return False
        slot[1][what] = None
        self._kept += 1
        if self._kept > KEPT_MAX:
            self._forget_oldest()
        return True

    def _forget_oldest(self) -> None:
        place, (ltime, seen) = min(self._slots.items(), key=lambda item: item[1][0])
        del self._slots[place]
        self._kept -= len(seen)
        self.ignore_before(ltime + 1)

    def remembered(self) -> list[tuple[int, list[Any]]]:
        """The contents of the ring, by Lamport time."""
        return [(ltime, list(seen)) for ltime, seen in sorted(self._slots.values())]
