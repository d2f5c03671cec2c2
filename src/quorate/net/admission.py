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
    """See the module. 0 is no limit.

    The bound of one address is one of strangers too: a member may have any number of connections
    here, one for each request that it passes on and that waits. If they counted, they would keep
    out what the same member sends of Raft, and with it the leader that a server hears of.
    """

    def __init__(self, per_host: int = 0, total: int = 0) -> None:
        self._per_host = per_host
        self._total = total
        self._strangers_max = max(total // 2, FEWEST_STRANGERS) if total else 0
        self._of_host: dict[str, int] = {}  # strangers
        self._all = 0
        self._strangers: dict[Connection, str] = {}  # their hosts; the first one came first

    @property
    def count(self) -> int:
        """How many connections there are."""
        return self._all

    def admit(self, host: str, connection: Connection) -> str:
        """Empty, and `gone` must follow; or why this one is not admitted."""
        if self._per_host and self._of_host.get(host, 0) >= self._per_host:
            return "too many connections from this address"
        if self._total and (
            self._all >= self._total or len(self._strangers) >= self._strangers_max
        ):
            first = next(iter(self._strangers), None)
            if first is None:
                return "this port has as many connections of members as it may have"
            self.is_member(first)  # it counts among all until it is gone
            first.make_room()
        self._all += 1
        self._strangers[connection] = host
        self._of_host[host] = self._of_host.get(host, 0) + 1
        return ""

    def is_member(self, connection: Connection) -> None:
        """It is one of a member, and no stranger's any more."""
        host = self._strangers.pop(connection, None)
        if host is None:
            return
        count = self._of_host[host] - 1
        if count:
            self._of_host[host] = count
        else:
            del self._of_host[host]

    def gone(self, connection: Connection) -> None:
        """An admitted connection has ended."""
        self.is_member(connection)
        self._all -= 1
