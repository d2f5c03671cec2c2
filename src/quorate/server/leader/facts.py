"""The facts of a leader, gathered into the values that `quorate.autopilot` decides on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from quorate.autopilot.facts import Claim, Facts, Peer
from quorate.net.peer import Peer as NetPeer
from quorate.raft.node import Node
from quorate.raft.values.configuration import Configuration
from quorate.server.cluster.directory import Directory, Known
from quorate.server.cluster.identity import Identity
from quorate.state.engine.store import StateStore
from quorate.state.tables import autopilot, cluster, journal, servers

NEWCOMERS_MAX: Final = 32
"""Servers of the region that are no members and are looked at at once. Each costs the leader some
0.05 ms, four times a second, and in a pool without a key a sender of packets can invent hundreds.
"""

TURN_S: Final = 3.0
"""Then it is the turn of the next ones. To ask them takes a second."""


def claim_of(
    identity: Identity, status: str = "alive", peer: NetPeer | None = None, objection: str = ""
) -> Claim:
    """The claim of that server, or of the pool; `peer` is the connection on which it says so."""
    return Claim(
        id=identity.id,
        name=identity.node,
        address=identity.address,
        region=identity.region,
        status=status,
        cluster_id=identity.cluster_id,
        leaving=identity.leaving,
        level=identity.level,
        version=identity.version,
        key=peer.key if peer is not None else b"",
        run=peer.record.start.run if peer is not None else b"",
        objection=objection,
    )


def _claim(known: Known) -> Claim:
    return claim_of(known.identity, known.status)


def in_turn(known: list[Known], members: Configuration, region: str, now: float) -> list[Known]:
    """Those that count now: members, servers of other regions, and some of the newcomers."""
    ids = {server.id for server in members.servers}
    new = [k.identity.id for k in known if k.identity.id not in ids and k.identity.region == region]
    if len(new) <= NEWCOMERS_MAX:
        return known
    start = int(now / TURN_S) * NEWCOMERS_MAX % len(new)
    waiting = {*new} - {*(new + new)[start : start + NEWCOMERS_MAX]}
    return [each for each in known if each.identity.id not in waiting]


def gather(
    node: Node,
    state: StateStore,
    directory: Directory,
    now: Callable[[], float],
    *,
    trouble: str = "",
    unfit: frozenset[str] = frozenset(),
    removing: frozenset[str] = frozenset(),
    myself: NetPeer | None = None,
    key_of: Callable[[str], bytes] = lambda _: b"",
    why_no_vote: Callable[[str], str] = lambda _: "",
) -> Facts | None:
    """The facts of this moment, or None while another server leads.

    `myself` is this server as it proves itself to others, `key_of` the key that a peer has proven,
    `why_no_vote` the reason for which a member is not to vote, or empty.
    """
    leader = node.leader
    if leader is None:
        return None
    me = msgspec.structs.replace(directory.me, cluster_id=node.cluster_id)
    moment = now()
    pool = in_turn(directory.all(), node.configuration, me.region, moment)
    return Facts(
        now=moment,
        me=claim_of(me, peer=myself),
        configuration=node.configuration,
        configuration_index=node.configuration_index,
        last_index=node.log.last_index,
        election_timeout_s=node.settings.election_timeout_s,
        peers={
            server_id: Peer(
                match_index=peer.match_index,
                contact_at=peer.contact_at,
                key=key_of(server_id),
            )
            for server_id, peer in leader.peers.items()
        },
        pool=tuple(map(_claim, pool)),
        rivals=tuple(map(_claim, directory.rivals())),
        records=state.rows(servers.TABLE),
        rules=autopilot.current(state),
        cluster_named=cluster.current(state) is not None,
        trouble=trouble,
        level=state.level,
        unfit=unfit,
        removing=removing,
        no_vote={
            server.id: why
            for server in node.configuration.servers
            if not server.is_voter and (why := why_no_vote(server.id))
        },
        told=journal.told(state),
        elected=node.elected,
        committed=node.committed_configuration,
        committed_index=node.committed_configuration_index,
    )
