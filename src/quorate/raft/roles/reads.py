"""Linearizable reads on a leader (thesis 6.4).

Invariant: a read is released only when the state machine holds every entry that was committed
when it was asked for, and either the lease still holds, or a majority has answered a request that
was sent after it was asked for. Rounds are shared: all reads that come while one is under way
wait for the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.raft.commitment import majority_value
from quorate.raft.effects import ReadReady, Reason
from quorate.raft.pending import PendingRead

if TYPE_CHECKING:
    from quorate.raft.roles.replication import Replication

_NEVER = float("inf")


def request(leader: Replication, handle: Any) -> None:
    """Serve at once under the lease, else after a majority has answered a new request."""
    node = leader.node
    if leader.ready() and leader.lease_until() > node.now:
        node.emit(ReadReady((handle,)))
        return
    proof = node.last_rpc_id + 1
    index = max(node.commit_index, leader.first_own_index)
    if not leader.reads:
        leader.heartbeat()
    leader.reads.append(PendingRead(handle, proof, index))
    release(leader)


def refuse_all(leader: Replication, reason: Reason, detail: str = "") -> None:
    """No read that waits is served."""
    handles = tuple(read.handle for read in leader.reads)
    leader.reads.clear()
    leader.node.reject(handles, reason, detail)


def release(leader: Replication) -> None:
    """Answer the reads whose proof and whose index have arrived."""
    if not leader.reads:
        return
    node = leader.node
    proven = majority_value(leader.voter_values(lambda p: p.acknowledged_rpc, _NEVER) or [0])
    done: list[PendingRead] = []
    waiting: list[PendingRead] = []
    for read in leader.reads:
        served = read.proof <= proven and read.index <= node.applied_index
        (done if served else waiting).append(read)
    leader.reads = waiting
    if done:
        node.emit(ReadReady(tuple(read.handle for read in done)))
    if waiting and waiting[-1].proof > leader.heartbeat_rpc and proven >= leader.heartbeat_rpc:
        leader.heartbeat()  # the next batch: all that came while the last round was under way
