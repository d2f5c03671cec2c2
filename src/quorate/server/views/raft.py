"""The views of all servers on the cluster, gathered from each of them.

Every server of the Raft configuration and every one that is known in the region is asked at once
over the RPC port, with one deadline. A server that does not answer is an entry with the reason: a
list that fails when a server is away is no use on the night on which it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from quorate.errors import ProvesNothing, QuorateError
from quorate.net.names import unanswered
from quorate.raft.effects import Role
from quorate.raft.values.configuration import Server as Peer
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import LEFT, Directory
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.no_leader import is_stranger
from quorate.server.integrity.checks import StateChecks
from quorate.server.machine import ServerMachine
from quorate.server.rpc.calls import Callers
from quorate.server.views.records import ServerView, VoterView
from quorate.shapes.diagnosis import Details

DEADLINE_S = 2.0

TWICE = "twice"
"""The `state` of a server whose ID another live server uses, as after copying a data folder."""

NAMESAKE = "namesake"
"""The `state` of a server whose name another live server of the pool has."""

_ROLES = {
    Role.LEADER: "leader",
    Role.FOLLOWER: "follower",
    Role.PRE_CANDIDATE: "candidate",
    Role.CANDIDATE: "candidate",
}


class ViewRequest(msgspec.Struct, frozen=True):
    """The argument of the call `view`: there is nothing to say."""


class Target(msgspec.Struct, frozen=True):
    """A server to ask."""

    id: str
    node: str
    address: str


def own_view(
    replica: Replica[object],
    me: Identity,
    checks: StateChecks,
    machine: ServerMachine,
    *,
    shares: str,
    details: Details | None = None,
    prepared: str,
) -> ServerView:
    """The view of this server. `shares`: TWICE or NAMESAKE if another one lives, or empty.

    `prepared`: see `ServerView`.
    """
    node = replica.node
    leads_or_lost = replica.is_leader or not node.leader_address
    return ServerView(
        id=replica.server_id,
        node=me.node,
        address=replica.address,
        role=_ROLES[node.role],
        term=node.term,
        leader_id=node.leader_id,
        leader_address=node.leader_address,
        last_contact_ms=0 if leads_or_lost else int((replica.now() - node.contact_at) * 1000),
        last_index=node.log.last_index,
        last_term=node.log.last_term,
        commit_index=node.commit_index,
        configuration_index=node.configuration_index,
        state=shares or checks.standing(),
        version=me.version,
        level=machine.store.registry.level,
        cluster_level=machine.store.level,
        held=replica.held.text if replica.held is not None else "",
        prepared=prepared,
        servers=tuple(
            VoterView(
                id=server.id,
                address=server.address,
                voter=server.is_voter,
                keyed=bool(server.key),
            )
            for server in node.configuration.servers
        ),
        details=details,
    )


async def gather(
    callers: Callers, targets: Iterable[Target], deadline_s: float = DEADLINE_S
) -> list[ServerView]:
    """The views of these servers, in their order. Never raises."""
    return list(await asyncio.gather(*(_ask(callers, each, deadline_s) for each in targets)))


async def view_of(callers: Callers, server_id: str, address: str) -> ServerView:
    """The view of one server that a plan names. Never raises."""
    target = Target(server_id, "(unknown)", address)
    return await _ask(callers, target, DEADLINE_S)


async def _ask(callers: Callers, target: Target, deadline_s: float) -> ServerView:
    try:
        async with asyncio.timeout(deadline_s):
            view = await callers.call(
                target.address, "view", ViewRequest(), ServerView, timeout_s=deadline_s
            )
    except TimeoutError:
        host = target.address.rpartition(":")[0].strip("[]")
        return _silent(target, unanswered(host) or f"no answer within {deadline_s:g} s")
    except ProvesNothing as error:
        return _silent(target, error.text, proves_nothing=True)
    except QuorateError as error:
        return _silent(target, error.text)
    if view.id != target.id:
        return _silent(target, f"another server answers there: {view.node} ({view.id})")
    return view


def _silent(target: Target, why: str, *, proves_nothing: bool = False) -> ServerView:
    return ServerView(
        id=target.id,
        node=target.node,
        address=target.address,
        error=why,
        proves_nothing=proves_nothing,
    )


def leader_of(views: Iterable[ServerView]) -> ServerView | None:
    """The leader by these views: of several that say so, the one with the newest term."""
    leading = [view for view in views if view.role == "leader" and not view.error]
    return max(leading, key=lambda view: view.term, default=None)


def view_targets(directory: Directory, region: str, peers: Sequence[Peer]) -> list[Target]:
    """The servers to ask for their view: those known in the region, and those of the configuration.

    The server itself is not among them. A member is asked at its address in the configuration.
    """
    targets = {
        known.identity.id: Target(known.identity.id, known.identity.node, known.identity.address)
        for known in directory.all()
        if known.identity.region == region
        and known.status != LEFT
        and not is_stranger(directory.me, known.identity)
    }
    for rival in directory.rivals():
        # Two servers with one ID: each is asked at its own address.
        for known in (rival, directory.by_id(rival.identity.id)):
            if known is not None and rival.identity.id in targets:
                other = known.identity
                targets[other.address] = Target(other.id, other.node, other.address)
    for peer in peers:
        name = targets[peer.id].node if peer.id in targets else "(unknown)"
        targets[peer.id] = Target(peer.id, name, peer.address)
    targets.pop(directory.me.id, None)
    unique = {(target.id, target.address): target for target in targets.values()}
    unique.pop((directory.me.id, directory.me.address), None)
    return list(unique.values())
