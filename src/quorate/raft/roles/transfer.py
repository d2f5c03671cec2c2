"""Giving leadership away: on request, and after one's own removal (thesis 3.10, 4.2.2).

Invariants: while a transfer runs no write or change is taken, so that the target can come level;
a transfer ends by success, by another's election or by its deadline, and its caller hears which;
once TimeoutNow has left, the lease is not trusted for the rest of the term, because the target's
voters need not wait. TimeoutNow names the term, so that a late one cannot break a later lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.raft.effects import Reason
from quorate.raft.roles.progress import Progress
from quorate.raft.values.messages import TimeoutNowRequest

if TYPE_CHECKING:
    from quorate.raft.roles.replication import Replication
    from quorate.raft.state import NodeState


def begin(leader: Replication, handle: Any, target_id: str) -> None:
    """Stop taking writes and bring the target level; the best one if `target_id` is empty."""
    node = leader.node
    if node.transfer is not None:
        node.reject((handle,), Reason.TRANSFERRING)
        return
    target = leader.peers.get(target_id) if target_id else best_target(leader)
    if target is None or not node.configuration.is_voter(target.server.id):
        node.reject((handle,), Reason.NO_TARGET, target_id)
        return
    deadline = node.now + 2 * node.settings.election_timeout_s
    node.transfer = (handle, target.server.id, deadline)
    leader.timeout_now_sent = False
    proceed(leader)


def proceed(leader: Replication) -> None:
    """Tell the target to campaign once its log is level."""
    node = leader.node
    if node.transfer is None or leader.timeout_now_sent:
        return
    peer = leader.peers.get(node.transfer[1])
    if peer is not None and peer.match_index == node.log.last_index:
        leader.timeout_now_sent = leader.handed_over = True
        node.send(peer.server, TimeoutNowRequest(**node.header()))


def best_target(leader: Replication) -> Progress | None:
    """The voter in contact that is furthest."""
    node = leader.node
    recent = node.now - node.settings.election_timeout_s
    able = [
        peer
        for peer in leader.peers.values()
        if node.configuration.is_voter(peer.server.id) and peer.contact_at > recent
    ]
    return max(able, key=lambda peer: (peer.match_index, peer.contact_at), default=None)


def expire(node: NodeState) -> None:
    """End a transfer whose time is over; a leader takes writes again."""
    if node.transfer is not None and node.now >= node.transfer[2]:
        handle = node.transfer[0]
        node.transfer = None
        node.reject((handle,), Reason.TRANSFER_TIMED_OUT)


def retire(leader: Replication) -> None:
    """Its own removal or demotion is committed: pass the news on, hand over, step down."""
    node = leader.node
    leader.give_notice()
    best = best_target(leader)
    if best is not None:
        node.send(best.server, TimeoutNowRequest(**node.header()))
    # A caller that waits for a committed entry gets its answer when it is applied here.
    kept = {i: handle for i, handle in node.proposals.items() if i <= node.commit_index}
    for index in kept:
        del node.proposals[index]
    node.become_follower(node.term, "has no vote in the committed configuration")
    node.proposals.update(kept)
