"""One server of a cluster: its replica, its RPC port, its place among the others, its duties.

`Server` composes and connects its parts. The API is handed these parts as `quorate.api.parts`
names them; how HTTP looks is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from quorate.errors import MachineHeld, QuorateError, StateDamaged
from quorate.metrics import Metrics
from quorate.net.dial import greet
from quorate.net.listening import naming
from quorate.net.peer import Peer as NetPeer
from quorate.net.port import ProtocolFactory, RpcPort
from quorate.net.threads import in_thread
from quorate.net.trust import Trust
from quorate.raft.effects import ConfigurationChanged, RoleChanged
from quorate.raft.values.configuration import Server as Peer
from quorate.raft.values.identity import RUN_BITS
from quorate.recovery.at_start import before_start
from quorate.replica.options import Options
from quorate.replica.replica import Replica
from quorate.server.access.making import accessing
from quorate.server.archive.catching_up import CatchingUp
from quorate.server.archive.restoring import Restores
from quorate.server.archive.saving import Saves
from quorate.server.audit.making import Writing, recording
from quorate.server.backups.making import backing_up
from quorate.server.bounds.making import bounding
from quorate.server.cluster.copies import after_refusal
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.fixed_pool import FixedPool
from quorate.server.cluster.founding import Bootstrap, Proposal
from quorate.server.cluster.gossip_pool import GossipPool
from quorate.server.cluster.identity import Greeting, Identity
from quorate.server.cluster.leaving import Leaving
from quorate.server.cluster.no_leader import known_reasons, why_no_leader
from quorate.server.cluster.rejoining import Rejoining
from quorate.server.events.hub import Hub
from quorate.server.integrity.checks import StateChecks
from quorate.server.integrity.judge import StateJudge
from quorate.server.leader.acts import Acts
from quorate.server.leader.leading import leading
from quorate.server.leader.level import LevelGate
from quorate.server.leader.locks import LockKeeper
from quorate.server.leadership import Leadership
from quorate.server.machine import ServerMachine
from quorate.server.options import ServerOptions
from quorate.server.recovery.live import LiveRecovery
from quorate.server.refusals import RefusalLog
from quorate.server.room.compacting import Compacting
from quorate.server.rpc.answers import Answers
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.forwarder import Forwarder
from quorate.server.rpc.gate import Gate
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.secrets.making import keeping
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.sealer import Sealer
from quorate.server.views.making import showing
from quorate.server.whereabouts import Whereabouts
from quorate.server.writes import Writes
from quorate.state.tables import cluster
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.folder.key_file import load_or_make_key
from quorate.storage.snapshots.store import SnapshotStore
from quorate.wire.first_byte import RAFT_BYTE

log = logging.getLogger("quorate.server")

PROVEN_LEVEL: Final = 1
"""The feature level from which on all servers prove their IDs."""

_STARTS_MAX: Final = 200  # the folder has room for some 400
REMOVED_S: Final = 6.0


class Server:
    """See the module. `start` opens the data folder, `stop` closes it."""

    def __init__(
        self,
        options: ServerOptions,
        *,
        on_fatal: Callable[[BaseException], None],
        metrics: Metrics | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`now` is the clock of the replica (see there), and of all that is compared with it."""
        self.options = options
        self._now = now
        self._on_fatal = on_fatal
        self._metrics = metrics or Metrics()
        self.checks = StateChecks(self._spawn, self._distrust)
        self.machine = ServerMachine(self.checks, self._spawn, options.registry)
        self.events = Hub(self.machine.store)
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals = RefusalLog(time.monotonic)
        self._expect = options.expect
        self._leaving = False
        self._http = HttpPool()
        self._rpc: RpcPort | None = None
        self._in_pool = False

    # -- life ------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the disk and start the replica; the parts of this server are there from now on.

        Raises WrongDataFolder, DataFolderInUse, LogDamaged.
        """
        options = self.options
        self._loop = asyncio.get_running_loop()
        recovered = await in_thread(
            partial(before_start, options.data_dir, own_address=options.rpc_address)
        )
        for each in recovered:
            log.warning("%s", each)
        self.folder = DataFolder.open(
            options.data_dir,
            region=options.region,
            version=options.version,
            make_id=lambda: str(uuid.uuid4()),
            run=os.urandom(RUN_BITS),
        )
        if why := self.folder.why_new_id:
            # What it was cannot be trusted with a vote.
            log.warning("%s; this server joins again as %s", why, self.folder.node_id)
        try:
            self.recovery = LiveRecovery(self.folder, self.checks, self._http)
            await self._load_replica()
            catching_up = CatchingUp(self.replica, self.machine.store.registry)
            await catching_up.look()
            self.machine.check_caught_up = catching_up.check
            self._meet_the_others()
            self.backups = backing_up(
                *(self.options.backup, self.replica, self.machine, self.archives, self.restores),
                writes=self.writes,
                judge=self._judge,
                leadership=self.leadership,
                unix_ms=self._acts.unix_ms,
            )
            self.replica.begin()  # last: all that it calls is there
            self._distrust(self.checks.damage)
        except BaseException:
            self.folder.close()
            raise

    async def start(self, http: ProtocolFactory) -> None:
        """Listen, and take part. `http` speaks HTTP on connections of the RPC port.

        Raises QuorateError when a port is taken; `stop` then closes what `open` has opened.
        """
        options = self.options
        self._rpc = RpcPort(
            trust=self.trust,
            raft=self.replica.connection,
            http=http,
            refused=self._refused,
            handshake_timeout_s=options.rpc_handshake_timeout_s,
            connections_max=options.rpc_connections_max,
            connections_total=options.rpc_connections_total,
        )
        with naming("rpc", *options.rpc_bind):
            await self._rpc.listen(*options.rpc_bind)
        self._spawn(self._whereabouts.learn_keys())
        await self.pool.start()
        self._in_pool = True
        self._spawn(self.writes.sweep())
        self._spawn(self.restores.drop_left_over(self.leadership.lease_valid))
        for part in (
            *(self._watch, self._duties, self._judge, self._locks, self.root_keys, self.disks),
            *(self._wrapping, self.usage, self._memory, self.room, self.backups, self.recovery),
            *(self.recorder, self.auditing),
            *(self.access, self._token_expiry),
        ):
            self._spawn(part.run())

    async def _load_replica(self) -> None:
        options = self.options
        store = self.folder.open_log()
        snapshots = SnapshotStore(self.folder.snapshots_path)
        self.replica = Replica(
            server_id=self.folder.node_id,
            address=options.rpc_address,
            machine=self.machine,
            log=store,
            snapshots=snapshots,
            options=Options(
                settings=options.settings,
                stream_prefix=bytes([RAFT_BYTE]),
                snapshot_threshold=options.snapshot_threshold,
                snapshot_interval_s=options.snapshot_interval_s,
                scrub_interval_s=options.state_check_interval_s,
                cluster_id=self.folder.identity.cluster_id,
                name=f"{options.name}.{options.region}",
                prepared=self.recovery.words,
            ),
            now=self._now,
            promises=self.folder,
        )
        self.checks.open(self.folder.node_id, self.folder.raft_path)
        self.leadership = Leadership(self.replica)
        ring = KeyRing(self.machine.store, options.wrapping)
        self.sealer = Sealer(self.machine.store, ring, self.leadership.has_begun)
        self.replica.on_role.append(self._role_changed)
        self.replica.on_refused.append(self._refused)
        self.replica.on_held.append(self._held)
        self.replica.on_failure.append(self._on_fatal)
        self.replica.on_configuration.append(self._configuration_changed)
        self.trust = Trust(
            signer=load_or_make_key(self.folder),
            me=lambda: (self.folder.record, options.region, options.rpc_address),
            configuration=lambda: self.replica.node.configuration,
            starts=self.folder,
            lenient=self._lenient,
            unproven_hosts=options.unproven_peers,
            refused=self._refused,
            tls=options.tls,
        )
        self.trust.probe = lambda address: greet(address, self.trust)
        self._http.trust = self.trust
        self.replica.believe(self.trust)
        self.replica.greeter = self._greet_member
        await self.replica.load()
        self.replica.speak_as(self.folder.record)
        self.level_gate = LevelGate(self.machine.store)
        self._acts = Acts(self.machine.store, lambda: time.time_ns() // 1_000_000)
        self.archives = Saves(self.replica, self.machine, self.folder.server, self._acts.unix_ms)
        self.writes = Writes(
            *(self.replica, self.level_gate.refusal, self._acts.settings_told),
            shift=lambda: self.machine.store.shift,
        )
        self._locks = LockKeeper(
            self.machine.store, self.leadership.has_begun, self.writes.apply, self.replica.now
        )
        self.restores = Restores(
            *(self.machine, self.writes, self.archives, self.folder.server, self._acts.unix_ms),
            wrapping=options.wrapping,
        )
        # Only now: a snapshot that is loaded at the start changes tables when there is no node yet.
        self.machine.store.watch(cluster.TABLE.name, self._learn_cluster_id)
        self._learn_cluster_id()

    def _meet_the_others(self) -> None:
        options = self.options
        self._callers = Callers(self._http, lambda: self.machine.store.level)
        fail_after_s = None if options.gossip is not None else 5.0
        self.directory = Directory(self.identity(), fail_after_s=fail_after_s)
        self._whereabouts = self._make_whereabouts()
        self.replica.locate = self._whereabouts.locate
        self.forwarder = Forwarder(self._http, self.directory, self.replica)
        self.pool = self._make_pool()
        self.disks, self.root_keys, self._wrapping = keeping(
            *(self.replica, self.machine.store, self.folder.server),
            callers=self._callers,
            apply=self.writes.apply,
            acts=self._acts,
            leads=self.leadership.has_begun,
            sealer=self.sealer,
            wrapping=options.wrapping,
        )
        self.membership, self._duties = leading(
            replica=self.replica,
            state=self.machine.store,
            directory=self.directory,
            callers=self._callers,
            options=options,
            checks=self.checks,
            gate=self.level_gate,
            apply=self.writes.apply,
            now=self.replica.now,
            trust=self.trust,
            acts=self._acts,
            wrapping=self._wrapping,
        )
        self.autopilot = self._duties.health
        self._bootstrap = Bootstrap(
            me=self.identity, found=self._found, met=self._settled_others, key_of=self._key_of
        )
        self._watch = PoolWatch(
            options=options,
            directory=self.directory,
            callers=self._callers,
            bootstrap=self._bootstrap,
            pool=self.pool,
            me=self.identity,
            take_in=self.membership.take_in,
            why_no_leader=self._why_no_leader,
            fatal=self._on_fatal,
            rng=random.Random(),
            rolled_back=self._told_of_rollback,
            learn_starts=self.trust.learn_starts,
            now=self.replica.now,
        )
        self.usage, self._memory, self.room = bounding(
            *(self.replica, self.machine.store, options, self.autopilot),
            callers=self._callers,
            apply=self.writes.apply,
            leads=self.leadership.has_begun,
        )
        self._make_access()
        self._make_views()
        self._judge = StateJudge(
            replica=self.replica,
            checks=self.checks,
            callers=self._callers,
            directory=self.directory,
            apply=self.writes.apply,
            interval_s=options.state_check_interval_s,
            spawn=self._spawn,
        )
        self._make_answers()

    def _make_access(self) -> None:
        self.access, self.acl, self._token_expiry = accessing(
            *(self.options, self.replica, self.machine, self.directory, self.folder.server),
            callers=self._callers,
            apply=self.writes.apply,
            acts=self._acts,
            leads=self.leadership.has_begun,
            sealer=self.sealer,
            refusal=self.usage.refusal,
            metrics=self._metrics,
            check=lambda: self.cluster.upgrade_check(),  # noqa: PLW0108  it is made later
            fatal=self._on_fatal,
        )

    def _make_answers(self) -> None:
        options = self.options
        self.auditing = Writing(options.audit, self.machine, self._metrics)
        self.recorder = recording(
            *(self.replica, self.machine.store, options.data_dir, self._metrics),
            callers=self._callers,
            leads=self.leadership.has_begun,
            apply=self.writes.apply,
            unix_ms=self._acts.unix_ms,
        )
        self.answers = Answers(
            directory=self.directory,
            watch=self._watch,
            membership=self.membership,
            bootstrap=self._bootstrap,
            me=self.identity,
            view=self.cluster.own,
            checks=self.checks,
            judge=self._judge,
            applied_index=lambda: self.replica.node.applied_index,
            gate=Gate(
                trust=self.trust,
                region=options.region,
                me=self.identity,
                leader_id=lambda: self.replica.node.leader_id,
                regions=self.directory,
            ),
            disks=self.disks,
            memory=self._memory,
            wrapping=self._wrapping,
            compacting=self.compacting,
            recorder=self.recorder,
        )

    def _make_views(self) -> None:
        self.agent, self.cluster = showing(
            *(self.options, self.replica, self.machine, self.directory),
            pool=self.pool,
            watch=self._watch,
            callers=self._callers,
            checks=self.checks,
            disks=self.disks,
            usage=self.usage,
            room=self.room,
            acl_warning=self.access.warning,
            backups_problem=lambda: self.backups.problem() or self._memory.other_backups(),
            wrapping=self._wrapping,
            refusals=self._refusals,
            me=self.identity,
            record=lambda: self.folder.record,
            prepared=self.recovery.told,
            recovery=self.recovery.details,
        )
        self.compacting = Compacting(
            self.replica, self.usage.bytes, self._callers, self.cluster.others, self.identity
        )
        self.recovery.attach(self.replica, self.cluster.facts, self._callers, self.trust)
        self.rejoining = Rejoining(
            self.replica.server_id,
            lambda: self.identity().node if self.replica.is_leader else "",
            self._watch,
        )

    def _settled_others(self) -> list[Identity]:
        return self._watch.settled_others()

    def _why_no_leader(self) -> str:
        configuration, known = self.replica.node.configuration, self.directory.all()
        problem = "" if self.trust.tls is None else self.trust.tls.invalid(datetime.now(UTC))
        reasons = known_reasons(self._refusals.recent.all(), problem)
        return why_no_leader(configuration, self.identity(), known, self.machine.store, reasons)

    def _make_whereabouts(self) -> Whereabouts:
        return Whereabouts(
            *(self.replica, self.trust, self.directory),
            ask=self._greet,
            lenient=self._lenient,
            spawn=self._spawn,
        )

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
            now=self.replica.now,
        )

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
        await self.recovery.finish()
        for task in list(self._tasks):
            task.cancel()
        if self._in_pool:
            await self.pool.stop()
        if self._rpc is not None:
            await self._rpc.close()
        self._http.close()
        await self.replica.stop()
        self.auditing.close()
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
        asker = Leaving(
            self.replica, self.membership, self._callers, self.leadership.wait_for_leader
        )
        await asker.hand_over()
        if self.options.gossip is not None:  # a fixed list stays as it is
            await asker.leave_configuration()
            await self.pool.leave()

    # -- identity --------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """The identity of this server."""
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
            level=options.registry.level,
        )

    def _learn_cluster_id(self) -> None:
        metadata, node = cluster.current(self.machine.store), self.replica.node
        if metadata is None or metadata.cluster_id == node.cluster_id or not node.leader_id:
            return
        # First the epoch: with the cluster's ID alone it would count as left out of a recovery.
        leader = self.replica.told_by(node.leader_id)
        if leader is not None and leader.epoch.counter > self.folder.identity.epoch.counter:
            self.folder.set_epoch(leader.epoch)
        self._keep_cluster_id(metadata.cluster_id)

    def _keep_cluster_id(self, cluster_id: str) -> None:
        self.folder.set_cluster_id(cluster_id)
        self.replica.set_cluster_id(cluster_id)
        self.replica.speak_as(self.folder.record)
        log.info("this server belongs to cluster %s", cluster_id)

    async def _found(self, proposal: Proposal) -> None:
        founders = ", ".join(address for _, address in proposal.servers)
        log.info("founding cluster %s of %s", proposal.cluster_id, founders)
        self._keep_cluster_id(proposal.cluster_id)
        await self.replica.bootstrap(proposal.configuration())

    def _key_of(self, server: Identity) -> bytes:
        key = self.trust.key_of(server.id)
        if not key and not self.trust.dials_plain(server.address, ""):
            raise QuorateError(f"{server.node} has not answered at {server.address} as yet")
        return key

    def _lenient(self) -> bool:
        """True while the cluster has servers of the first version, which prove nothing."""
        return max(self.folder.level, self.machine.store.level) < PROVEN_LEVEL

    async def _greet(self, address: str) -> Greeting | None:
        return await self._watch.greet(address)

    async def _greet_member(self, member: Peer) -> bool:
        return await self._whereabouts.greet_member(member)

    def _told_of_rollback(self, why: str, by: NetPeer) -> None:
        """A server says that this one runs on an old copy of its data, or on one of two."""
        # A server without data knows no member, and has nothing to lose by a stranger's word.
        if self.replica.node.configuration.servers and not self.trust.holds_the_key(by):
            return
        reason = f"{why} (found by {by.server_id} at {by.address})"
        self.folder.mark_rolled_back(reason, int(time.time()))
        self.replica.fail(  # at once: not one vote more
            QuorateError(
                f"this server must not take part: {reason}",
                after_refusal(self.folder.node_id),
            )
        )

    def _configuration_changed(self, change: ConfigurationChanged) -> None:
        if change.committed and len(self.folder.seen) > _STARTS_MAX:
            members = {server.id for server in change.configuration.servers}
            self._loop.run_in_executor(None, self.folder.forget_starts, members)
        if self._rpc is not None:
            # A moment later, so that a removed server still hears of its removal.
            self._loop.call_later(REMOVED_S, self._end_connections)

    def _end_connections(self) -> None:
        if self._rpc is not None and self.replica.node.configuration.servers:
            gate = self.answers
            self._rpc.end_connections(lambda peer: bool(gate.public_problem(peer)))

    # -- observation -----------------------------------------------------------------------------

    def _role_changed(self, change: RoleChanged) -> None:
        self.sealer.renew()
        self._learn_cluster_id()
        log.info(
            "%s in term %d, leader %s: %s",
            change.role.value,
            change.term,
            change.leader_address or "(none)",
            change.cause,
        )

    def _refused(self, where: str, why: str) -> None:
        self._refusals.tell(where, why)

    def _distrust(self, damage: StateDamaged | None) -> None:
        """The state here is found to be wrong, or None: to be right."""
        self.replica.quarantine(damage)

    def _held(self, held: MachineHeld | None) -> None:
        self.checks.stopped = held is not None
        if held is not None:
            log.error("%s; %s", held.text, held.next_step)
        else:
            log.info("a snapshot has brought the state past what could not be read")
