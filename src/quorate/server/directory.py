"""Which servers there are, and which of them answer: the seam where gossip will come in.

Today's source is asking: every known address is asked who it is, over the RPC port, and tells
whom else it knows. Identity is the ID: an address that answers with another ID belongs to another
server from then on.
"""

from __future__ import annotations

import msgspec

from quorate.server.identity import Identity

ALIVE, FAILED, LEFT = "alive", "failed", "left"


class Known(msgspec.Struct):
    """A server, when it last answered (loop seconds; -inf: never, only heard of), and how it is."""

    identity: Identity
    heard_at: float
    status: str = ALIVE


class Directory:
    """All servers ever heard of since start, this one included."""

    def __init__(self, me: Identity, fail_after_s: float) -> None:
        self._fail_after_s = fail_after_s
        self._known: dict[str, Known] = {me.id: Known(me, float("inf"))}
        self.me = me
        self.version = 0  # rises whenever a name, an address or a status may have changed

    def update_me(self, me: Identity) -> None:
        """This server itself has changed."""
        self.me = me
        self._known[me.id].identity = me

    def heard(self, identity: Identity, now: float) -> bool:
        """That server itself has answered. True if it was not known, or is another one now."""
        if identity.id == self.me.id:
            return False
        for other in list(self._known.values()):
            same_place = other.identity.address == identity.address
            if same_place and other.identity.id not in (identity.id, self.me.id):
                del self._known[other.identity.id]
        known = self._known.get(identity.id)
        self._known[identity.id] = Known(identity, now)
        before = known.identity if known else None
        if before is None or (before.node, before.address) != (identity.node, identity.address):
            self.version += 1
            return True
        if known is not None and known.status != ALIVE:
            self.version += 1
        return False

    def told(self, identity: Identity) -> None:
        """Another server says that this one exists: worth asking, no more."""
        if identity.id not in self._known and self.by_address(identity.address) is None:
            self._known[identity.id] = Known(identity, float("-inf"), FAILED)
            self.version += 1

    def refresh(self, now: float) -> None:
        """Decide anew who is alive."""
        for known in self._known.values():
            if known.identity.id != self.me.id and known.status != LEFT:
                silent = now - known.heard_at > self._fail_after_s
                status = FAILED if silent else ALIVE
                if status != known.status:
                    known.status = status
                    self.version += 1

    def by_id(self, server_id: str) -> Known | None:
        """The server with this ID."""
        return self._known.get(server_id)

    def by_address(self, address: str) -> Known | None:
        """The server that answers at this RPC address."""
        for known in self._known.values():
            if known.identity.address == address:
                return known
        return None

    def all(self) -> list[Known]:
        """All of them, by name."""
        return sorted(self._known.values(), key=lambda known: known.identity.node)

    def alive(self, region: str) -> list[Identity]:
        """Those of a region that answer, this one included."""
        return [
            known.identity
            for known in self.all()
            if known.identity.region == region and known.status == ALIVE
        ]

    def regions(self) -> list[str]:
        """The regions with at least one live server, sorted."""
        return sorted({k.identity.region for k in self._known.values() if k.status == ALIVE})
