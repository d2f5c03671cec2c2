"""One member of a pool at run time: the core's effects become packets, streams and answers.

Everything runs on one event loop but the thread of the disk and those for large streams. Events
are taken one after another (an effect that causes an event queues it), so the core sees one order.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from quorate.errors import BadFrame, QuorateError
from quorate.gossip import effects, events
from quorate.gossip.effects import KeyAction, Member, MemberChanged
from quorate.gossip.messages import (
    Address,
    KeyRequest,
    KeyResponse,
    Message,
    NodeFilter,
    SerfStatus,
    TagFilter,
)
from quorate.gossip.node import Node
from quorate.metrics import Metrics
from quorate.pool.addresses import is_literal, join_text, parse_target, resolve
from quorate.pool.budget import PACKET_S, PacketBudget
from quorate.pool.keys import Keys, first_ring
from quorate.pool.memory import WRITE_INTERVAL_S, Memory
from quorate.pool.options import PoolOptions
from quorate.pool.questions import Question
from quorate.pool.refusals import Refusals, Told, printable
from quorate.pool.results import JoinResult, KeyResult, QueryResult
from quorate.pool.sockets import Sockets, is_unspecified
from quorate.pool.streams import Streams
from quorate.runtime.clock import LoopClock
from quorate.runtime.driver import Driver
from quorate.storage.folder.serf_snapshot import SerfSnapshot
from quorate.wire import gossip
from quorate.wire.memberlist.keyring import NONCE_BYTES
from quorate.wire.memberlist.layers import Layers
from quorate.wire.memberlist.packet import decode_packet, encode_packets

log = logging.getLogger("quorate.pool")

_REJOIN_AT_ONCE = 8
_MESSAGES_AT_ONCE = 16  # of a packet, before the clock is looked at

AnswerQuery = Callable[[effects.QueryArrived], "Awaitable[bytes | None] | None"]
"""Answers a query of an application; None: it is not for this member, nothing is answered."""


class Pool:
    """See the module. `start`, use, `stop`; stopping is not leaving.

    What happens is told to the callbacks in `on_member`, `on_event` (user events),
    `on_name_conflict` (two addresses claim one name), `on_name_lost` (another living member has
    this name: this one should stop) and `on_failure` (something that the core decided could not be
    carried out: the member takes part no more); `on_query` answers
    queries of applications.
    """

    def __init__(
        self,
        options: PoolOptions,
        *,
        metrics: Metrics | None = None,
        rng: Random | None = None,
    ) -> None:
        self.options = options
        self.metrics = metrics or Metrics()
        self.on_member: list[Callable[[MemberChanged], None]] = []
        self.on_event: list[Callable[[effects.EventArrived], None]] = []
        self.on_name_conflict: list[Callable[[effects.ConflictFound], None]] = []
        self.on_name_lost: list[Callable[[effects.NameLost], None]] = []
        self.on_failure: list[Callable[[BaseException], None]] = []
        self.on_query: AnswerQuery | None = None
        self._rng = rng or Random(secrets.randbits(128))
        self._refusals = Refusals(self.metrics, time.monotonic)
        self._stopped = False
        self._left = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Future[Any]] = set()
        self._memory: Memory | None = None
        self._perform: dict[type, Callable[[Any], None]] = {
            effects.SendPacket: self._send_packet,
            effects.StreamRequest: self._request_stream,
            effects.StreamReply: self._reply,
            effects.MemberChanged: self._member_changed,
            effects.EventArrived: self._event_arrived,
            effects.QueryArrived: self._query_arrived,
            effects.KeyChangeAsked: self._key_change_asked,
            effects.QueryAcked: lambda effect: effect.handle.acknowledge(effect),
            effects.QueryAnswered: lambda effect: effect.handle.answer(effect),
            effects.QueryDone: lambda effect: effect.handle.end(),
            effects.JoinDone: self._finish,
            effects.LeaveDone: self._finish,
            effects.ConflictFound: self._conflict_found,
            effects.NameLost: self._name_lost,
            effects.HeardByStreamOnly: self._heard_by_stream_only,
            effects.Refused: self._refused,
        }

    # -- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take part, alone at first; with a snapshot file also look for the pool it tells of.

        Raises QuorateError when the port cannot be had or a file cannot be used, ValueError for
        tags over 512 bytes, a label over 255, or a key of impossible size.
        """
        options = self.options
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as undo:
            self._disk = ThreadPoolExecutor(1, thread_name_prefix="gossip-disk")
            undo.callback(self._disk.shutdown, wait=False)
            ring = await self._on_disk(first_ring, options.key, options.keyring_path)
            layers = Layers(ring, options.label, options.compress)
            self._keys = Keys(layers, options.keyring_path, self._on_disk)
            if options.snapshot_path is not None:
                self._memory = await self._open_memory(options.snapshot_path)
                undo.push_async_callback(self._memory.close)
            self._sockets = Sockets(options.bind_host, options.bind_port)
            undo.callback(self._sockets.close)
            self.node = self._make_node()
            self._budget = PacketBudget(time.monotonic, self.node.confirmed_hosts)
            self._driver = Driver(
                self.node,
                # A member that was suspended must not accuse those that it did not hear meanwhile.
                LoopClock(self._loop, self._loop.time),
                self._perform,
                tick=events.Tick,
                on_failure=self._fail,
                refusals=(ValueError,),
                on_refusal=self._event_refused,
                wake=self._sockets.read_waiting,
            )
            self._streams = Streams(
                keys=self._keys,
                metrics=self.metrics,
                refusals=self._refusals,
                answer=self._stream_received,
                timeout_s=options.settings.stream_timeout_s,
                streams_max=options.streams_max,
            )
            await self._streams.listen(self._sockets.stream)
            undo.pop_all()  # nothing is to be undone: it runs
        self._sockets.listen(self._loop, self._packet_received)
        self.step(events.Tick())
        if self._memory is not None:
            self._spawn(self._keep_memory(self._memory))
            if self._memory.previous:
                self._spawn(self._rejoin(self._memory.previous))

    async def _open_memory(self, path: Path) -> Memory:
        again = self.options.rejoin_after_leave
        snapshot = await self._on_disk(partial(SerfSnapshot, path, rejoin_after_leave=again))
        return Memory(snapshot, self.options.name, self._on_disk)

    def _make_node(self) -> Node:
        options = self.options
        return Node(
            name=options.name,
            address=self._reached_at(),
            tags=options.tags,
            settings=msgspec.structs.replace(options.settings, packet_overhead=self._keys.overhead),
            codec=gossip,
            rng=self._rng,
            now=self._loop.time(),
            versions=options.versions,
            admit=options.admit,
            clocks=self._memory.clocks if self._memory is not None else (0, 0, 0),
        )

    def _reached_at(self) -> Address:
        bound, given = self._sockets.address, self.options.advertise
        if given is not None:
            return Address(given.host, given.port or bound.port)
        if is_unspecified(bound.host):
            raise QuorateError(
                f"others cannot reach this member at {bound.host}",
                "set the advertised address for gossip",
            )
        return bound

    async def stop(self) -> None:
        """Free the port and end all that is under way; the others will see this member fail."""
        if self._stopped:
            return
        self._stopped = True
        self._driver.end()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self._fail_waiting("this member has left the pool or was stopped")
        await self._streams.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sockets.close()
        if self._memory is not None:
            await self._memory.write(self.node.clocks())
            await self._memory.close()
        await self._loop.run_in_executor(None, self._disk.shutdown)

    def _fail_waiting(self, why: str) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(QuorateError(why, "start it again to join"))

    def _on_disk(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return self._loop.run_in_executor(self._disk, work, *arguments)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("gossip: %s", error, exc_info=error)

    async def _keep_memory(self, memory: Memory) -> None:
        while True:
            await asyncio.sleep(WRITE_INTERVAL_S)
            await memory.write(self.node.clocks())

    async def _rejoin(self, previous: Iterable[tuple[Address, str]]) -> None:
        targets = list(previous)
        for start in range(0, len(targets), _REJOIN_AT_ONCE):
            done = await self._join(tuple(targets[start : start + _REJOIN_AT_ONCE]))
            if done.joined:
                log.info("found the pool again through %s", join_text(done.joined[0]))
                return
        log.warning("none of the %s members known before this start answers", len(targets))

    # -- what a server asks ---------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where others reach this member."""
        return self.node.address

    @property
    def encrypted(self) -> bool:
        """True if the pool's gossip is sealed."""
        return self._keys.layers.ring is not None

    def key_digests(self) -> tuple[str, ...]:
        """By what its keys are told apart, not what they are; the one that seals first."""
        return self._keys.digests()

    def refused(self) -> list[Told]:
        """What was refused lately, the newest first."""
        return self._refusals.recent.all()

    def members(self) -> list[Member]:
        """All that are known, this one and those that failed or left among them."""
        return self.node.members()

    def stats(self) -> dict[str, str]:
        """The figures of a member, as text (docs/http-api.md#the-pool, `stats.serf`)."""
        node = self.node
        members = self.members()
        member_time, event_time, query_time = node.clocks()
        return {
            "coordinate_resets": "0",  # never: bad numbers are refused (gossip.vivaldi)
            "encrypted": "true" if self.encrypted else "false",
            "event_queue": str(len(node.event_news)),
            "event_time": str(event_time + 1),
            "failed": str(sum(m.status is SerfStatus.FAILED for m in members)),
            "health_score": str(node.awareness.score),
            "intent_queue": str(len(node.intent_news)),
            "left": str(sum(m.status is SerfStatus.LEFT for m in members)),
            "member_time": str(member_time + 1),
            "members": str(len(members)),
            "query_queue": str(len(node.query_news)),
            "query_time": str(query_time + 1),
        }

    async def join(self, addresses: Iterable[str], *, ignore_old: bool = True) -> JoinResult:
        """Join the pools of these: name/host:port, host, [v6]:port; all at once.

        With `ignore_old`, user events from before are not reported. Raises QuorateError after
        `leave` or `stop`.
        """
        self._check_running()
        wanted = list(dict.fromkeys(addresses))
        # Addresses together, and each name by itself, as soon as it is found: others may take long.
        groups = [list(filter(is_literal, wanted))]
        groups += [[text] for text in wanted if not is_literal(text)]
        texts: dict[Address, str] = {}
        unknown: dict[str, str] = {}
        done = await asyncio.gather(
            *(self._join_group(group, texts, unknown, ignore_old) for group in groups)
        )
        failures = [
            (text, f"Failed to resolve {text}: {unknown[text]}")
            for text in wanted
            if text in unknown
        ]
        for address, reason in chain.from_iterable(part.failures for part in done):
            failures.append((texts[address], f"Failed to join {address.host}: {reason}"))
        return JoinResult(sum(len(part.joined) for part in done), tuple(failures))

    async def _join_group(
        self,
        group: list[str],
        texts: dict[Address, str],
        unknown: dict[str, str],
        ignore_old: bool,
    ) -> effects.JoinDone:
        """Join by these at once. `texts` and `unknown` get what was found of each, and what not."""
        targets: list[tuple[Address, str]] = []
        for text in group:
            found = await self._find(text)
            if isinstance(found, str):
                unknown[text] = found
                continue
            for address, name in found:
                if address not in texts:
                    texts[address] = text
                    targets.append((address, name))
        self._check_running()
        return await self._join(tuple(targets), ignore_old=ignore_old)

    async def _find(self, text: str) -> list[tuple[Address, str]] | str:
        """The addresses that a text means, with the name of the member there; or why none."""
        try:
            target = parse_target(text, self.options.default_port)
            return [(address, target.name) for address in await resolve(target)]
        except ValueError as error:
            return str(error)

    async def _join(
        self, targets: tuple[tuple[Address, str], ...], *, ignore_old: bool = True
    ) -> effects.JoinDone:
        done: effects.JoinDone = await self._ask(
            lambda handle: events.JoinRequested(handle, targets, ignore_old)
        )
        return done

    async def leave(self) -> bool:
        """Leave the pool for good; True if the others have heard of it in time."""
        self._check_running()
        done: effects.LeaveDone = await self._ask(events.LeaveRequested)
        self._left = True
        if self._memory is not None:
            self._memory.leave()
            await self._memory.write(self.node.clocks())
        return done.in_time

    async def _ask(self, make: Callable[[asyncio.Future[Any]], events.Event]) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.add(future)
        try:
            self.step(make(future))
            return await future
        finally:
            self._waiting.discard(future)

    def force_leave(self, name: str, *, prune: bool = False) -> None:
        """Let a failed member count as one that has left; `prune`: forget it altogether.

        No effect on an unknown name; a living member refutes it. Raises ValueError for our own.
        """
        self._check_running()
        self.step(events.ForceLeaveRequested(name, prune))

    def set_tags(self, tags: dict[str, str]) -> None:
        """Announce other tags. Raises ValueError if they are over 512 bytes encoded."""
        self._check_running()
        self.step(events.SetTags(tags))

    def send_event(
        self, name: str, payload: bytes | None = None, *, coalesce: bool = False
    ) -> None:
        """Tell all members. Raises ValueError if name and payload are too long."""
        self._check_running()
        self.step(events.SendUserEvent(name, payload, coalesce))

    async def query(
        self,
        name: str,
        payload: bytes | None = None,
        *,
        filters: tuple[NodeFilter | TagFilter, ...] = (),
        timeout_s: float | None = None,
    ) -> QueryResult:
        """Ask all members that pass the filters, and wait until the time is over.

        `timeout_s` None is Serf's default for the size of the pool. Raises ValueError if the
        question is too long.
        """
        self._check_running()
        question = Question()
        await self._put(
            question,
            events.SendQuery(
                question,
                name,
                payload,
                filters=filters,
                wants_acks=True,
                timeout_s=timeout_s,
            ),
        )
        return question.result()

    async def change_keys(
        self, action: KeyAction, key: bytes = b"", *, timeout_s: float | None = None
    ) -> KeyResult:
        """Let every member install, use, remove or list keys; what each of them answered.

        `key` is raw bytes, none for a list. Ends when all living members have answered, or after
        `timeout_s` (None: Serf's default).
        """
        self._check_running()
        living = (SerfStatus.ALIVE, SerfStatus.LEAVING)
        question = Question(tuple(m.name for m in self.members() if m.status in living))
        payload = gossip.encode_serf(KeyRequest(key))
        await self._put(
            question, events.SendQuery(question, action.value, payload, timeout_s=timeout_s)
        )
        return question.key_result(action)

    async def _put(self, question: Question, event: events.SendQuery) -> None:
        self._waiting.add(question.over)
        try:
            self.step(event)
            await question.over
        finally:
            self._waiting.discard(question.over)

    def _check_running(self) -> None:
        if self._stopped or self._left or self._driver.ended:
            raise QuorateError(
                "this member has left the pool or was stopped", "start it again to join"
            )

    # -- events and effects ---------------------------------------------------------------------

    def step(self, event: events.Event) -> None:
        """Give an event to the core and do what it says, and all that follows from it.

        Raises ValueError if it is a request that the core refuses. One made while effects are
        being carried out (by a callback) is too late for that: its refusal is logged.
        """
        self._driver.step(event)

    def _event_refused(self, event: events.Event, error: Exception) -> None:
        log.warning("%s was refused: %s", type(event).__name__, error)

    def _fail(self, error: BaseException) -> None:
        log.error("gossip has ended: %s", error, exc_info=error)
        self._fail_waiting(f"gossip has ended: {error}")
        for tell in self.on_failure:
            tell(error)

    def _packet_received(self, data: bytes, source: Address) -> None:
        self.metrics.incr("nomad.memberlist.udp.received", len(data))
        allowance = self._budget.of(source.host)
        if allowance is None:
            self._refusals.count("flood", source.host, "more packets than there is time for")
            return
        began = time.thread_time()
        self._take_packet(data, source)
        allowance.owe(time.thread_time() - began)

    def _take_packet(self, data: bytes, source: Address) -> None:
        try:
            opened = decode_packet(data, self._keys.layers)
        except BadFrame as error:
            self._refusals.count("packet", source.host, error.text)
            return
        for problem in opened.problems:
            self._refusals.count("packet", source.host, problem)
        messages = opened.messages
        until = time.thread_time() + PACKET_S
        for start in range(0, len(messages), _MESSAGES_AT_ONCE):
            if start and time.thread_time() > until:
                left = f"a packet that takes too long: {len(messages) - start} messages left out"
                self._refusals.count("flood", source.host, left)
                return
            some = messages[start : start + _MESSAGES_AT_ONCE]
            self.step(events.PacketReceived(source, some))

    def _send_packet(self, effect: effects.SendPacket) -> None:
        packets = encode_packets(effect.parts, self._keys.layers, crc=effect.crc, make_nonce=_nonce)
        for data in packets:
            if why := self._sockets.send(data, effect.to):
                self.metrics.incr(f"nomad.memberlist.udp.unsent.{why}")
            else:
                self.metrics.incr("nomad.memberlist.udp.sent", len(data))

    def _stream_received(self, source: Address, message: Message) -> asyncio.Future[Message | None]:
        future: asyncio.Future[Message | None] = self._loop.create_future()
        self.step(events.StreamReceived(future, source, message))
        return future

    def _reply(self, effect: effects.StreamReply) -> None:
        if not effect.handle.done():
            effect.handle.set_result(effect.message)

    def _request_stream(self, effect: effects.StreamRequest) -> None:
        self._spawn(self._exchange(effect))

    async def _exchange(self, effect: effects.StreamRequest) -> None:
        answer = await self._streams.exchange(effect)
        if isinstance(answer, str):
            self.step(events.StreamFailed(effect.handle, answer))
        else:
            self.step(events.StreamAnswered(effect.handle, answer))

    def _member_changed(self, effect: MemberChanged) -> None:
        self.metrics.incr("nomad.serf." + effect.change.value.replace("-", "."))
        if self._memory is not None:
            self._memory.remember(effect)
        for tell in self.on_member:
            tell(effect)

    def _event_arrived(self, effect: effects.EventArrived) -> None:
        self.metrics.incr("nomad.serf.events")
        for tell in self.on_event:
            tell(effect)

    def _query_arrived(self, effect: effects.QueryArrived) -> None:
        self.metrics.incr("nomad.serf.queries")
        answer = self.on_query(effect) if self.on_query is not None else None
        if answer is not None:
            self._spawn(self._answer_query(effect, answer))

    async def _answer_query(
        self, effect: effects.QueryArrived, answer: Awaitable[bytes | None]
    ) -> None:
        self.step(events.AnswerQuery(effect.handle, await answer))

    def _key_change_asked(self, effect: effects.KeyChangeAsked) -> None:
        self._spawn(self._carry_out(effect))

    async def _carry_out(self, effect: effects.KeyChangeAsked) -> None:
        response: KeyResponse = await self._keys.carry_out(effect.action, effect.key)
        outcome = "done" if response.result else response.message
        if self._refusals.may_log():
            source = printable(effect.source_node, 128)
            log.info("gossip keys: %s of %s: %s", effect.action.value, source, outcome)
        self.step(events.AnswerKeyQuery(effect.handle, response))

    def _finish(self, effect: effects.JoinDone | effects.LeaveDone) -> None:
        if not effect.handle.done():
            effect.handle.set_result(effect)

    def _conflict_found(self, effect: effects.ConflictFound) -> None:
        detail = f"{effect.name} is at {join_text(effect.known)}, says the pool"
        self._refusals.count("name_conflict", effect.other.host, detail)
        for tell in self.on_name_conflict:
            tell(effect)

    def _heard_by_stream_only(self, effect: effects.HeardByStreamOnly) -> None:
        where = join_text(effect.address)
        self.metrics.incr("nomad.memberlist.degraded.probe")
        self._refusals.tell(
            effect.address.host,
            f"{printable(effect.name, 128)} at {where} answers over TCP, but no UDP packet arrives "
            f"or comes back: allow UDP port {effect.address.port} between the servers, both ways",
        )

    def _name_lost(self, effect: effects.NameLost) -> None:
        holder = join_text(effect.holder)
        if self._refusals.may_log():
            log.error(
                "another member at %s has the name %s: %d of %d members know this one by it",
                *(holder, effect.name, effect.votes_for_us, effect.votes),
            )
        for tell in self.on_name_lost:
            tell(effect)

    def _refused(self, effect: effects.Refused) -> None:
        origin = effect.source.host if effect.source is not None else ""
        self._refusals.count(effect.reason.value, origin, effect.detail or effect.reason.value)


def _nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)
