"""How many connections a port has, and which of them goes to make room for a newcomer.

Bounds: of one address, of all, and of those that are not known to be members: strangers may hold
half of all. A newcomer may be a member, which shows some milliseconds later only. So it is not
turned away for strangers: where they hold their part, the one that came first is ended. A stranger
that keeps members out would have to open that many connections within the time of one handshake.
"""

from __future__ import annotations

from typing import Final, Protocol

FEWEST_STRANGERS: Final = 16
"""Strangers that there may always be: servers that are about to join."""


class Connection(Protocol):
    """A connection that was admitted."""

    def make_room(self) -> None:
        """End, for the sake of another one. `Admission.gone` follows, maybe later."""


class Admission:
    """See the module. 0 is no limit."""

    def __init__(self, per_host: int = 0, total: int = 0) -> None:
        self._per_host = per_host
        self._total = total
        self._strangers_max = max(total // 2, FEWEST_STRANGERS) if total else 0
        self._of_host: dict[str, int] = {}
        self._all = 0
        self._strangers: dict[Connection, None] = {}  # the first one came first

    @property
    def count(self) -> int:
        """How many connections there are."""
        return self._all

    def admit(self, host: str, connection: Connection) -> str:
        """Empty, and `gone` must follow; or why this one is not admitted."""
        count = self._of_host.get(host, 0) + 1
        if self._per_host and count > self._per_host:
            return "too many connections from this address"
        if self._total and (
            self._all >= self._total or len(self._strangers) >= self._strangers_max
        ):
            first = next(iter(self._strangers), None)
            if first is None:
                return "this port has as many connections of members as it may have"
            del self._strangers[first]
            first.make_room()
        self._of_host[host] = count
        self._all += 1
        self._strangers[connection] = None
        return ""

    def is_member(self, connection: Connection) -> None:
        """It is one of a member, and no stranger's any more."""
        self._strangers.pop(connection, None)

    def gone(self, host: str, connection: Connection) -> None:
        """An admitted connection has ended."""
        self._strangers.pop(connection, None)
        self._all -= 1
        count = self._of_host[host] - 1
        if count:
            self._of_host[host] = count
        else:
            del self._of_host[host]
