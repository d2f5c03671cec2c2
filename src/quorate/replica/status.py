"""The status of a replica at one moment, as one value for people and programs."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from quorate.errors import MachineHeld, StateDamaged
from quorate.net.trust import Trust
from quorate.raft.effects import Role
from quorate.raft.values.configuration import Configuration
from quorate.runtime.raft import PeerProgress, RaftDriver


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A replica's view of the cluster; another replica may see more, or less.

    Indexes are of log entries, 0 if there is none. `leader_id` and `leader_address` are empty
    while no leader is known. `peers` is empty on a replica that does not lead. `tls_worries` says
    with the next step what is wrong with this replica's certificate, or will be within 30 days.
    """

    server_id: str
    role: Role
    term: int
    leader_id: str
    leader_address: str
    last_index: int  # of the log here, committed or not
    commit_index: int  # the newest entry that is known to be on a majority
    applied_index: int  # the newest entry that the state machine here holds
    snapshot_index: int  # the newest entry that the snapshot holds
    configuration: Configuration  # the newest in the log, committed or not
    configuration_index: int  # `prev_index` of a conditional Change
    peers: tuple[PeerProgress, ...]
    damage: StateDamaged | None
    held: MachineHeld | None
    tls_worries: tuple[str, ...] = ()


def status_of(driver: RaftDriver, trust: Trust | None) -> Status:
    """The status of this driver's core now, and of the certificate in `trust`."""
    node = driver.node
    tls = None if trust is None else trust.tls
    return Status(
        server_id=node.server_id,
        role=driver.role,
        term=node.term,
        leader_id=node.leader_id,
        leader_address=node.leader_address,
        last_index=node.log.last_index,
        commit_index=node.commit_index,
        applied_index=node.applied_index,
        snapshot_index=node.log.snapshot_index,
        configuration=node.configuration,
        configuration_index=node.configuration_index,
        peers=driver.peers(),
        damage=driver.damage,
        held=driver.held,
        tls_worries=() if tls is None else tls.worries(datetime.now(UTC), node.server_id),
    )
