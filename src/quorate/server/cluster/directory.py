"""Which servers there are, and which of them live, from gossip or from calls.

Without gossip it is known by asking: every known address is asked over the RPC port who it is, and
tells which others it knows; one that is silent for long has failed. With gossip the pool says who
lives, and asking only adds what tags do not tell. Identity is the ID: an address, or a name in the
pool, that another ID answers for belongs to another server from then on.
"""

from __future__ import annotations

import msgspec

from quorate.autopilot.deciders.places import two_bodies
from quorate.gossip.effects import Change, MemberChanged
from quorate.gossip.messages import SerfStatus
from quorate.server.cluster.identity import Identity, identity_from_tags

ALIVE, LEAVING, FAILED, LEFT = "alive", "leaving", "failed", "left"

STATUSES = {
    SerfStatus.ALIVE: ALIVE,
    SerfStatus.LEAVING: LEAVING,
    SerfStatus.LEFT: LEFT,
    SerfStatus.FAILED: FAILED,
}
SERVERS_MAX = 1024
"""Servers in the directory: twice what a pool holds. More are invented."""

_RIVALS_MAX = 64
"""Servers that use a used ID: one is a mistake, more are invented."""


class Known(msgspec.Struct):
    """A server, when it last answered (loop seconds; -inf: never, only heard of), and how it is."""

    identity: Identity
    heard_at: float
    status: str = ALIVE


class _Index:
    """IDs by what a server has: a name, or an address."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, None]] = {}

    def add(self, value: str, server_id: str) -> None:
        self._ids.setdefault(value, {})[server_id] = None

    def drop(self, value: str, server_id: str) -> None:
        ids = self._ids[value]
        del ids[server_id]
        if not ids:
            del self._ids[value]

    def get(self, value: str) -> list[str]:
        return list(self._ids.get(value, ()))


class Directory:
    """All servers ever heard of since start, this one included: `SERVERS_MAX` at most."""

    def __init__(self, me: Identity, fail_after_s: float | None) -> None:
        """`fail_after_s` is None where the pool says who lives."""
        self._fail_after_s = fail_after_s
        self._known: dict[str, Known] = {}
        self._by_node, self._by_address = _Index(), _Index()
        self._sorted: list[Known] | None = None
        self._rivals: dict[str, Known] = {}  # by name in the pool
        self.me = me
        self.version = 0  # rises whenever a name, an address or a status may have changed
        self._put(Known(me, float("inf")))

    def _put(self, known: Known) -> None:
        """Note this server in the place of what was known of its ID."""
        server_id = known.identity.id
        self._drop(server_id)
        self._known[server_id] = known
        self._by_node.add(known.identity.node, server_id)
        self._by_address.add(known.identity.address, server_id)
        self._sorted = None

    def _drop(self, server_id: str) -> None:
        known = self._known.pop(server_id, None)
        if known is not None:
            self._by_node.drop(known.identity.node, server_id)
            self._by_address.drop(known.identity.address, server_id)
            self._sorted = None

    def _is_full(self, server_id: str) -> bool:
        return server_id not in self._known and len(self._known) >= SERVERS_MAX

    def update_me(self, me: Identity) -> None:
        """This server itself has changed."""
        self.me = me
        self._put(Known(me, float("inf")))

    def heard(self, identity: Identity, now: float) -> bool:
        """That server itself has answered. True if it was not known, or is another one now."""
        if self._is_rival(identity, ALIVE):
            return self._hear_rival(identity, now)
        if identity.id == self.me.id or self._is_full(identity.id):
            return False
        for other in self._by_address.get(identity.address):
            if other not in (identity.id, self.me.id):
                self._drop(other)
        known = self._known.get(identity.id)
        self._put(Known(identity, now))
        before = known.identity if known else None
        if before is None or (before.node, before.address) != (identity.node, identity.address):
            self.version += 1
            return True
        if known is not None and known.status != ALIVE:
            self.version += 1
        return False

    def _hear_rival(self, identity: Identity, now: float) -> bool:
        """Another server uses a live ID. Where there is a pool, only the pool's word counts."""
        new = identity.node not in self._rivals
        if self._fail_after_s is None or (new and len(self._rivals) >= _RIVALS_MAX):
            return False
        self._rivals[identity.node] = Known(identity, now)
        self.version += new
        return new

    def seen(self, identity: Identity, status: str, now: float) -> None:
        """The pool says how that server is. What only the server itself can tell is kept.

        A live ID does not move to another name: that is a second server with the ID, as of a copied
        data folder, and takes the place only when the first one has failed or left.
        """
        if self._is_rival(identity, status):
            if status == ALIVE and len(self._rivals) < _RIVALS_MAX:
                self._rivals[identity.node] = Known(identity, now)
            else:
                self._rivals.pop(identity.node, None)
            self.version += 1
            return
        self._rivals.pop(identity.node, None)
        if identity.id == self.me.id or self._is_full(identity.id):
            return
        for other in self._by_node.get(identity.node):
            if other not in (identity.id, self.me.id):
                self._drop(other)
        known = self._known.get(identity.id)
        if known is not None:
            before = known.identity
            identity = msgspec.structs.replace(
                identity, initialised=before.initialised, leader=before.leader, log=before.log
            )
        heard_at = now if known is None or ALIVE in (status, known.status) else known.heard_at
        self._put(Known(identity, heard_at, status))
        self.version += 1
        if status != ALIVE:
            self._succeed(identity.id)

    def _is_rival(self, identity: Identity, status: str) -> bool:
        """True if the pool speaks of another server than the live one that has this ID.

        At the same address it is the same server, started again under another name: then only
        what is said of the old name does not count.
        """
        known = self._known.get(identity.id)
        if known is None or known.status != ALIVE or known.identity.node == identity.node:
            return False
        return status != ALIVE or known.identity.address != identity.address

    def _succeed(self, server_id: str) -> None:
        """A server with this ID has gone: one that lives under another name takes its place."""
        for name, rival in list(self._rivals.items()):
            if rival.identity.id == server_id and server_id != self.me.id:
                del self._rivals[name]
                self._put(rival)
                return

    def rivals(self) -> list[Known]:
        """Live members of the pool that use the ID of another live one, by name."""
        return [self._rivals[name] for name in sorted(self._rivals)]

    def has_rival(self, server_id: str) -> bool:
        """True if two live members of the pool use this ID."""
        rivals = self._rivals
        return bool(rivals) and any(r.identity.id == server_id for r in rivals.values())

    def whereabouts(self, server_id: str, on_record: str) -> str:
        """Where a member is now: it may have moved since it was written into the configuration.

        `on_record` is its address there; of two that use one ID it is the one that counts.
        """
        known = self._known.get(server_id)
        if known is None or (self._rivals and self.has_rival(server_id)):
            return on_record
        return known.identity.address

    def two_bodies(self, server_id: str) -> str:
        """That two live servers use this ID, with the names of both, or empty."""
        known = self._known.get(server_id)
        for rival in self.rivals():
            if known is not None and rival.identity.id == server_id:
                one, other = known.identity, rival.identity
                return two_bodies(*(server_id, one.node, one.address, other.node, other.address))
        return ""

    def pool_says(self, changed: MemberChanged, now: float) -> Identity | None:
        """Something happened to a member of the pool; the server it is, None if it is none."""
        member = changed.member
        try:
            identity = identity_from_tags(
                member.name, member.address.host, member.address.port, member.tags
            )
        except ValueError:
            return None
        if changed.change is Change.REAPED:
            self.forget(identity)
        else:
            self.seen(identity, STATUSES.get(member.status, FAILED), now)
        return identity

    def forget(self, identity: Identity) -> None:
        """The pool no longer speaks of that server."""
        self._rivals.pop(identity.node, None)
        known = self._known.get(identity.id)
        if known is None or identity.id == self.me.id or known.identity.node != identity.node:
            return
        self._drop(identity.id)
        self.version += 1
        self._succeed(identity.id)

    def told(self, identity: Identity) -> None:
        """Another server says that this one exists: worth asking, no more."""
        known = identity.id in self._known or self.by_address(identity.address) is not None
        if not known and not self._is_full(identity.id):
            self._put(Known(identity, float("-inf"), FAILED))
            self.version += 1

    def refresh(self, now: float) -> None:
        """Decide again which servers are alive, unless the pool decides that."""
        if self._fail_after_s is None:
            return
        for known in self._known.values():
            if known.identity.id != self.me.id and known.status != LEFT:
                silent = now - known.heard_at > self._fail_after_s
                status = FAILED if silent else ALIVE
                if status != known.status:
                    known.status = status
                    self.version += 1
        for name, rival in list(self._rivals.items()):
            if now - rival.heard_at > self._fail_after_s:
                del self._rivals[name]
                self.version += 1
        for known in list(self._known.values()):
            if known.status != ALIVE:
                self._succeed(known.identity.id)

    def by_id(self, server_id: str) -> Known | None:
        """The server with this ID."""
        return self._known.get(server_id)

    def by_address(self, address: str) -> Known | None:
        """The server that answers at this RPC address."""
        ids = self._by_address.get(address)
        return self._known[ids[0]] if ids else None

    def all(self) -> list[Known]:
        """All of them, by name."""
        if self._sorted is None:
            self._sorted = sorted(self._known.values(), key=lambda known: known.identity.node)
        return list(self._sorted)

    def alive(self, region: str) -> list[Identity]:
        """Those of a region that answer, this one included."""
        return [
            known.identity
            for known in self.all()
            if known.identity.region == region and known.status == ALIVE
        ]

    def lives(self, server_id: str, region: str) -> bool:
        """True if a live server of that region has this ID."""
        known = self._known.get(server_id)
        return known is not None and known.identity.region == region and known.status == ALIVE

    def regions(self) -> list[str]:
        """The regions with at least one live server, sorted."""
        return sorted({k.identity.region for k in self._known.values() if k.status == ALIVE})
