"""The details by which this server helps to find out why there is no leader.

It is made of what is at hand: nobody is asked, and nothing waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from quorate.pool.refusals import Told, printable
from quorate.raft.values.configuration import Server as Peer
from quorate.raft.values.identity import IdentityRecord
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import ALIVE, Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.fixed_pool import FixedPool
from quorate.server.cluster.gossip_pool import GossipPool
from quorate.server.cluster.identity import Identity
from quorate.server.machine import ServerMachine
from quorate.server.options import ServerOptions
from quorate.server.refusals import RefusalLog
from quorate.server.views.agent import AgentView
from quorate.shapes.diagnosis import (
    NAMED_MAX,
    REFUSED_MAX,
    TEXT_MAX,
    Details,
    DiskDetails,
    GossipDetails,
    PeerSeen,
    RecoveryDetails,
    Refused,
    TlsDetails,
)
from quorate.state.tables import servers


class DetailsView:
    """See the module. `me` and `record` give the identity of this server, `record` as peers see it.

    `record` is that of the data folder: cluster, epoch and start. `recovery` gives the one for
    which this server is prepared.
    """

    def __init__(
        self,
        *,
        options: ServerOptions,
        replica: Replica[object],
        machine: ServerMachine,
        directory: Directory,
        pool: FixedPool | GossipPool,
        watch: PoolWatch,
        agent: AgentView,
        refusals: RefusalLog,
        me: Callable[[], Identity],
        record: Callable[[], IdentityRecord],
        recovery: Callable[[], RecoveryDetails],
    ) -> None:
        self._options = options
        self._replica = replica
        self._machine = machine
        self._directory = directory
        self._pool = pool
        self._watch = watch
        self._agent = agent
        self._refusals = refusals
        self._me = me
        self._record = record
        self._recovery = recovery

    def details(self) -> Details:
        """Those of now."""
        me, record = self._me(), self._record()
        kind, problem = self._agent.problem()
        return Details(
            region=me.region,
            datacenter=me.datacenter,
            cluster_id=me.cluster_id or record.cluster_id,
            epoch=str(record.epoch),
            start=record.start.number,
            initialised=me.initialised,
            expect=me.expect,
            founders=self._options.founders[:NAMED_MAX],
            version=me.version,
            level=me.level,
            cluster_level=self._machine.store.level,
            leaderless_s=round(self._watch.leaderless_s(), 1),
            problem=printable(problem, 4 * TEXT_MAX),
            problem_kind=kind,
            waiting=printable(self._watch.waiting, 4 * TEXT_MAX),
            clock_ms=time.time_ns() // 1_000_000,
            disk=self._disk(),
            gossip=self._gossip(),
            peers=tuple(self._peers()),
            refused=_refused(self._refusals.recent.all()),
            recovery=self._recovery(),
            tls=self._tls(),
        )

    def _tls(self) -> TlsDetails:
        trust = self._replica.trust
        keeper = None if trust is None else trust.tls
        if keeper is None:
            return TlsDetails()
        now = datetime.now(UTC)
        others = keeper.other_worries(now, self._replica.server_id)
        return TlsDetails(
            enabled=True,
            days_left=math.floor(keeper.identity.days_left(now) * 1000) / 1000,
            of_authority=keeper.ends_with_authority,
            problem=printable(keeper.invalid(now), 4 * TEXT_MAX),
            others=tuple(printable(each, 4 * TEXT_MAX) for each in others),
        )

    def _disk(self) -> DiskDetails:
        replica = self._replica
        room = replica.disk_room
        return DiskDetails(
            full=replica.storage_full,
            free_bytes=room.free,
            needed_bytes=room.needed,
            waits_s=round(replica.disk_waits_s, 3),
            slowest_s=round(max(replica.disk_times.recent, default=0.0), 3),
            warning=printable(self._agent.little_room(), 4 * TEXT_MAX),
        )

    def _gossip(self) -> GossipDetails:
        pool, gossip = self._pool, self._options.gossip
        if gossip is None or not isinstance(pool, GossipPool):
            return GossipDetails(join=self._options.join[:NAMED_MAX])
        digests = pool.key_digests()
        return GossipDetails(
            enabled=True,
            encrypted=bool(digests),
            keys=digests,
            join=(*gossip.retry_join, *gossip.start_join)[:NAMED_MAX],
            trouble=printable(pool.trouble),
            refused=_refused(pool.refused()),
        )

    def _peers(self) -> Iterable[PeerSeen]:
        node = self._replica.node
        for peer in node.configuration.servers[:NAMED_MAX]:
            if peer.id != self._replica.server_id:
                yield self._peer(peer)

    def _peer(self, peer: Peer) -> PeerSeen:
        node, now = self._replica.node, self._replica.now()
        known = self._directory.by_id(peer.id)
        status = known.status if known is not None else "unknown"
        silent_s = -1.0
        if known is not None and known.heard_at > float("-inf"):
            silent_s = 0.0 if status == ALIVE else now - known.heard_at
        if node.leader is not None and (progress := node.leader.peers.get(peer.id)) is not None:
            contact_at = progress.contact_at
            silent_s = max(0.0, now - contact_at) if contact_at > float("-inf") else -1.0
        return PeerSeen(
            id=peer.id,
            node=known.identity.node if known is not None else self._recorded_name(peer.id),
            address=peer.address,
            status=status,
            silent_s=round(silent_s, 1),
        )

    def _recorded_name(self, server_id: str) -> str:
        """The name under which the cluster has it on record: of one that this start never heard."""
        record = servers.by_id(self._machine.store, server_id)
        return record.name if record is not None else ""


def _refused(told: Iterable[Told]) -> tuple[Refused, ...]:
    return tuple(
        Refused(where=each.where, why=each.why, count=each.times, ago_s=round(each.ago_s, 1))
        for each in list(told)[:REFUSED_MAX]
    )
