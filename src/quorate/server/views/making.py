"""The views of a server on itself and the cluster, made of its parts."""

from __future__ import annotations

from collections.abc import Callable

from quorate.raft.values.identity import IdentityRecord
from quorate.replica.replica import Replica
from quorate.server.bounds.usage import Usage
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.fixed_pool import FixedPool
from quorate.server.cluster.gossip_pool import GossipPool
from quorate.server.cluster.identity import Identity
from quorate.server.integrity.checks import StateChecks
from quorate.server.machine import ServerMachine
from quorate.server.options import ServerOptions
from quorate.server.refusals import RefusalLog
from quorate.server.room.watch import RoomWatch
from quorate.server.rpc.calls import Callers
from quorate.server.secrets.disks import Disks
from quorate.server.secrets.wrapping_members import WrappingMembers
from quorate.server.views.agent import AgentView
from quorate.server.views.cluster import ClusterView
from quorate.server.views.details import DetailsView
from quorate.shapes.diagnosis import RecoveryDetails


def showing(
    options: ServerOptions,
    replica: Replica[object],
    machine: ServerMachine,
    directory: Directory,
    *,
    pool: FixedPool | GossipPool,
    watch: PoolWatch,
    callers: Callers,
    checks: StateChecks,
    disks: Disks,
    usage: Usage,
    room: RoomWatch,
    acl_warning: Callable[[], str],
    backups_problem: Callable[[], str],
    wrapping: WrappingMembers,
    refusals: RefusalLog,
    me: Callable[[], Identity],
    record: Callable[[], IdentityRecord],
    prepared: Callable[[], str],
    recovery: Callable[[], RecoveryDetails],
) -> tuple[AgentView, ClusterView]:
    """This server as an operator sees it, and the cluster as it sees it."""
    agent = AgentView(
        replica=replica,
        machine=machine,
        directory=directory,
        pool=pool,
        watch=watch,
        checks=checks,
        disks=disks,
        usage=usage,
        room=room,
        acl_warning=acl_warning,
        backups_problem=backups_problem,
        wrapping=wrapping,
        me=me,
    )
    details = DetailsView(
        options=options,
        replica=replica,
        machine=machine,
        directory=directory,
        pool=pool,
        watch=watch,
        agent=agent,
        refusals=refusals,
        me=me,
        record=record,
        recovery=recovery,
    )
    cluster = ClusterView(
        replica=replica,
        machine=machine,
        directory=directory,
        callers=callers,
        checks=checks,
        me=me,
        namesake=pool.namesake,
        details=details.details,
        prepared=prepared,
    )
    return agent, cluster
