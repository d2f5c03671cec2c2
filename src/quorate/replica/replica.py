"""One Raft replica at run time: the core's effects become disk writes, messages and answers.

Everything runs on one event loop but the disk's thread and the snapshots' thread. Events are
taken one after another (an effect that causes an event queues it), so the core sees one order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from quorate.errors import BadFrame, QuorateError, StateDamaged
from quorate.raft import effects, events
from quorate.raft.configuration import Change, Configuration, ConfigurationError, Server
from quorate.raft.effects import Reason, Role, RoleChanged
from quorate.raft.messages import (
    AnyRequest,
    AppendEntriesRequest,
    EntryKind,
    InstallSnapshotRequest,
)
from quorate.raft.node import Node
from quorate.raft.settings import Settings
from quorate.replica.disk import Disk, Room
from quorate.replica.incoming import IncomingConnection, Slot
from quorate.replica.links import ANOTHER, PeerLinks, is_of
from quorate.replica.machine import StateMachine
from quorate.replica.reasons import error_for
from quorate.replica.scrubbing import scrub
from quorate.replica.snapshots import IncomingSnapshot, SnapshotWorker, send_snapshot
from quorate.runtime.clock import LoopClock
from quorate.runtime.driver import Driver
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.storage.snapshots.store import SnapshotStore
from quorate.wire.raft import membership as codec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica behaves around its core. Sizes in bytes, times in seconds."""

    settings: Settings = msgspec.field(default_factory=Settings)
    stream_prefix: bytes = b""  # what a peer's port expects before the Raft stream
    snapshot_threshold: int = 8192  # entries since the last snapshot
    snapshot_interval_s: float = 120.0
    disk_reserve_bytes: int = 16 << 20
    scrub_interval_s: float = 30.0  # within which damage to the log at rest is found; 0: never
    cluster_id: str = ""


class DiskTimes(msgspec.Struct):
    """Seconds the newest writes took, and how many writes there were."""

    recent: deque[float] = msgspec.field(default_factory=lambda: deque(maxlen=512))
    count: int = 0


class Replica:
    """See the module. Make it with its disk opened; `start`, use, `stop`."""

    def __init__(
        self,
        *,
        server_id: str,
        address: str,
        machine: StateMachine,
        log: LogStore,
        snapshots: SnapshotStore,
        options: Options,
        rng: Random | None = None,
    ) -> None:
        self.server_id = server_id
        self.address = address
        self.machine = machine
        self.options = options
        self.log = log
        self.snapshots = snapshots
        self.disk_times = DiskTimes()
        self.on_role: list[Callable[[RoleChanged], None]] = []
        self.on_configuration: list[Callable[[effects.ConfigurationChanged], None]] = []
        self.on_refused: list[Callable[[str, str], None]] = []
        self.on_failure: list[Callable[[BaseException], None]] = []
        self.at_stop: list[Callable[[], object]] = []
        self.locate: Callable[[Server], str] = lambda peer: peer.address  # where it is now
        self.storage_full = False
        self.damage: StateDamaged | None = None
        self._rng = rng or Random()
        self._connections: set[IncomingConnection] = set()
        self._links = PeerLinks(options.stream_prefix, self.step, self.refused)
        self._to_persist: list[effects.Persist] = []
        self._proposals: list[tuple[asyncio.Future[Any], bytes]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._snapshot_running = False
        self._released: dict[int, tuple[Any, ...]] = {}  # by write: what leaves when it is durable
        self._perform: dict[type, Callable[[Any], None]] = {
            effects.Persist: self._persist,
            effects.Send: self._send,
            effects.SendSnapshot: self._send_snapshot,
            effects.Reply: self._reply,
            effects.ReceiveSnapshot: self._receive_snapshot,
            effects.RestoreSnapshot: self._restore_snapshot,
            effects.Apply: self._apply,
            effects.ReadReady: self._read_ready,
            effects.Done: self._done,
            effects.Rejected: self._rejected,
            effects.RoleChanged: self._role_changed,
            effects.ConfigurationChanged: self._configuration_changed,
        }

    # -- life -----------------------------------------------------------------------------------

    async def bootstrap(self, configuration: Configuration) -> None:
        """Found a cluster with this configuration; return when that is durable here.

        Every founding server must be given the same, once. Raises ConfigurationError, or
        ChangeRefused if this server holds data already.
        """
        future: asyncio.Future[str] = self._loop.create_future()
        self.step(events.Bootstrap(future, configuration))
        await future

    async def start(self) -> None:
        """Load what the disk holds and take part."""
        self._loop = asyncio.get_running_loop()
        self._worker = SnapshotWorker(self.snapshots, lambda: time.time_ns() // 1_000_000)
        snapshot = await self._load_snapshot()
        self.node = Node(
            server_id=self.server_id,
            address=self.address,
            settings=self.options.settings,
            reader=self.log,
            hard_state=self.log.hard_state(),
            codec=codec,
            rng=self._rng,
            now=self._loop.time(),
            snapshot=snapshot,
            cluster_id=self.options.cluster_id,
        )
        self._driver = Driver(
            self.node,
            LoopClock(self._loop),
            self._perform,
            tick=events.Tick,
            on_failure=self._fail,
            refusals=(BadFrame, ConfigurationError),
            on_refusal=self._event_refused,
            settle=self._settle,
        )
        self._disk = Disk(
            self.log,
            self.log.path,
            reserve_bytes=self.options.disk_reserve_bytes,
            on_durable=self._from_disk(self._durable),
            on_full=self._from_disk(self._disk_full),
            on_failure=self._from_disk(self._disk_failed),
        )
        self._disk.start()
        self._spawn(self._watch_snapshots())
        self._spawn(self._watch_links())
        self._spawn(scrub(self, self._worker, lambda: self.options.scrub_interval_s))
        self.step(events.Tick())

    def _from_disk(self, handler: Callable[..., None]) -> Callable[..., None]:
        def hand_over(*args: Any) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(handler, *args)

        return hand_over

    async def _load_snapshot(self) -> tuple[int, int, Configuration, int] | None:
        """Restore the newest snapshot; a damaged one is an error, never passed over."""
        newest = await self._worker.run(self.snapshots.newest_valid)
        if newest.problems:
            raise newest.problems[0]
        meta = newest.meta
        if meta is None:
            return None
        image = await self._worker.run(self._worker.decode, self.machine, meta.id)
        self.machine.restore(image)
        if self.log.last_index() < meta.index:
            # It was stored, then the power went before the log behind it was.
            self.log.write(WriteBatch(reset_to=(meta.index, meta.term)))
        return (meta.index, meta.term, meta.configuration, meta.configuration_index)

    async def stop(self) -> None:
        """End all connections and threads; what the disk has accepted becomes durable."""
        for last in self.at_stop:
            last()
        self._driver.end()
        for task in list(self._tasks):
            task.cancel()
        self._links.close()
        for connection in list(self._connections):
            connection.close()
        self._fail_waiting()
        await self._loop.run_in_executor(None, self._disk.close)
        await self._loop.run_in_executor(None, self._worker.close)
        self.log.close()

    def _fail_waiting(self) -> None:
        waiting = list(self.node.proposals.values())
        if self.node.leader is not None:
            waiting += [read.handle for read in self.node.leader.reads]
        for future in [*waiting, *(future for future, _ in self._proposals)]:
            if not future.done():
                future.set_exception(error_for(Reason.LEADERSHIP_LOST))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        for tell in self.on_failure:
            tell(error)

    # -- what a service asks ----------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """True while this replica believes to lead."""
        return self.node.leader is not None

    @property
    def disk_room(self) -> Room:
        """How much room the disk has, and how much is needed for writes."""
        return self._disk.room

    @property
    def role(self) -> Role:
        """What this replica is now."""
        return self.node.role

    def lease_valid(self) -> bool:
        """True if a read of the state machine made right now is linearizable."""
        return self.damage is None and self.node.lease_valid(self._loop.time())

    def propose(self, command: bytes) -> asyncio.Future[tuple[int, Any]]:
        """Replicate a command; the future gives (index, what `apply` returned).

        Fails with NotLeader, LeadershipLost, StorageFull, StateDamaged, or QuorateError when
        overloaded. All proposals of one turn of the loop travel as one batch.
        """
        future: asyncio.Future[tuple[int, Any]] = self._loop.create_future()
        if self.damage is not None:  # what `apply` returned here could be wrong
            future.set_exception(self.damage.again())
            return future
        self._proposals.append((future, command))
        if len(self._proposals) == 1:
            self._loop.call_soon(self._flush_proposals)
        return future

    def _flush_proposals(self) -> None:
        proposals, self._proposals = self._proposals, []
        self.step(events.Propose(tuple(proposals)))

    async def read_barrier(self) -> None:
        """Return when a read of the state machine made now is linearizable.

        Raises NotLeader, LeadershipLost or StateDamaged.
        """
        if self.damage is not None:
            raise self.damage.again()
        if not self.lease_valid():
            future: asyncio.Future[None] = self._loop.create_future()
            self.step(events.ReadRequested(future))
            await future

    async def change(self, change: Change) -> int:
        """Change the membership; the index of the committed configuration.

        Raises NotLeader, LeadershipLost, or ChangeRefused with the reason.
        """
        future: asyncio.Future[tuple[int, Any]] = self._loop.create_future()
        self.step(events.ChangeRequested(future, change))
        return (await future)[0]

    async def transfer(self, target_id: str = "") -> str:
        """Hand leadership over, to the best voter if none is named; the new leader's id.

        Raises NotLeader, or ChangeRefused with the reason: then the old leader goes on.
        """
        future: asyncio.Future[str] = self._loop.create_future()
        self.step(events.TransferRequested(future, target_id))
        return await future

    def reconfigure(self, options: Options) -> None:
        """Use other timing and snapshot rules from now on."""
        self.options = options
        self.node.settings = options.settings

    def quarantine(self, damage: StateDamaged | None) -> None:
        """The state machine here is known to be wrong, or None: it is right again.

        Until then this replica answers no read and takes no write, does not campaign, and neither
        takes nor sends a snapshot, which would carry the damage and compact the log that could
        mend it. It goes on to vote and to store the log. A leader has to be told to `transfer`.
        """
        self.damage = damage
        self.step(events.MachineState(damage is not None))

    def set_cluster_id(self, cluster_id: str) -> None:
        """From now on carry this identity, and refuse peers that carry another."""
        self.node.cluster_id = cluster_id

    def connection(self) -> IncomingConnection:
        """A protocol for one accepted connection that speaks the Raft stream."""
        connection = IncomingConnection(self)
        self._connections = {c for c in self._connections if not c.closed}
        self._connections.add(connection)
        return connection

    async def snapshot_now(self) -> int:
        """Store a snapshot of what is applied and compact the log; its index, 0 if nothing new.

        Also 0 while the state machine is known to be wrong.
        """
        point = self.node.snapshot_point()
        if point is None or self._snapshot_running or self.damage is not None:
            return 0
        self._snapshot_running = True
        try:
            meta = await self._worker.take(point, self.machine.snapshot())
        finally:
            self._snapshot_running = False
        if self.node.machine_damaged:  # found meanwhile: the log must not be compacted behind it
            return 0
        self.step(events.SnapshotStored(meta.index, meta.term))
        return meta.index

    # -- events and effects ---------------------------------------------------------------------

    def step(self, event: Any) -> None:
        """Give an event to the core and do what it says, and all that follows from it."""
        self._driver.step(event)

    def _settle(self) -> None:
        if self._to_persist:
            # Last of all: the disk's thread wakes when this one is about to wait, and need not
            # wait for the interpreter in its turn.
            for effect in self._to_persist:
                self._disk.submit(effect)
            self._to_persist.clear()

    def _event_refused(self, event: Any, error: Exception) -> None:
        self.refused(type(event).__name__, str(error))

    def _persist(self, effect: effects.Persist) -> None:
        if effect.then:
            self._released[effect.sequence] = effect.then
        self._to_persist.append(effect)

    def _durable(self, sequence: int, seconds: float) -> None:
        self.disk_times.recent.append(seconds)
        self.disk_times.count += 1
        waiting = self._released
        released: list[Any] = []
        for done in [s for s in waiting if s <= sequence]:
            released += waiting.pop(done)
        self._driver.step(events.Persisted(sequence), released)

    def _disk_full(self, full: bool) -> None:
        self.storage_full = full
        self.step(events.StorageState(full))

    def _disk_failed(self, error: BaseException) -> None:
        self._fail(error)

    def _send(self, effect: effects.Send) -> None:
        peer = effect.to
        self._links.send(peer.id, self.locate(peer), effect.rpc_id, effect.request)

    def _send_snapshot(self, effect: effects.SendSnapshot) -> None:
        if self.damage is not None:
            failed = events.RequestFailed(effect.to.id, effect.rpc_id, self.damage.text)
            self._driver.step_soon(failed)
            return
        self._spawn(self._deliver_snapshot(effect))

    async def _deliver_snapshot(self, effect: effects.SendSnapshot) -> None:
        header = self.node.header()
        header["term"] = effect.term
        peer = effect.to
        try:
            index, response = await send_snapshot(
                self._worker, self.locate(peer), self.options.stream_prefix, header
            )
        except (OSError, TimeoutError, QuorateError) as error:
            self.step(events.RequestFailed(peer.id, effect.rpc_id, str(error) or "i/o timeout"))
        else:
            if is_of(peer.id, response):
                self.step(events.SnapshotDelivered(peer.id, effect.rpc_id, index, response))
            else:
                self.step(events.RequestFailed(peer.id, effect.rpc_id, ANOTHER))

    def _reply(self, effect: effects.Reply) -> None:
        slot: Slot = effect.reply_to
        slot.answer(effect.response)

    def _receive_snapshot(self, effect: effects.ReceiveSnapshot) -> None:
        slot: Slot = effect.reply_to
        request: InstallSnapshotRequest = effect.request

        def done(ok: bool) -> None:
            self.step(events.SnapshotReceived(slot, request, ok))

        connection = slot.connection
        slot.accept_body(
            IncomingSnapshot(self._worker, request, connection.pause, connection.resume, done)
        )

    def _restore_snapshot(self, effect: effects.RestoreSnapshot) -> None:
        self._spawn(self._restore(effect.index))

    async def _restore(self, index: int) -> None:
        def decode() -> Any:
            meta = next(m for m in self.snapshots.list() if m.index == index)
            return self._worker.decode(self.machine, meta.id)

        image = await self._worker.run(decode)
        self.machine.restore(image)
        self.step(events.Applied(index))

    def _apply(self, effect: effects.Apply) -> None:
        handles = effect.handles
        machine = self.machine
        for entry in effect.entries:
            is_command = entry.kind == EntryKind.COMMAND
            result = machine.apply(entry.index, entry.data) if is_command else None
            if handles and (future := handles.get(entry.index)) is not None and not future.done():
                if isinstance(result, QuorateError):
                    future.set_exception(result)
                else:
                    future.set_result((entry.index, result))
        applied = events.Applied(effect.entries[-1].index)
        if len(effect.entries) < self.options.settings.apply_entries_max:
            self.step(applied)
        else:
            self._driver.step_soon(applied)  # a long backlog must not hold the loop

    def _read_ready(self, effect: effects.ReadReady) -> None:
        for future in effect.handles:
            if not future.done():
                future.set_result(None)

    def _done(self, effect: effects.Done) -> None:
        if not effect.handle.done():
            effect.handle.set_result(effect.leader_id)

    def _rejected(self, effect: effects.Rejected) -> None:
        detail = effect.detail
        if effect.reason is Reason.STORAGE_FULL:
            detail = str(self.disk_room)
        for future in effect.handles:
            if not future.done():
                node = self.node
                future.set_exception(
                    error_for(effect.reason, detail, node.leader_id, node.leader_address)
                )

    def _role_changed(self, effect: effects.RoleChanged) -> None:
        for tell in self.on_role:
            tell(effect)

    def _configuration_changed(self, effect: effects.ConfigurationChanged) -> None:
        if effect.committed:
            members = {server.id for server in effect.configuration.servers}
            for peer_id in self._links.besides(members):
                self._loop.call_later(5.0, self._drop_link, peer_id)
        for tell in self.on_configuration:
            tell(effect)

    def _drop_link(self, peer_id: str) -> None:
        if self.node.configuration.get(peer_id) is None:
            self._links.drop(peer_id)

    # -- what connections ask (quorate.replica.incoming.Handler) -----------------------------------

    def request_received(self, slot: Slot, request: AnyRequest) -> None:
        """A peer asks."""
        self.step(events.RequestReceived(slot, request))

    def peer_gone(self, peer_id: str) -> None:
        """A connection of that peer has ended: if it led, look sooner for another leader."""
        if peer_id == self.node.leader_id:
            self.step(events.LeaderUnreachable(peer_id))

    def refused(self, where: str, why: str) -> None:
        """A peer said what it should not: a connection was closed, or an answer is of no use."""
        for tell in self.on_refused:
            tell(where, why)

    def accepts(self, request: AnyRequest) -> str:
        """Empty, or why this request is not for us."""
        ours, theirs = self.node.cluster_id, request.cluster_id
        if ours and theirs and ours != theirs:
            return f"the peer {request.sender_address} belongs to cluster {theirs}, not {ours}"
        if isinstance(request, AppendEntriesRequest) and request.sender_id == self.server_id:
            return f"the peer {request.sender_address} uses this server's id"
        return ""

    # -- watching -------------------------------------------------------------------------------

    async def _watch_links(self) -> None:
        election = self.options.settings.election_timeout_s
        while True:
            await asyncio.sleep(election / 2)
            self._links.check(2 * election)

    async def _watch_snapshots(self) -> None:
        """Snapshot when enough entries have gathered; sooner when very many have."""
        waited = 0.0
        spread = 1 + self._rng.random()
        while True:
            options = self.options
            interval = options.snapshot_interval_s * spread
            pause = min(interval, 1.0)
            await asyncio.sleep(pause)
            waited += pause
            gathered = self.node.applied_index - self.node.log.snapshot_index
            due = gathered >= options.snapshot_threshold and waited >= interval
            if due or gathered >= 16 * options.snapshot_threshold:
                waited = 0.0
                try:
                    await self.snapshot_now()
                except (QuorateError, OSError) as error:
                    self.refused("snapshot", str(error))  # no room, say: tried again later
