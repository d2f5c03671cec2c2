"""The log and the identity of this server, as a recovery and a diagnosis compare them."""

from __future__ import annotations

from quorate.raft.values.identity import IdentityRecord
from quorate.replica.replica import Replica
from quorate.server.cluster.identity import Identity
from quorate.server.views.records import ServerView
from quorate.shapes import operator as shapes


def raft_facts(replica: Replica[object], me: Identity, view: ServerView) -> shapes.RaftFacts:
    """The facts of this moment. Nobody is asked, and nothing is read from the disk."""
    node = replica.node
    log, record = node.log, node.identity or IdentityRecord(server_id=replica.server_id)
    return shapes.RaftFacts(
        address=replica.address,
        applied_index=node.applied_index,
        cluster_id=node.cluster_id,
        commit_index=node.commit_index,
        configuration=shapes.ConfigurationOfFacts(
            index=node.configuration_index,
            servers=tuple(
                shapes.MemberOfFacts(
                    address=each.address, id=each.id, key=each.key, voter=each.is_voter
                )
                for each in node.configuration.servers
            ),
        ),
        epoch=record.epoch.counter,
        epoch_bits=record.epoch.bits.hex(),
        first_index=log.first_index if log.first_index <= log.last_index else 0,
        held=view.held,
        id=replica.server_id,
        last_contact_ms=view.last_contact_ms,
        last_index=log.last_index,
        last_term=log.last_term,
        leader=view.leader_address,
        leader_id=view.leader_id,
        level=record.level,
        node=me.node,
        prepared=view.prepared,
        region=me.region,
        role=view.role,
        snapshot=shapes.FactsSnapshot(index=log.snapshot_index, term=log.snapshot_term),
        start=record.start.number,
        state=view.state,
        storage_full=replica.storage_full,
        term=node.term,
        version=me.version,
        vote_term=node.hard_state.vote_term,
        voted_for=node.hard_state.voted_for,
    )
