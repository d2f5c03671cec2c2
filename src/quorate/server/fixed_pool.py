"""A pool that is the fixed list of the configuration: what it can show, and what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from quorate.errors import GossipDisabled
from quorate.raft.configuration import Server as Peer
from quorate.server.directory import ALIVE, LEFT, Directory, Known
from quorate.server.raft_views import Target
from quorate.server.views import JoinResult, KeyringOperation, KeyringResult, Member, PeerView
from quorate.state import servers
from quorate.state.table import Reader


class WithoutGossip:
    """The part of the API's service that acts on gossip: here it says that there is none."""

    async def join(self, addresses: Sequence[str]) -> JoinResult:
        """Raises GossipDisabled."""
        del addresses
        raise GossipDisabled

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Raises GossipDisabled."""
        del node, prune
        raise GossipDisabled

    async def keyring(self, operation: KeyringOperation, key: str) -> KeyringResult:
        """Raises GossipDisabled."""
        del operation, key
        raise GossipDisabled


def removal_problem(state: Reader, server_id: str) -> str | None:
    """What the health of a server says that an operator has removed; None for all others.

    Known from applied state alone: an old configuration in the log is no sign of a removal.
    """
    index = servers.removed_at(state, server_id)
    if not index:
        return None
    return f"removed from the cluster at index {index}; run: quorate server rejoin"


def member_of(known: Known) -> Member:
    """A server as a member of the pool."""
    identity = known.identity
    return Member(
        name=identity.node,
        addr=identity.address.rpartition(":")[0].strip("[]"),
        port=identity.serf_port,
        status=known.status,
        tags=identity.tags(),
    )


def peer_view(
    server: Peer,
    directory: Directory,
    state: Reader,
    *,
    leader_address: str,
    unix_time: Callable[[float], float],
) -> PeerView:
    """A row of the Raft configuration; `unix_time` turns the loop's time into Unix seconds.

    What a server was called that nobody knows now is in the replicated state.
    """
    known = directory.by_id(server.id) or directory.by_address(server.address)
    record = servers.by_id(state, server.id) if known is None else None
    last_contact = ""
    if known is not None and known.status != ALIVE and known.heard_at > float("-inf"):
        heard = datetime.fromtimestamp(unix_time(known.heard_at), UTC)
        last_contact = heard.strftime("%Y-%m-%dT%H:%M:%SZ")
    return PeerView(
        id=server.id,
        node=known.identity.node if known else "(unknown)",
        address=server.address,
        leader=bool(server.address) and server.address == leader_address,
        voter=server.is_voter,
        raft_protocol="3" if known else "unknown",
        status=known.status if known else "unknown",
        last_contact=last_contact,
        last_name=record.name if record else "",
    )


def view_targets(directory: Directory, region: str, peers: Sequence[Peer]) -> list[Target]:
    """Whom to ask for their view: the known servers of the region and those of the configuration.

    The server itself is not among them. A member is asked at its address in the configuration.
    """
    targets = {
        known.identity.id: Target(known.identity.id, known.identity.node, known.identity.address)
        for known in directory.all()
        if known.identity.region == region and known.status != LEFT
    }
    for peer in peers:
        name = targets[peer.id].node if peer.id in targets else "(unknown)"
        targets[peer.id] = Target(peer.id, name, peer.address)
    targets.pop(directory.me.id, None)
    return list(targets.values())
