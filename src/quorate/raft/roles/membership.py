"""How a leader writes the next configuration.

Invariant: at most one configuration in the log is uncommitted, and a leader changes nothing
before an entry of its own term is committed (thesis 4.1 and the 2015 correction to it). A change
that takes a vote away is written only when a majority of the voters that would remain has answered
a request that was sent after the change was asked for, and only while the configuration is the one
that it was decided by. A removed server is fed for a while longer, so that it learns that it was
removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from quorate.raft.effects import Reason
from quorate.raft.pending import WeighedChange
from quorate.raft.values.configuration import (
    Change,
    ChangeKind,
    Configuration,
    ConfigurationError,
    next_configuration,
)
from quorate.raft.values.messages import EntryKind

if TYPE_CHECKING:
    from quorate.raft.roles.replication import Replication

_FAREWELL_TIMEOUTS = 4
_PROOF_TIMEOUTS: Final = 2
"""Election timeouts within which a majority must answer, or a change that needs it is refused."""

_WEIGHED_MAX: Final = 64


def refusal(leader: Replication, change: Change) -> Reason | None:
    """Why this change may not be written now, or None if it may."""
    node = leader.node
    if node.storage_full:
        return Reason.STORAGE_FULL
    if node.transfer is not None:
        return Reason.TRANSFERRING
    if node.commit_index < leader.first_own_index:
        return Reason.NOT_READY
    if node.configuration_index > node.commit_index:
        return Reason.CHANGE_PENDING
    if change.prev_index and change.prev_index != node.configuration_index:
        return Reason.CHANGE_STALE
    return None


def request(leader: Replication, handle: Any, change: Change, *, force: bool = False) -> None:
    """Write the next configuration into the log, at once or when it is safe, or say why not."""
    node = leader.node
    reason = refusal(leader, change)
    if reason is not None:
        node.reject((handle,), reason)
        return
    try:
        configuration = next_configuration(node.configuration, change)
    except ConfigurationError as error:
        node.reject((handle,), Reason.CHANGE_INVALID, str(error))
        return
    if not force and (why := _not_caught_up(leader, configuration)):
        node.reject((handle,), Reason.NOT_CAUGHT_UP, why)
        return
    if force or not _takes_a_vote(node.configuration, configuration):
        _write(leader, handle, configuration)
    elif len(leader.weighed) >= _WEIGHED_MAX:
        node.reject((handle,), Reason.CHANGE_PENDING)
    else:
        weighed = WeighedChange(
            handle,
            change,
            configuration,
            decided_by=node.configuration_index,
            proof=node.last_rpc_id + 1,
            deadline=node.now + _PROOF_TIMEOUTS * node.settings.election_timeout_s,
        )
        leader.weighed.append(weighed)
        leader.heartbeat()
        settle(leader)


def _not_caught_up(leader: Replication, configuration: Configuration) -> str:
    """Why a server that this configuration gives a vote should not have it yet, or empty.

    A voter that is not there, or far behind, counts for the majority and helps to none: the cluster
    could lose its quorum by gaining a voter (thesis 4.2.1). Close is what one append can bring.
    """
    node = leader.node
    for server in configuration.voters():
        if server.id == node.server_id or node.configuration.is_voter(server.id):
            continue
        peer = leader.peers.get(server.id)
        if peer is None or node.now - peer.contact_at > node.settings.election_timeout_s:
            return f"{server.id} at {server.address} does not answer this leader"
        behind = node.log.last_index - peer.match_index
        if behind > node.settings.append_entries_max:
            return f"{server.id} at {server.address} is {behind} entries behind"
    return ""


def settle(leader: Replication) -> None:
    """Write the weighed changes that are safe by now; refuse those that are stale or too late."""
    node = leader.node
    if not leader.weighed:
        return
    waiting, leader.weighed = leader.weighed, []
    for weighed in waiting:
        handles = (weighed.handle,)
        live = _live(leader, weighed)
        if weighed.decided_by != node.configuration_index:
            node.reject(handles, Reason.CHANGE_STALE)
        elif live >= weighed.configuration.quorum():
            reason = refusal(leader, weighed.change)
            if reason is None:
                _write(leader, weighed.handle, weighed.configuration)
            else:
                node.reject(handles, reason)
        elif node.now >= weighed.deadline:
            node.reject(handles, Reason.QUORUM_AT_RISK, _sum(node.configuration, weighed, live))
        else:
            leader.weighed.append(weighed)


def _takes_a_vote(before: Configuration, after: Configuration) -> bool:
    return any(not after.is_voter(server.id) for server in before.voters())


def _live(leader: Replication, weighed: WeighedChange) -> int:
    """How many voters that would remain have answered since; this server is one if it remains."""
    live = 0
    for server in weighed.configuration.voters():
        peer = leader.peers.get(server.id)
        answered = peer is not None and peer.acknowledged_rpc >= weighed.proof
        live += server.id == leader.node.server_id or answered
    return live


def _sum(before: Configuration, weighed: WeighedChange, live: int) -> str:
    change, after = weighed.change, weighed.configuration
    known = before.get(change.server_id)
    verb = "demoting" if change.kind == ChangeKind.DEMOTE_VOTER else "removing"
    return (
        f"{verb} {known.address if known else change.server_id} would leave {live} live of "
        f"{len(after.voters())} voters, and {after.quorum()} are needed for a quorum"
    )


def _write(leader: Replication, handle: Any, configuration: Configuration) -> None:
    node = leader.node
    _adjust_peers(leader, configuration)
    data = node.codec.encode_configuration(configuration)
    leader.append(EntryKind.CONFIGURATION, (data,), (handle,))


def _adjust_peers(leader: Replication, configuration: Configuration) -> None:
    node = leader.node
    for server in configuration.servers:
        known = leader.peers.get(server.id)
        if known is not None:
            known.server = server
            known.leaving_until = None
        elif server.id != node.server_id:
            leader.add_peer(server)
    until = node.now + _FAREWELL_TIMEOUTS * node.settings.election_timeout_s
    for server_id, peer in leader.peers.items():
        if configuration.get(server_id) is None and peer.leaving_until is None:
            peer.leaving_until = until


def drop_departed(leader: Replication) -> None:
    """Stop feeding removed servers that know of it, or cannot be told."""
    node = leader.node
    for server_id, peer in list(leader.peers.items()):
        if peer.leaving_until is None:
            continue
        told = peer.commit_sent >= node.configuration_index and not peer.appends
        if told or node.now >= peer.leaving_until:
            del leader.peers[server_id]
