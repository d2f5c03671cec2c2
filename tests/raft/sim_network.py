"""The network of a simulated world: it delays, loses, doubles, reorders and cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sim_checks import expect
from sim_disk import Snapshot
from sim_hosts import Host

from quorate.raft import Server
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesResponse,
    InstallSnapshotRequest,
)
from quorate.wire import membership as codec

if TYPE_CHECKING:
    from world import World


@dataclass
class Call:
    """A request on its way, and the token by which it is answered."""

    origin: str
    incarnation: int
    rpc_id: int
    target: str
    request: AnyRequest
    snapshot: Snapshot | None = None
    settled: bool = False
    on_answer: Callable[[AnyResponse], object] | None = None  # for messages from nowhere

    def __str__(self) -> str:
        return f"{self.origin}#{self.rpc_id}"


class Network:
    """See the module."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.blocked: dict[tuple[str, str], bool] = {}  # (from, to)
        self.lag: dict[tuple[str, str], float] = {}  # (from, to): seconds more
        self.last_index_hints = ""  # this host hints as other makes do

    def _delay(self, origin: str, target: str) -> float:
        lag = self.lag.get((origin, target), 0.0)
        if self.world.weather.slow and self.world.rng.random() < self.world.weather.slow:
            return lag + self.world.rng.uniform(0, self.world.weather.slow_delay)
        return lag + self.world.between(self.world.weather.delay)

    def _lost(self, origin: str, target: str) -> bool:
        if self.blocked.get((origin, target)):
            return True
        return self.world.weather.loss > 0 and self.world.rng.random() < self.world.weather.loss

    def send(self, host: Host, to: Server, rpc_id: int, request: AnyRequest, **extra: Any) -> None:
        self.world.checker.sending(host, request)
        call = Call(host.name, host.incarnation, rpc_id, to.id, request, **extra)
        patience = self.world.between(self.world.weather.timeout)
        patience += self.lag.get((host.name, to.id), 0.0) + self.lag.get((to.id, host.name), 0.0)
        self.world.later(patience, lambda: self._fail(call, "timeout"))
        if to.id not in self.world.hosts or self._lost(host.name, to.id):
            return
        self.world.later(self._delay(host.name, to.id), lambda: self._arrive(call))
        if self.world.weather.double and self.world.rng.random() < self.world.weather.double:
            self.world.later(self._delay(host.name, to.id), lambda: self._arrive(call))

    def send_snapshot(self, host: Host, effect: fx.SendSnapshot) -> None:
        stored = host.disk.snapshot
        assert stored is not None, "asked to send a snapshot that is not there"
        expect(stored.index >= effect.index, "the snapshot to send is older than announced")
        request = InstallSnapshotRequest(
            term=effect.term,
            sender_id=host.name,
            sender_address=host.address,
            leader=host.address,
            last_log_index=stored.index,
            last_log_term=stored.term,
            configuration=codec.encode_configuration(stored.configuration),
            configuration_index=stored.configuration_index,
        )
        self.send(host, effect.to, effect.rpc_id, request, snapshot=stored)

    def _arrive(self, call: Call) -> None:
        target = self.world.hosts[call.target]
        if self.blocked.get((call.origin, call.target)):
            return
        if not target.node:
            self.world.later(
                self.world.between(self.world.weather.delay), lambda: self._fail(call, "refused")
            )
            return
        self.world.step(target, ev.RequestReceived(call, call.request))

    def _fail(self, call: Call, reason: str) -> None:
        origin = self.world.hosts[call.origin]
        if call.settled or not origin.node or origin.incarnation != call.incarnation:
            return
        call.settled = True
        self.world.step(origin, ev.RequestFailed(call.target, call.rpc_id, reason))

    def reply(self, host: Host, call: Call, response: AnyResponse) -> None:
        self.world.checker.replying(host, call.request, response)
        if call.on_answer:
            call.on_answer(response)
            return
        if self._lost(host.name, call.origin):
            return
        refused = isinstance(response, AppendEntriesResponse) and not response.success
        if refused and host.name == self.last_index_hints:
            response = msgspec.structs.replace(response, last_log=host.live.log.last_index)
        self.world.later(self._delay(host.name, call.origin), lambda: self._answer(call, response))

    def _answer(self, call: Call, response: AnyResponse) -> None:
        origin = self.world.hosts[call.origin]
        if not origin.node or origin.incarnation != call.incarnation or call.settled:
            return
        # A doubled request is answered twice, and both answers may arrive.
        call.settled = not self.world.weather.double
        event: Any = ev.ResponseReceived(call.target, call.rpc_id, response)
        if call.snapshot:
            event = ev.SnapshotDelivered(call.target, call.rpc_id, call.snapshot.index, response)
        self.world.step(origin, event)
