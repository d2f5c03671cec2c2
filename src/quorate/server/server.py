"""One server of a cluster: its replica, its RPC port, its place among the others, its duties.

What the API asks (`quorate.api.service.Service`) is answered here; how HTTP looks is not known.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from quorate.errors import ChangeRefused, NoLeader, StateDamaged
from quorate.metrics import Metrics
from quorate.raft.configuration import Server as Peer
from quorate.raft.effects import RoleChanged
from quorate.raft.identity import RUN_BITS
from quorate.replica.replica import Options, Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.fixed_pool import FixedPool
from quorate.server.cluster.founding import Bootstrap, Proposal
from quorate.server.cluster.gossip_pool import GossipPool
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.leaving import Leaving
from quorate.server.cluster.membership import Membership
from quorate.server.cluster.no_leader import why_no_leader
from quorate.server.integrity.checks import StateChecks
from quorate.server.integrity.judge import StateJudge
from quorate.server.leader.loop import LeaderDuties
from quorate.server.leader.reconcile import Reconciler
from quorate.server.machine import ServerMachine
from quorate.server.options import ServerOptions
from quorate.server.rpc.answers import Answers
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.rpc.port import ProtocolFactory, RpcPort
from quorate.server.rpc.regions import forward_to_region
from quorate.server.views import raft as raft_views
from quorate.server.views import stats
from quorate.server.views.peer import peer_view
from quorate.server.views.raft import view_targets
from quorate.server.views.records import (
    JoinResult,
    KeyringOperation,
    KeyringResult,
    Member,
    RaftConfigurationView,
    Rejoin,
    ServerView,
    Transfer,
)
from quorate.server.writes import APPLY_TIMEOUT_S, Writes
from quorate.state import cluster, servers
from quorate.state.store import StateStore
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.snapshots.store import SnapshotStore
from quorate.wire.first_byte import RAFT_BYTE

log = logging.getLogger("quorate.server")

FORMER_LEADER_PATIENCE_S = 0.3
LEADER_PATIENCE_S = 5.0  # as long as the API holds a request while nobody leads


class Server:
    """See the module. `start` opens the data folder, `stop` closes it."""

    def __init__(
        self,
        options: ServerOptions,
        *,
        on_fatal: Callable[[BaseException], None],
        metrics: Metrics | None = None,
    ) -> None:
        self.options = options
        self._on_fatal = on_fatal
        self._metrics = metrics or Metrics()
        self.checks = StateChecks(self._spawn, self._distrust)
        self._machine = ServerMachine(self.checks, lambda: self._distrust(self.checks.damage))
        self._tasks: set[asyncio.Task[None]] = set()
        self._leader_waiters: list[asyncio.Future[None]] = []
        self._refusals: dict[tuple[str, str], float] = {}
        self._expect = options.expect
        self._leaving = False
        self._http = HttpPool()
        self._followed = ""  # address of the leader known last
        self._view: RaftConfigurationView | None = None
        self._view_of: object = None

    # -- life ------------------------------------------------------------------------------------

    async def start(self, http: ProtocolFactory) -> None:
        """Open the disk, listen, take part. `http` speaks HTTP on connections of the RPC port.

        Raises WrongDataFolder, DataFolderInUse, LogDamaged, or OSError when a port is taken.
        """
        options = self.options
        self._loop = asyncio.get_running_loop()
        self.folder = DataFolder.open(
            options.data_dir,
            region=options.region,
            version=options.version,
            make_id=lambda: str(uuid.uuid4()),
            run=os.urandom(RUN_BITS),
        )
        if why := self.folder.why_new_id:
            # What it was cannot be trusted with a vote.
            log.warning("%s; this server joins anew as %s", why, self.folder.node_id)
        try:
            await self._start_replica()
            self._rpc = RpcPort(
                raft=self.replica.connection,
                http=http,
                refused=self._refused,
                handshake_timeout_s=options.rpc_handshake_timeout_s,
                connections_max=options.rpc_connections_max,
            )
            self._meet_the_others()
            await self._rpc.listen(*options.rpc_bind)
            await self._pool.start()
        except BaseException:
            self.folder.close()
            raise
        self._spawn(self._watch.run())
        self._spawn(self._duties.run())
        self._spawn(self._judge.run())
        self._spawn(self._writes.sweep())

    async def _start_replica(self) -> None:
        options = self.options
        store = self.folder.open_log()
        snapshots = SnapshotStore(self.folder.snapshots_path)
        self.replica = Replica(
            server_id=self.folder.node_id,
            address=options.rpc_address,
            machine=self._machine,
            log=store,
            snapshots=snapshots,
            options=Options(
                settings=options.settings,
                stream_prefix=bytes([RAFT_BYTE]),
                snapshot_threshold=options.snapshot_threshold,
                snapshot_interval_s=options.snapshot_interval_s,
                scrub_interval_s=options.state_check_interval_s,
                cluster_id=self.folder.identity.cluster_id,
            ),
        )
        self.checks.open(self.folder.node_id, self.folder.raft_path)
        self.replica.on_role.append(self._role_changed)
        self.replica.on_refused.append(self._refused)
        self.replica.on_failure.append(self._on_fatal)
        await self.replica.start()
        self._distrust(self.checks.damage)
        self._writes = Writes(self.replica)
        # Only now: a snapshot that is loaded at the start changes tables when there is no node yet.
        self._machine.store.watch(cluster.TABLE.name, self._learn_cluster_id)
        self._machine.store.watch(servers.TABLE.name, self._forget_view)
        self._learn_cluster_id()

    def _meet_the_others(self) -> None:
        options = self.options
        self._callers = Callers(self._http)
        self.directory = Directory(
            self.identity(), fail_after_s=None if options.gossip is not None else 5.0
        )
        self.replica.locate = self._locate
        self._pool = self._make_pool()
        state = self._machine.store
        self._membership = Membership(
            replica=self.replica, state=state, directory=self.directory, apply=self.apply
        )
        self._bootstrap = Bootstrap(me=self.identity, found=self._found, met=self._settled_others)
        self._watch = PoolWatch(
            options=options,
            directory=self.directory,
            callers=self._callers,
            bootstrap=self._bootstrap,
            pool=self._pool,
            me=self.identity,
            take_in=self._membership.take_in,
            why_no_leader=self._why_no_leader,
            fatal=self._on_fatal,
            rng=random.Random(),
        )
        reconciler = Reconciler(
            directory=self.directory,
            membership=self._membership,
            callers=self._callers,
            state=state,
        )
        self._answers = Answers(
            directory=self.directory,
            watch=self._watch,
            membership=self._membership,
            bootstrap=self._bootstrap,
            me=self.identity,
            view=self.own_view,
            checks=self.checks,
            applied_index=lambda: self.replica.node.applied_index,
        )
        self._duties = LeaderDuties(
            replica=self.replica,
            state=state,
            options=options,
            apply=self.apply,
            reconciler=reconciler,
            checks=self.checks,
        )
        self._judge = StateJudge(
            replica=self.replica,
            checks=self.checks,
            callers=self._callers,
            directory=self.directory,
            apply=self.apply,
            interval_s=options.state_check_interval_s,
        )

    def _settled_others(self) -> list[Identity]:
        return self._watch.settled_others()

    def _why_no_leader(self) -> str:
        configuration, known = self.replica.node.configuration, self.directory.all()
        return why_no_leader(configuration, self.identity(), known, self._machine.store)

    def _make_pool(self) -> FixedPool | GossipPool:
        gossip = self.options.gossip
        if gossip is None:
            return FixedPool(self.directory)
        return GossipPool(
            self.options,
            gossip,
            directory=self.directory,
            me=self.identity,
            metrics=self._metrics,
            fatal=self._on_fatal,
        )

    def _locate(self, peer: Peer) -> str:
        """Where a member is now: it may have moved since it was written into the configuration."""
        known = self.directory.by_id(peer.id)
        return known.identity.address if known is not None else peer.address

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fatal(error)

    async def stop(self) -> None:
        """Close everything; what was acknowledged is on disk."""
        for task in list(self._tasks):
            task.cancel()
        await self._pool.stop()
        await self._rpc.close()
        self._http.close()
        await self.replica.stop()
        self.folder.close()

    def reconfigure(self, options: ServerOptions) -> None:
        """Take over the options that may change while running: Raft's timing, snapshots, checks."""
        replica = self.replica
        self._judge.interval_s = options.state_check_interval_s
        replica.reconfigure(
            msgspec.structs.replace(
                replica.options,
                settings=options.settings,
                snapshot_threshold=options.snapshot_threshold,
                snapshot_interval_s=options.snapshot_interval_s,
                scrub_interval_s=options.state_check_interval_s,
            )
        )

    async def leave(self) -> None:
        """Before a graceful stop. Raises QuorateError when the cluster cannot do without us."""
        self._leaving = True
        asker = Leaving(self.replica, self._membership, self._callers, self.wait_for_leader)
        await asker.hand_over()
        if self.options.gossip is not None:  # a fixed list stays as it is
            await asker.leave_configuration()
            await self._pool.leave()

    # -- identity --------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Who this server is now."""
        options, node = self.options, self.replica.node
        return Identity(
            id=self.replica.server_id,
            name=options.name,
            region=options.region,
            datacenter=options.datacenter,
            address=options.rpc_address,
            serf_port=options.serf_port,
            version=options.version,
            cluster_id=node.cluster_id,
            initialised=bool(node.configuration.servers or node.log.last_index),
            expect=self._expect,
            leader=node.leader_address,
            log=f"{node.log.last_term}-{node.log.last_index}",
            leaving=self._leaving,
        )

    def _learn_cluster_id(self) -> None:
        metadata = cluster.current(self._machine.store)
        if metadata is not None and metadata.cluster_id != self.replica.node.cluster_id:
            self._keep_cluster_id(metadata.cluster_id)

    def _keep_cluster_id(self, cluster_id: str) -> None:
        self.folder.set_cluster_id(cluster_id)
        self.replica.set_cluster_id(cluster_id)
        log.info("this server belongs to cluster %s", cluster_id)

    async def _found(self, proposal: Proposal) -> None:
        founders = ", ".join(address for _, address in proposal.servers)
        log.info("founding cluster %s of %s", proposal.cluster_id, founders)
        self._keep_cluster_id(proposal.cluster_id)
        await self.replica.bootstrap(proposal.configuration())

    # -- observation -----------------------------------------------------------------------------

    def _role_changed(self, change: RoleChanged) -> None:
        log.info(
            "%s in term %d, leader %s: %s",
            change.role.value,
            change.term,
            change.leader_address or "(none)",
            change.cause,
        )
        if change.leader_address:
            self._follow(change.leader_address)
            waiters, self._leader_waiters = self._leader_waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _follow(self, leader_address: str) -> None:
        """Give up, after a while, on what the former leader was asked and does not answer."""
        former, self._followed = self._followed, leader_address
        if former not in {"", leader_address}:
            # One that runs answers at once that it leads no more; one that is stopped or cut off
            # would keep its callers waiting for as long as they can.
            self._loop.call_later(
                FORMER_LEADER_PATIENCE_S, self._http.give_up, former, self._loop.time()
            )

    def _refused(self, where: str, why: str) -> None:
        key = (where.rpartition(":")[0] or where, why[:60])
        now = self._loop.time()
        if now - self._refusals.get(key, float("-inf")) > 60.0:
            if len(self._refusals) > 1000:
                self._refusals.clear()
            self._refusals[key] = now
            log.warning("refused %s: %s", where, why)

    def _distrust(self, damage: StateDamaged | None) -> None:
        """The state here is found to be wrong, or None: to be right."""
        self.replica.quarantine(damage or self._machine.trouble())

    async def answer_call(self, verb: str, body: bytes) -> bytes:
        """Answer a call of another server. Raises QuorateError."""
        return await self._answers.answer(verb, body)

    def own_view(self) -> ServerView:
        """What this server believes of the cluster."""
        name, now = self.identity().node, self._loop.time()
        return raft_views.own_view(self.replica, name, now, self.checks)

    # -- who leads, and who may answer -----------------------------------------------------------

    @property
    def region(self) -> str:
        """This server's region."""
        return self.options.region

    @property
    def datacenter(self) -> str:
        """This server's datacenter."""
        return self.options.datacenter

    @property
    def name(self) -> str:
        """This server's name, without the region."""
        return self.options.name

    @property
    def state(self) -> StateStore:
        """The replicated state, as applied here so far, to answer from. Raises StateDamaged."""
        if self.checks.damage is not None:
            raise self.checks.damage.again()
        return self._machine.store

    def leader_address(self) -> str:
        """RPC address of the leader this server follows (its own if it leads), or empty."""
        return self.replica.node.leader_address

    def is_leader(self) -> bool:
        """True while this server believes to lead."""
        return self.replica.is_leader

    def lease_valid(self) -> bool:
        """True if a read of applied state made right now, without awaiting, is linearizable."""
        return self.replica.lease_valid()

    async def read_barrier(self) -> None:
        """Return when a read made now on this leader is linearizable."""
        await self.replica.read_barrier()

    async def wait_for_leader(self, timeout_s: float) -> bool:
        """Wait until a leader is known; False if none is after `timeout_s` seconds."""
        if self.leader_address():
            return True
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._leader_waiters.append(waiter)
        await asyncio.wait((waiter,), timeout=timeout_s)
        return bool(self.leader_address())

    def last_contact_ms(self) -> int:
        """Whole milliseconds since the leader was heard; 0 on the leader."""
        if self.replica.is_leader:
            return 0
        return int((self._loop.time() - self.replica.node.contact_at) * 1000)

    async def forward_to_leader(self, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to the leader over the RPC port.

        Raises NoLeader, LeadershipLost when another leader was elected before the answer came,
        or QuorateError with the transport's text.
        """
        address = self.leader_address()
        if not address:
            raise NoLeader
        return await self._http.request(address, request)

    async def forward_to_region(self, region: str, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to a live server of that region. Raises NoPathToRegion."""
        return await forward_to_region(region, request, directory=self.directory, http=self._http)

    # -- reads -----------------------------------------------------------------------------------

    def raft_configuration(self) -> RaftConfigurationView:
        """The newest Raft configuration this server knows; the same object while it is the same."""
        node = self.replica.node
        key = (node.configuration_index, node.leader_id, self.directory.version)
        if self._view is None or self._view_of != (node.configuration, key):
            self._view_of = (node.configuration, key)
            self._view = RaftConfigurationView(
                index=node.configuration_index,
                servers=tuple(
                    peer_view(
                        server,
                        directory=self.directory,
                        state=self._machine.store,
                        leader_id=node.leader_id,
                        unix_time=self._unix_time,
                    )
                    for server in node.configuration.servers
                ),
            )
        return self._view

    def _forget_view(self) -> None:
        self._view = None

    def _unix_time(self, loop_s: float) -> float:
        return time.time() - (self._loop.time() - loop_s)

    def peers(self) -> list[str]:
        """Addresses of all servers of the Raft configuration, in its order."""
        return [server.address for server in self.replica.node.configuration.servers]

    def regions(self) -> list[str]:
        """Sorted names of the regions with at least one live server."""
        return self.directory.regions()

    def stats(self) -> dict[str, dict[str, str]]:
        """The `stats` of agent/self."""
        return {
            "nomad": stats.nomad(self.replica, self.directory, self._expect == 1),
            "raft": {
                **stats.raft(self.replica, self._loop.time()),
                **stats.unknown_commands(self._machine.store),
            },
            "serf": self._pool.stats(),
            "runtime": stats.runtime(platform.machine()),
            "quorate": {"waiting": self.waiting(), **stats.state_check(self.checks)},
        }

    def config_view(self) -> dict[str, Any]:
        """The `config` of agent/self."""
        return self.options.config_view

    def http_headers(self) -> dict[str, str]:
        """Configured response headers."""
        return self.options.http_headers

    def prometheus_enabled(self) -> bool:
        """Configured `telemetry.prometheus_metrics`."""
        return self.options.prometheus

    # -- writes ----------------------------------------------------------------------------------

    def apply(self, command: bytes) -> asyncio.Future[tuple[int, Any]]:
        """Replicate a command; the future gives (log index, result of applying it)."""
        return self._writes.apply(command)

    async def remove_peer(self, *, server_id: str | None, address: str | None, force: bool) -> None:
        """Remove a server from the Raft configuration; it stays out until it asks to rejoin."""
        await self._membership.remove(server_id=server_id, address=address, force=force)

    async def transfer_leadership(self, *, server_id: str | None, address: str | None) -> Transfer:
        """Hand leadership over."""
        return await self._membership.transfer(server_id=server_id, address=address)

    # -- the pool --------------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """All known servers, of all regions."""
        return self._pool.members()

    async def join(self, addresses: Sequence[str]) -> JoinResult:
        """Join the pool at these addresses. Raises GossipDisabled."""
        return await self._pool.join(addresses)

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Let a failed member count as left. Raises GossipDisabled."""
        await self._pool.force_leave(node, prune=prune)

    async def keyring(self, operation: KeyringOperation, key: str) -> KeyringResult:
        """Have all members change or list their keys. Raises GossipDisabled."""
        return await self._pool.keyring(operation, key)

    def removed_at(self) -> int:
        """The index at which an operator removed this server; 0 if it is a member, or never was.

        It is known from committed state, this server's own or the leader's.
        """
        node = self.replica.node
        if node.configuration.get(self.replica.server_id) is not None and node.leader_id:
            return 0
        index = servers.removed_at(self._machine.store, self.replica.server_id)
        return index or self._watch.removed_at

    def health_problem(self) -> str | None:
        """Why this server takes no part, with the cure."""
        index = self.removed_at()
        if index:
            return f"removed from the cluster at index {index}; run: quorate server rejoin"
        for problem in (self.checks.damage, self._machine.held):
            if problem is not None:
                return f"{problem.text}; {problem.next_step}"
        return self.checks.disagreement or None

    def waiting(self) -> str:
        """What this server waits for, in words: a leader, others to found with. Empty: nothing."""
        return self._watch.waiting

    async def views(self) -> list[ServerView]:
        """What each server of this region believes, this one first."""
        own = self.own_view()
        peers = self.replica.node.configuration.servers
        targets = view_targets(self.directory, self.region, peers)
        return [own, *await raft_views.gather(self._callers, targets)]

    async def rejoin(self) -> Rejoin:
        """Ask the leader to take this server in again, although it was removed.

        Raises NoLeader, and ChangeRefused if it is a member or is not taken in.
        """
        me = self.replica.server_id
        deadline = self._loop.time() + LEADER_PATIENCE_S
        while (leader := raft_views.leader_of(await self.views())) is None:
            if self._loop.time() >= deadline:
                raise NoLeader
            await asyncio.sleep(0.25)
        if any(server.id == me for server in leader.servers):
            raise ChangeRefused(
                f"this server is in the Raft configuration of the leader, {leader.node}",
                "there is nothing to rejoin",
            )
        why = await self._watch.rejoin(APPLY_TIMEOUT_S)
        if why:
            raise ChangeRefused(f"this server was not taken in: {why}", "see the leader's log")
        return Rejoin(id=me)
