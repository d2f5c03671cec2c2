"""The network of a simulated world: it delays, loses, doubles, reorders and cuts.

With `wire` every message crosses it as the bytes of hashicorp/raft's transport.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from quorate.errors import BadFrame, LogDamaged
from quorate.raft import Server
from quorate.raft import effects as fx
from quorate.raft.values.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesResponse,
    InstallSnapshotRequest,
)
from quorate.testing.sim.machines.disk import Snapshot
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.stage import Stage
from quorate.testing.sim.verdicts.violations import ViolationError, expect
from quorate.wire.go.msgpack import unpack
from quorate.wire.raft import membership as codec
from quorate.wire.raft.messages import (
    encode_request,
    encode_response,
    kind_of,
    read_kind,
    request_from_map,
    response_from_map,
)


@dataclass(slots=True)
class Call:
    """A request on its way, and the token by which it is answered."""

    origin: str
    incarnation: int
    rpc_id: int
    peer: str  # the ID that was asked
    target: str  # the host that is reached
    request: AnyRequest
    snapshot: Snapshot | None = None
    settled: bool = False
    on_answer: Callable[[AnyResponse], object] | None = None  # for messages from nowhere

    def __str__(self) -> str:
        return f"{self.origin}#{self.rpc_id}"


class Network:
    """See the module."""

    def __init__(self, world: Stage) -> None:
        self.world = world
        self.wire = False
        self.blocked: dict[tuple[str, str], bool] = {}  # (from, to)
        self.lag: dict[tuple[str, str], float] = {}  # (from, to): seconds more
        self.isolated = ""  # this host hears nobody, and nobody hears it
        self.last_index_hints = ""  # this host hints as other makes do
        # Which host a message to a member reaches, empty if none does; by default that of its ID.
        # It may be a second body, which runs on a copy of that member's disk.
        self.route: Callable[[Host, Server], str] | None = None
        # Two processes have a connection: why nothing of the second counts at the first, or empty.
        self.meet: Callable[[Host, Host], str] = lambda _here, _other: ""
        # What the first has against the start of the second, or nothing.
        self.told: Callable[[Host, Host], str] = lambda _here, _other: ""
        # A process that has started asks another one what that has against it.
        self.greet: Callable[[Host, Server], None] = lambda _host, _to: None
        self._arrived: dict[tuple[str, str], int] = {}  # highest rpc_id that came

    def _delay(self, origin: Host, target: str) -> float:
        weather, rng = self.world.weather, origin.rng
        lag = self.lag.get((origin.name, target), 0.0) if self.lag else 0.0
        if weather.slow and rng.random() < weather.slow:
            return lag + rng.random() * weather.slow_delay
        low, high = weather.delay
        return lag + low + (high - low) * rng.random()

    def is_cut(self, origin: str, target: str) -> bool:
        """True if nothing comes from the one host to the other now."""
        if self.blocked and (origin, target) in self.blocked:
            return True
        return bool(self.isolated) and self.isolated in {origin, target}

    def _lost(self, origin: Host, target: str) -> bool:
        if self.is_cut(origin.name, target):
            return True
        loss = self.world.weather.loss
        return loss > 0 and origin.rng.random() < loss

    def send(self, host: Host, to: Server, rpc_id: int, request: AnyRequest, **extra: Any) -> None:
        """A node sends a request."""
        world = self.world
        world.checker_of(host).sending(host, request)
        if self.wire:
            request = _through_the_wire(request)
        reached = to.id if self.route is None else self.route(host, to)
        call = Call(host.name, host.incarnation, rpc_id, to.id, reached, request, **extra)
        low, high = world.weather.timeout
        patience = low + (high - low) * host.rng.random()
        if self.lag:
            patience += self.lag.get((host.name, to.id), 0.0)
            patience += self.lag.get((to.id, host.name), 0.0)
        world.later(patience, lambda: self._fail(call, "timeout"))
        if to.id not in world.hosts or self._lost(host, reached or to.id) or not reached:
            return
        target = world.host(reached)
        world.later(self._delay(host, reached) + target.lag, lambda: self._arrive(call))
        if world.weather.double and host.rng.random() < world.weather.double:
            world.coverage.met("a request arrived twice")
            world.later(self._delay(host, reached) + target.lag, lambda: self._arrive(call))

    def send_snapshot(self, host: Host, effect: fx.SendSnapshot, header: dict[str, Any]) -> None:
        """A node sends its newest snapshot, as it lies on the disk."""
        stored = host.disk.snapshot
        assert stored is not None, "asked to send a snapshot that is not there"
        expect(stored.index >= effect.index, "the snapshot to send is older than announced")
        try:
            stored = stored.opened(f"{host.name}/snapshots")
        except LogDamaged:
            self.world.coverage.met("a damaged snapshot was found before it was sent")
            to = effect.to.id
            call = Call(host.name, host.incarnation, effect.rpc_id, to, to, _NOTHING)
            self.world.later(0.001, lambda: self._fail(call, "damaged"))
            return
        whole = host.disk.snapshot_is_whole(stored.index)
        expect(whole, f"{host.name} sends damage: snapshot")
        request = InstallSnapshotRequest(
            **header,
            leader=host.address,
            last_log_index=stored.index,
            last_log_term=stored.term,
            configuration=codec.encode_configuration(stored.configuration),
            configuration_index=stored.configuration_index,
            size=len(stored.body),
        )
        self.send(host, effect.to, effect.rpc_id, request, snapshot=stored)

    def _arrive(self, call: Call) -> None:
        world = self.world
        target = world.host(call.target)
        if self.is_cut(call.origin, call.target):
            return
        if not target.node:
            delay = world.weather.delay[1]
            world.later(delay, lambda: self._fail(call, "refused"))
            return
        if target.paused_until > world.now:
            world.later(target.paused_until - world.now, lambda: self._arrive(call))
            return
        link = (call.origin, call.target)
        if call.rpc_id < self._arrived.get(link, 0):
            world.coverage.met("a request arrived after a later one")
        else:
            self._arrived[link] = call.rpc_id
        driver = target.driver
        why = self._meet(call, target) or driver.objection(call.request)
        if why:  # its connection is closed
            world.note(f"{target.name} refuses a request: {why}")
            world.later(world.weather.delay[1], lambda: self._fail(call, "EOF"))
            return
        record = call.request.identity
        strange = target.is_apart(record)
        expect(not strange, f"{target.name} takes a request of epoch {record and record.epoch}")
        try:
            driver.request_received(call, call.request)
        except BadFrame as error:
            raise ViolationError(f"{target.name} refuses: {error!r}") from error

    def _meet(self, call: Call, target: Host) -> str:
        origin = self.world.host(call.origin)
        if origin.node is None or origin.incarnation != call.incarnation:
            return ""  # it is gone: what it is now makes its own connections
        # Both sides look at each other before anything is sent.
        return self.meet(target, origin) or self.meet(origin, target) or self.told(origin, target)

    def _waiting(self, call: Call, again: Callable[[], None]) -> Host | None:
        """The host that waits for this call, or None: one that is paused is told `again` later."""
        origin = self.world.host(call.origin)
        if call.settled or not origin.node or origin.incarnation != call.incarnation:
            return None
        if origin.paused_until > self.world.now:
            self.world.later(origin.paused_until - self.world.now, again)
            return None
        return origin

    def _fail(self, call: Call, reason: str) -> None:
        origin = self._waiting(call, lambda: self._fail(call, reason))
        if origin is None:
            return
        call.settled = True
        origin.driver.request_failed(call.peer, call.rpc_id, reason)

    def reply(self, host: Host, call: Call, response: AnyResponse) -> None:
        """A node answers a request."""
        world = self.world
        world.checker_of(host).replying(host, call.request, response)
        if call.on_answer:
            call.on_answer(response)
            return
        if self._lost(host, call.origin):
            return
        if host.name == self.last_index_hints:
            response = _with_other_hint(host, response)
        if self.wire:
            data = encode_response(response)
            response = response_from_map(kind_of(call.request), unpack(data[1:]))
        delay = self._delay(host, call.origin) + world.host(call.origin).lag
        world.later(delay, lambda: self._answer(call, response))

    def _answer(self, call: Call, response: AnyResponse) -> None:
        origin = self._waiting(call, lambda: self._answer(call, response))
        if origin is None:
            return
        # A doubled request is answered twice, and both answers may arrive.
        call.settled = not self.world.weather.double
        driver, at = origin.driver, (call.peer, call.rpc_id)
        if (record := response.identity) is not None and origin.is_apart(record):
            why = driver.objection(response, call.peer)
            expect(bool(why), f"{origin.name} takes an answer of epoch {record.epoch}")
        target = self.world.host(call.target)
        if target.node:
            self.meet(origin, target)
        if call.snapshot:
            driver.snapshot_delivered(*at, call.snapshot.index, response)
        else:
            driver.response_received(*at, response)


_NOTHING = InstallSnapshotRequest(term=0)


def _through_the_wire(request: AnyRequest) -> AnyRequest:
    data = encode_request(request)
    return request_from_map(read_kind(data[0]), unpack(data[1:]))


def _with_other_hint(host: Host, response: AnyResponse) -> AnyResponse:
    if isinstance(response, AppendEntriesResponse) and not response.success:
        return msgspec.structs.replace(response, last_log=host.live.log.last_index)
    return response
