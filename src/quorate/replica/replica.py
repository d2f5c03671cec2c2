"""One Raft replica at run time: a `RaftDriver` with an event loop, a disk, links and snapshots.

What the core decides is carried out by `quorate.runtime.raft`. Here is what stands around it:
everything runs on one event loop but the disk's thread and the snapshots' thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from threading import get_ident
from typing import Any, Generic

import msgspec

from quorate.errors import (
    ChangeRefused,
    CommandTooLarge,
    MachineHeld,
    QuorateError,
    ReplicaStopped,
    StateDamaged,
)
from quorate.net.peer import Peer
from quorate.net.refusals import Refusals
from quorate.net.threads import in_thread
from quorate.net.trust import Trust
from quorate.raft import events
from quorate.raft.effects import Role
from quorate.raft.node import Node
from quorate.raft.values.configuration import Change, ChangeKind, Configuration, Server
from quorate.raft.values.identity import IdentityRecord
from quorate.raft.values.messages import AnyRequest
from quorate.replica.disk import Disk, Room
from quorate.replica.incoming import Held, IncomingConnection, Slot
from quorate.replica.links import PeerLinks
from quorate.replica.options import DiskTimes, Options
from quorate.replica.promises import PromiseInMemory, Promises, PromiseStore
from quorate.replica.scrubbing import scrub
from quorate.replica.snapshot_tasks import SnapshotTasks, snapshot_when_due
from quorate.replica.snapshots import SnapshotWorker
from quorate.replica.status import Status, status_of
from quorate.runtime.clock import LoopClock, machine_time
from quorate.runtime.fencing import fence
from quorate.runtime.listeners import Listeners, tell
from quorate.runtime.ports import Result_co, StateMachine
from quorate.runtime.raft import PeerProgress, RaftDriver
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.storage.snapshots.store import SnapshotStore
from quorate.wire.raft import membership as codec


class Replica(Generic[Result_co]):
    """See the module. Make it with its disk opened; `start`, use, `stop`.

    All calls are for the loop on which it was started, but for `propose_threadsafe`.
    """

    def __init__(
        self,
        *,
        server_id: str,
        address: str,
        machine: StateMachine[Result_co],
        log: LogStore,
        snapshots: SnapshotStore,
        options: Options,
        rng: Random | None = None,
        now: Callable[[], float] | None = None,
        promises: PromiseStore | None = None,
    ) -> None:
        """`now` gives seconds that never go back, and runs on while the machine is suspended.

        `promises` is where the longest promise is kept over a restart, beside `log`.
        """
        self.server_id = server_id
        self.address = address
        self.machine = machine
        self.options = options
        self.log = log
        self.snapshots = snapshots
        self.disk_times = DiskTimes()
        self._listeners = listeners = Listeners()
        self.on_role = listeners.role
        self.on_configuration = listeners.configuration
        self.on_refused = listeners.refused
        self.on_held = listeners.held
        self.on_failure = listeners.failure
        self.on_failure.append(self._part)
        self.at_stop: list[Callable[[], object]] = []
        self.after_stop: list[Callable[[], Awaitable[object]]] = []
        self.locate: Callable[[Server], str] = lambda peer: peer.address  # where it is now
        self.trust: Trust | None = None
        self.greeter: Callable[[Server], Awaitable[bool]] | None = None
        """Set before `load`: asks a member what it has against this start; False if it does not
        answer. Until all have answered, or count as down, this replica gives no vote."""
        self.now = now or machine_time
        """The clock of `node`: all times in there are compared with this one, and no other."""
        self._promise_store = promises or PromiseInMemory()
        self._rng = rng or Random()
        self._loop: asyncio.AbstractEventLoop | None = None  # on which it was started
        self._begun = False
        self._connections: set[IncomingConnection] = set()
        self._held = Held()
        self._refusals = Refusals(time.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life -----------------------------------------------------------------------------------

    async def bootstrap(self, configuration: Configuration) -> None:
        """Found a cluster with this configuration; return when that is durable here.

        Every founding server must be given the same, once. Raises ConfigurationError, or
        ChangeRefused if this server holds data already.
        """
        future = self._future()
        self._driver.bootstrap(future, configuration)
        await future

    async def start(self) -> None:
        """Load what the disk holds and take part."""
        await self.load()
        self.begin()

    async def load(self) -> None:
        """Load what the disk holds; nothing is asked of others or answered before `begin`.

        `node` is there from now on, for all that is made around this replica.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._worker = SnapshotWorker(self.snapshots, lambda: time.time_ns() // 1_000_000)
        snapshot = await self._load_snapshot()
        before_s = self._promise_store.promise_s
        self._promises = Promises(self._promise_store, self.now)
        settings = await self._promises.allow(lambda: self.options.settings)
        self.log.keep_below(settings.log_bytes_max)
        self.node = Node(
            server_id=self.server_id,
            address=self.address,
            settings=settings,
            reader=self.log,
            hard_state=self.log.hard_state(),
            codec=codec,
            rng=self._rng,
            now=self.now(),
            snapshot=snapshot,
            cluster_id=self.options.cluster_id,
            promise_s=before_s,
        )
        self.node.prepared = self.options.prepared
        prefix = self.options.stream_prefix
        self._links = PeerLinks(prefix, self._located, self.refused, self._spawn)
        self._links.trust = self.trust
        self._links.greeter = self.greeter
        tasks = SnapshotTasks(self._worker, self.machine, prefix, self._located, self._spawn)
        self._disk = Disk(
            self.log,
            self.log.path,
            reserve_bytes=self.options.disk_reserve_bytes,
            whose=" ".join(filter(None, (self.options.name, f"({self.server_id})"))),
            on_durable=self._from_disk(self._durable),
            on_term=self._from_disk(self._term_durable),
            on_full=self._from_disk(self._disk_full),
            on_failure=self._from_disk(self._disk_failed),
        )
        self._driver = RaftDriver(
            self.node,
            self.machine,
            LoopClock(loop, self.now),
            disk=self._disk,
            network=self._links,
            snapshots=tasks,
            listeners=self._listeners,
        )
        self._links.driver = tasks.driver = self._driver
        tasks.trust = self.trust

    def begin(self) -> None:
        """Take part, with all that was set since `load`. It does not wait.

        The members are greeted at once, by tasks that run as soon as anything waits: what these
        call has to be there. A greeter that is not whole yet ends the replica, and a message that
        carries no identity record is that of an older version, whose start proves nothing.
        """
        assert not self._begun, "a replica begins once"
        assert self.trust is None or self.node.identity is not None, "`speak_as` comes first"
        self._begun = True
        self._disk.start()
        self._spawn(snapshot_when_due(self, 1 + self._rng.random()))
        self._spawn(self._watch_links())
        self._spawn(scrub(self, self._worker, lambda: self.options.scrub_interval_s))
        self._spawn(self._promises.shorten(self.node))
        self._driver.start(greets=self.greeter is not None)

    def _located(self, peer: Server) -> str:
        return self.locate(peer)

    def _from_disk(self, handler: Callable[..., None]) -> Callable[..., None]:
        loop = asyncio.get_running_loop()

        def hand_over(*args: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(handler, *args)

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
        for task in list(self._tasks):
            task.cancel()
        self._driver.stop()
        self._links.close()
        self._part()
        if self._begun:
            await in_thread(self._disk.close)
        await in_thread(self._worker.close)
        self.log.close()
        for close in self.after_stop:
            await close()

    async def renew(self, work: Callable[[], LogStore]) -> None:
        """Load, in this process, what `work` makes of log and snapshots on the disk.

        As after `load`, `speak_as` and `begin` come next.
        It runs in a thread while nothing here uses them, and gives the log, opened again. As after
        a start there has to be a snapshot. What waits here hears that it may or may not stand. An
        error of `work` ends the replica.
        """
        why = "this server is being recovered"
        self._driver.stop(ReplicaStopped(why, "try again in some seconds"))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self._links.close()
        self._part()
        await asyncio.gather(*tasks, return_exceptions=True)
        await in_thread(self._disk.close)
        self._begun = False
        await in_thread(self._worker.close)
        self.log.close()
        try:
            self.log = await in_thread(work)
        except BaseException as error:
            tell(self.on_failure, error)
            raise
        self.options = msgspec.structs.replace(self.options, prepared="")
        await self.load()

    def _part(self, _: object = None) -> None:
        """The connections of the peers end: nothing is answered any more."""
        for connection in list(self._connections):
            connection.close()

    def fail(self, error: BaseException) -> None:
        """End in an orderly way because of this: callers hear it, and `on_failure` is called."""
        self._driver.fail(error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this beside the replica until it stops; an error of it ends the replica."""
        self._spawn(work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._driver.fail(error)

    # -- what a service asks ----------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """True while this replica believes to lead; False once it has stopped or failed."""
        return self._driver.is_leader

    @property
    def damage(self) -> StateDamaged | None:
        """Why the state machine is known to be wrong (`quarantine`), or None."""
        return self._driver.damage

    @property
    def held(self) -> MachineHeld | None:
        """Why the state machine cannot apply the next entry of the log, or None."""
        return self._driver.held

    @property
    def storage_full(self) -> bool:
        """True while the disk has no room for writes."""
        return self._driver.storage_full

    @property
    def disk_room(self) -> Room:
        """How much room the disk has, and how much is needed for writes."""
        return self._disk.room

    @property
    def disk_waits_s(self) -> float:
        """For how many seconds the disk has been at the write of this moment; 0: at none."""
        return self._disk.waits_s

    @property
    def role(self) -> Role:
        """The role of this replica now."""
        return self._driver.role

    def status(self) -> Status:
        """The status of this replica now: leader, term, indexes, members, and the peers."""
        return status_of(self._driver, self.trust)

    def peers(self) -> tuple[PeerProgress, ...]:
        """How far the others are, as this leader knows; empty on any other server."""
        return self._driver.peers()

    def lease_valid(self) -> bool:
        """True if a read of the state machine made right now is linearizable."""
        return self._driver.lease_valid()

    def _future(self) -> asyncio.Future[Any]:
        """What a caller waits for. Raises QuorateError on another loop or thread than its own."""
        return self._own_loop().create_future()

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is None:
            raise ReplicaStopped("this replica was not started", "await its `start` first")
        # A thread runs one loop at a time. `asyncio.get_running_loop` says the same by a system
        # call, which each write would pay for.
        if get_ident() != self._thread or not loop.is_running():
            raise QuorateError(
                "a replica was called from another thread or event loop than its own",
                "use propose_threadsafe, or hand the call over by loop.call_soon_threadsafe",
            )
        return loop

    def propose(self, command: bytes) -> asyncio.Future[tuple[int, Result_co]]:
        """Replicate a command; the future gives (index, what `apply` returned).

        Fails with NotLeader, LeadershipLost, StorageFull, StateDamaged, MachineHeld, or
        Overloaded. All proposals of one turn of the loop travel as one batch.
        Raises ReplicaStopped after `stop` or a failure, QuorateError on another thread, TypeError
        for a command that is not bytes, and CommandTooLarge.
        """
        future: asyncio.Future[tuple[int, Result_co]] = self._own_loop().create_future()
        if type(command) is not bytes and not isinstance(command, bytes):
            raise TypeError(f"a command is bytes, not {type(command).__name__}")
        if len(command) > self.options.command_bytes_max:
            raise CommandTooLarge(len(command), self.options.command_bytes_max)
        self._driver.propose(future, command)
        return future

    def propose_threadsafe(
        self, command: bytes
    ) -> concurrent.futures.Future[tuple[int, Result_co]]:
        """`propose` from any thread but the loop's; the future is one to wait for in that thread.

        Raises ReplicaStopped when the loop is closed. All other errors are in the future.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            raise ReplicaStopped("this replica was stopped, or not started", "start it again")
        return asyncio.run_coroutine_threadsafe(self._proposed(command), loop)

    async def _proposed(self, command: bytes) -> tuple[int, Result_co]:
        return await self.propose(command)

    async def read_barrier(self) -> None:
        """Return when a read of the state machine made now is linearizable.

        Raises NotLeader, LeadershipLost, StateDamaged, MachineHeld or ReplicaStopped.
        """
        loop = self._own_loop()
        if not self._driver.lease_valid():
            future: asyncio.Future[None] = loop.create_future()
            self._driver.read(future)
            await future

    async def change(self, change: Change, *, force: bool = False) -> int:
        """Change the membership; the index of the committed configuration.

        A change that takes a vote away is made only when a majority of the voters that would
        remain has answered this leader after the call, within two election timeouts, unless
        `force` is given. Raises NotLeader, LeadershipLost, ReplicaStopped, or ChangeRefused with
        the reason: ChangeOvertaken when another change came first.
        """
        future = self._future()
        self._check_provable(change)
        self._driver.change(future, change, force=force)
        return int((await future)[0])

    def _check_provable(self, change: Change) -> None:
        """Raise ChangeRefused for a new server whose ID any process could claim."""
        adds = change.kind in {ChangeKind.ADD_VOTER, ChangeKind.ADD_NONVOTER}
        if self.trust is None or not adds or change.key or not self.is_leader:
            return
        known = self.node.configuration.get(change.server_id) is not None
        host = change.address.rpartition(":")[0].strip("[]")
        if not known and self.trust.plain_problem(host):
            raise ChangeRefused(
                f"no key is known of {change.server_id}, so it could not prove its ID",
                "start it with join=True: then it is taken in with its key; if it is a server of "
                "another make, name its host in unproven_peers",
            )

    async def transfer(self, target_id: str = "") -> str:
        """Hand leadership over, to the best voter if none is named; the new leader's id.

        Raises NotLeader, ReplicaStopped, or ChangeRefused with the reason: then the old leader
        goes on.
        """
        future: asyncio.Future[str] = self._future()
        self._driver.transfer(future, target_id)
        return await future

    def reconfigure(self, options: Options) -> None:
        """Use other timing and snapshot rules from now on.

        A longer election timeout counts when the disk knows of it: it is promised to leaders.
        """
        self.options = options
        self.log.keep_below(options.settings.log_bytes_max)
        if options.settings.election_timeout_s <= self._promises.durable_s:
            self.node.settings = options.settings
        self._spawn(self._adopt_settings())

    async def _adopt_settings(self) -> None:
        self.node.settings = await self._promises.allow(lambda: self.options.settings)
        await self._promises.shorten(self.node)

    def quarantine(self, damage: StateDamaged | None) -> None:
        """The state machine here is known to be wrong, or None: it is right again.

        Until then this replica answers no read and takes no write, also none that waits already.
        It does not campaign, and neither takes nor sends a snapshot, which would carry the damage
        and compact the log that could mend it. It goes on to vote and to store the log. A leader
        has to be told to `transfer`.
        """
        self._driver.quarantine(damage)

    def set_cluster_id(self, cluster_id: str) -> None:
        """From now on carry this identity, and refuse peers that carry another."""
        self.node.cluster_id = cluster_id

    def told_by(self, server_id: str) -> IdentityRecord | None:
        """What this server said of itself in its last message that counted; None: nothing."""
        agreed = self._driver.agreed.get(server_id)
        return None if agreed is None else agreed[1]

    def believe(self, trust: Trust) -> None:
        """Open and take connections by these rules; before `load`. Without, nothing is proven."""
        self.trust = trust
        trust.met = lambda record: fence(self.node, record, self.step, self.refused)

    def speak_as(self, record: IdentityRecord) -> None:
        """From now on all messages carry this identity record; after `load`."""
        self.node.identity = record
        if (trust := self.trust) is not None:
            self._driver.seen = lambda: trust.starts.seen

    def connection(self, peer: Peer | None = None) -> IncomingConnection:
        """A protocol for one accepted connection that speaks the Raft stream.

        `peer` is the server that has proven itself there, if one has.
        """
        known = peer is not None and self.trust is not None and self.trust.is_member(peer)
        connection = IncomingConnection(self, peer, None if known else self._held)
        self._connections = {c for c in self._connections if not c.closed}
        self._connections.add(connection)
        return connection

    async def snapshot_now(self, *, whole: bool = False) -> int:
        """Store a snapshot of what is applied and compact the log; its index, 0 if nothing new.

        Also 0 while the state machine is known to be wrong, or one is under way. With `whole` all
        that the snapshot has goes from the disk: entries that would stay for slow followers, and
        older snapshots. Raises ReplicaStopped.
        """
        future: asyncio.Future[int] = self._future()
        if whole:
            self.log.renew()
        self._driver.take_snapshot(future, whole=whole)
        index = await future
        if whole:
            await self._worker.run(self.snapshots.keep_newest_only)
        return index

    async def drop_covered(self) -> None:
        """Have all that the newest snapshot has go from the disk, without a new one.

        For a disk that has no room for one. Not while the state machine is known to be wrong, or
        this server is prepared for a recovery. Raises ReplicaStopped, QuorateError.
        """
        self._driver.check()
        log = self.node.log
        if log.snapshot_index and self.damage is None and not self.node.prepared:
            self.log.renew()
            self.step(events.SnapshotStored(log.snapshot_index, log.snapshot_term, whole=True))
            await self._worker.run(self.snapshots.keep_newest_only)

    async def oldest_on_disk(self) -> int:
        """The index from which on the files of this replica tell what happened, 0: they are empty.

        That of the oldest entry in a file, compacted or not, or the one behind the oldest snapshot.
        """
        kept = await self._worker.run(self.snapshots.list)
        found = [meta.index + 1 for meta in kept] + [self.log.oldest_on_disk()]
        return min(filter(None, found), default=0)

    def step(self, event: events.Event) -> None:
        """Give the core an event, and do what it says."""
        self._driver.step(event)

    # -- what the disk reports --------------------------------------------------------------------

    def _durable(self, sequence: int, seconds: float) -> None:
        self.disk_times.recent.append(seconds)
        self.disk_times.count += 1
        self._driver.durable(sequence)

    def _term_durable(self, sequence: int) -> None:
        self._driver.term_durable(sequence)

    def _disk_full(self, full: bool) -> None:
        self._driver.disk_full(full)

    def _disk_failed(self, error: BaseException) -> None:
        self._driver.fail(error)

    # -- what connections ask (quorate.replica.incoming.Handler) -----------------------------------

    def request_received(self, slot: Slot, request: AnyRequest) -> None:
        """A peer asks."""
        self._driver.request_received(slot, request)

    def peer_gone(self, peer_id: str) -> None:
        """A connection of that peer has ended: if it led, look sooner for another leader."""
        self._driver.peer_gone(peer_id)

    def refused(self, where: str, why: str) -> None:
        """A peer said what it should not: a connection was closed, or an answer is of no use.

        Observers hear of it at a bounded rate (`quorate.net.refusals`).
        """
        if self._refusals.may_tell(where, why):
            tell(self.on_refused, where, why)

    def accepts(self, request: AnyRequest, connection: IncomingConnection) -> str:
        """Empty, or why this request is not for us."""
        trust, node = self.trust, self.node
        if trust is not None:
            # Asked once for each sender as it is, not for each message.
            grounds = (
                *(request.identity, request.sender_id, node.configuration, node.identity),
                *(trust.changes, connection.peer is None and trust.lenient()),
            )
            if connection.accepted != grounds:
                why = trust.request_problem(
                    connection.peer, connection.host, request.sender_id, request.identity
                )
                if why:
                    return why
                connection.accepted = grounds
        return self._driver.objection(request)

    # -- watching -------------------------------------------------------------------------------

    async def _watch_links(self) -> None:
        election = self.options.settings.election_timeout_s
        while True:
            await asyncio.sleep(election / 2)
            self._links.check(2 * election)
