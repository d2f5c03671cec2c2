"""Which server may ask what of this one over its RPC port.

Members may ask everything that servers ask of each other. A proven server that is no member may
greet, ask to be taken in, and found a cluster together with this server while this server holds no
data. A proven server of another region may pass on public requests, and has no more right with them
than at the HTTP port. Without proof a server may greet; the rest only while the cluster has feature
level 0, in which no server proves anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from quorate.errors import QuorateError
from quorate.net.peer import Peer
from quorate.net.trust import Trust
from quorate.raft.values.identity import Start
from quorate.server.cluster.identity import Identity

OPEN: Final = frozenset({"greet"})
JOINING: Final = frozenset({"join", "rejoin"})
FOUNDING: Final = frozenset({"bootstrap-promise", "bootstrap-commit"})
OF_THE_LEADER: Final = frozenset({"state-verdict"})


class Regions(Protocol):
    """Knowledge of servers of other regions."""

    def lives(self, server_id: str, region: str) -> bool:
        """True if the pool knows that server as a live one of that region."""


class Gate:
    """See the module."""

    def __init__(
        self,
        *,
        trust: Trust,
        region: str,
        me: Callable[[], Identity],
        leader_id: Callable[[], str],
        regions: Regions,
    ) -> None:
        self._trust = trust
        self._region = region
        self._me = me
        self._leader_id = leader_id
        self._regions = regions

    def check(self, verb: str, peer: Peer | None) -> None:
        """Raises QuorateError when this call is not for this peer."""
        if why := self._problem(verb, peer):
            raise QuorateError(f"{verb[:40]} is refused: {why}")

    def _problem(self, verb: str, peer: Peer | None) -> str:
        if verb in OPEN or (peer is None and self._trust.lenient()):
            return ""
        if peer is None:
            return "the connection does not prove which server asks; upgrade that server"
        if verb in JOINING or verb in FOUNDING:
            return self._newcomer_problem(verb, peer)
        if not self._trust.is_member(peer):
            return self._trust.objection(peer.record) or f"{peer.server_id} is no member"
        follows = verb not in OF_THE_LEADER or peer.server_id == self._leader_id()
        return "" if follows else f"{peer.server_id} does not lead"

    def _newcomer_problem(self, verb: str, peer: Peer) -> str:
        if peer.region != self._region:
            return (
                f"{peer.server_id} is of region {peer.region!r}, this is {self._region!r}; servers "
                "of a cluster name the same region"
            )
        has_one = verb in FOUNDING and self._me().initialised
        return "this server belongs to a cluster" if has_one else ""

    def public_problem(self, peer: Peer | None) -> str:
        """Empty, or why a request of the public API is not answered to this peer."""
        if peer is None:
            return "" if self._trust.lenient() else "the RPC port serves servers of the cluster"
        if self._trust.is_member(peer):
            return ""
        if peer.region != self._region and self._regions.lives(peer.server_id, peer.region):
            return ""
        return f"{peer.server_id} is neither a member nor a known server of another region"

    def door(self, peer: Peer | None) -> Door:
        """`public_problem` for one connection, which asks for each request."""
        return Door(self, self._trust, peer)

    def is_named(self, identity: Identity, peer: Peer | None) -> bool:
        """True if the peer speaks of itself. One that proves nothing may, while all may."""
        if peer is None:
            return self._trust.lenient()
        said = (identity.id, identity.address, identity.region)
        return said == (peer.server_id, peer.address, peer.region)

    def may_propose(self, proposer: str, peer: Peer | None) -> bool:
        """True if the peer speaks of itself, and is what answers where this server looks for it.

        Else a stranger's proposal would keep this server from every other founding.
        """
        if peer is None:
            return self._trust.lenient()
        return proposer == peer.server_id and self._trust.key_of(proposer) == peer.key

    def may_see_others(self, peer: Peer | None) -> bool:
        """Whether a greeting is answered with the servers known here: strangers need none."""
        return peer is not None or self._trust.lenient()

    def is_member(self, peer: Peer | None) -> bool:
        """True for a proven server that the configuration of this moment has."""
        return peer is not None and self._trust.is_on_record(peer)

    def starts_for(self, peer: Peer | None) -> dict[str, Start]:
        """What a member is told of the starts of others that were seen here."""
        return self._trust.starts_for(peer)

    def objection(self, peer: Peer | None) -> tuple[str, bool]:
        """Why nothing of this peer counts here, or empty; and whether its data folder is why."""
        if peer is None or peer.server_id == self._me().id:
            return "", False
        if not self._trust.holds_the_key(peer):
            return "", False
        why, copied = self._trust.peer_objection(peer), self._trust.is_copy(peer.record)
        if copied:
            former = self._trust.last_place(peer.server_id)
            why += f"; it was known at {former} before, and speaks from {peer.address}"
            self._trust.refused(peer.address, why)
        return why, copied


class Door:
    """`Gate.public_problem` of one peer, asked again when what it stands on has changed.

    That can be told of a member on record. What others may depends on the pool and on the time too.
    """

    def __init__(self, gate: Gate, trust: Trust, peer: Peer | None) -> None:
        self._gate = gate
        self._trust = trust
        self._peer = peer
        self._agreed: tuple[object, ...] | None = None  # the grounds on which it may

    def problem(self) -> str:
        """Empty, or why a request of the public API is not answered to this peer."""
        trust, peer, agreed = self._trust, self._peer, self._agreed
        if agreed is not None and agreed == trust.grounds():
            return ""
        why = self._gate.public_problem(peer)
        lasting = not why and peer is not None and trust.is_on_record(peer)
        self._agreed = trust.grounds() if lasting and peer and trust.is_member(peer) else None
        return why
