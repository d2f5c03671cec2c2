"""Carrying out what `quorate.autopilot` decides: calls, changes and writes of a real leader."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import msgspec

from quorate.autopilot import actions as act
from quorate.autopilot.facts import Heard
from quorate.autopilot.rounds import Outcome
from quorate.errors import ApplyTimeout, ChangeOvertaken, ChangeRefused, QuorateError
from quorate.gossip.allowance import Allowance
from quorate.levels import describe
from quorate.raft.values.configuration import Change, ChangeKind
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Greeting
from quorate.server.leader.acts import Acts
from quorate.server.leader.facts import claim_of
from quorate.server.options import ServerOptions
from quorate.server.rpc.calls import Callers
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.tables import autopilot, cluster
from quorate.state.tables.cluster import SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.journal import MEMBERSHIP, WriteJournal
from quorate.state.tables.servers import RecordServer

log = logging.getLogger("quorate.server")

CHANGE_TIMEOUT_S = 10.0
_GREET_TIMEOUT_S = 1.0
_LOOK_AGAIN_S = 0.05  # after another change got in between

LINES_MAX = 60
"""Lines about servers that stay out, at once: names in a pool can be invented."""

LINES_PER_S = 1

R = TypeVar("R")


class Hands:
    """See the module. `carry_out` never raises QuorateError."""

    def __init__(
        self,
        *,
        replica: Replica[object],
        state: StateStore,
        directory: Directory,
        callers: Callers,
        options: ServerOptions,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        now: Callable[[], float],
        acts: Acts,
    ) -> None:
        self._replica = replica
        self._state = state
        self._directory = directory
        self._callers = callers
        self._options = options
        self._apply = apply
        self._now = now
        self.acts = acts
        self._causes: dict[str, str] = {}  # by server: why this leader changed its membership
        self._removing: Counter[str] = Counter()
        self._lines = Allowance(float(LINES_MAX), float(LINES_PER_S), now())

    def removing(self) -> frozenset[str]:
        """The servers whose removal by an operator may still come."""
        return frozenset(self._removing.keys())

    @contextmanager
    def removal_of(self, server_id: str) -> Iterator[None]:
        """While an operator's removal of that server is decided, and marked."""
        self._removing[server_id] += 1
        try:
            yield
        finally:
            self._removal_over(server_id)

    def _removal_over(self, server_id: str) -> None:
        self._removing[server_id] -= 1
        if not self._removing[server_id]:
            del self._removing[server_id]

    async def run(self, steps: Generator[act.Action, Outcome, R]) -> R:
        """Carry out all actions of these steps; what they return."""
        try:
            action = next(steps)
            while True:
                action = steps.send(await self.carry_out(action))
        except StopIteration as end:
            result: R = end.value
            return result

    async def carry_out(self, action: act.Action) -> Outcome:
        """Do it, and tell how it ended."""
        if isinstance(action, act.Ask):
            return Outcome(heard=await self._ask(action.addresses))
        try:
            await self._do(action)
        except ChangeRefused as error:
            why = "; ".join(filter(None, (error.text, error.next_step)))
            log.info("not done as yet: %s", why)
            if isinstance(error, ChangeOvertaken):
                await asyncio.sleep(_LOOK_AGAIN_S)
                return Outcome(why, stale=True)
            return Outcome(why)
        except QuorateError as error:
            log.info("leader duty postponed: %s", error)
            return Outcome(error.text)
        return Outcome()

    async def _do(self, action: act.Action) -> None:
        match action:
            case act.Say(text=text):
                if self._lines.take(self._now()):
                    log.warning("%s", text)
            case act.RecordServer():
                command = RecordServer(
                    server_id=action.id, name=action.name, address=action.address
                )
                await self._write(command)
                if action.why:
                    log.warning("server %s (%s): %s", action.name, action.id, action.why)
            case act.RaiseLevel(level=level, prev_index=prev_index):
                await self._raise_level(level, prev_index)
            case act.FirstWrites():
                await self._first_writes()
            case act.Tell():
                await self._tell_journal(action)
            case act.MakeWay(target=target, address=address, why=why):
                log.warning("%s: %s should lead", why, address)
                await self._replica.transfer(target)
            case act.Ask():
                raise AssertionError(action)
            case _:
                await self.change(act.change_of(action), cause=_cause_of(action))
                _tell(action)

    async def change(self, change: Change, *, force: bool = False, cause: str = "") -> None:
        """Make a change of membership; the journal tells `cause`, if there is one.

        Raises QuorateError, ApplyTimeout after a while.
        """
        if cause:
            self._causes[change.server_id] = cause
        future = asyncio.ensure_future(self._replica.change(change, force=force))
        if change.kind is ChangeKind.REMOVE_SERVER:  # it may still come when we wait no longer
            self._removing[change.server_id] += 1
            future.add_done_callback(lambda _: self._removal_over(change.server_id))
        done, _ = await asyncio.wait((future,), timeout=CHANGE_TIMEOUT_S)
        if not done:
            raise ApplyTimeout
        future.result()

    async def tell_rest(self) -> None:
        """Tell the journal what it was not told while it came too fast."""
        rest = self.acts.rest() if self._replica.is_leader else None
        if rest is not None:
            with suppress(QuorateError):
                await self._write(rest)

    async def _tell_journal(self, action: act.Tell) -> None:
        notes = tuple(
            msgspec.structs.replace(note, cause=self._causes.get(note.subject, note.cause))
            if note.kind == MEMBERSHIP
            else note
            for note in action.notes
        )
        await self._write(
            WriteJournal(
                time_ms=self.acts.unix_ms(),
                by=self._replica.server_id,
                notes=notes,
                told=action.told,
                since=action.since,
            )
        )
        self._causes.clear()

    async def _write(self, command: Command) -> None:
        await self._apply(encode(command))

    async def _first_writes(self) -> None:
        # Only after a barrier is it sure that no earlier leader has written them.
        await self._replica.read_barrier()
        if autopilot.current(self._state) is None:
            settings = InitialiseDefaults(
                autopilot=self._options.autopilot, scheduler=self._options.scheduler
            )
            await self._write(settings)
        if cluster.current(self._state) is None:
            cluster_id = self._replica.node.cluster_id or str(uuid.uuid4())
            await self._write(SetClusterMetadata(cluster_id=cluster_id))

    async def _raise_level(self, level: int, prev_index: int) -> None:
        # Only after a barrier is it sure that no earlier leader has raised it.
        await self._replica.read_barrier()
        if self._replica.node.configuration_index != prev_index:
            raise ChangeOvertaken(
                "the membership has changed while its servers were asked for their level",
                "they are asked again",
            )
        version = self._state.registry.versions.get(level, "")
        await self._write(RaiseLevel(level=level, version=version))
        log.info("the cluster is of feature %s now", describe(self._state.level, version))

    async def _ask(self, addresses: tuple[str, ...]) -> Mapping[str, Heard]:
        found = await asyncio.gather(*(self._greet(address) for address in addresses))
        return dict(zip(addresses, found, strict=True))

    async def _greet(self, address: str) -> Heard:
        greeting = Greeting(me=self._directory.me)
        try:
            answer, peer = await self._callers.ask(
                address, "greet", greeting, Greeting, _GREET_TIMEOUT_S
            )
        except QuorateError:
            return Heard(self._now())
        if peer is not None and answer.me.id != peer.server_id:
            return Heard(self._now())
        trust = self._replica.trust
        why = trust.objection(peer.record) if trust is not None and peer is not None else ""
        return Heard(self._now(), claim_of(answer.me, peer=peer, objection=why))


def _cause_of(action: act.ChangeAction) -> str:
    match action:
        case act.Remove(why=why):
            return str(why)
        case act.Promote():
            return "it is stable"
        case _:
            return ""


def _tell(action: act.Action) -> None:
    match action:
        case act.Promote():
            log.info("server %s at %s is stable and votes now", action.id, action.address)
        case act.Remove():
            log.info(
                "server %s (%s) at %s is out: %s",
                action.name,
                action.id,
                action.address,
                action.why,
            )
        case act.AddNonvoter(server=server):
            log.info("server %s (%s) at %s is taken in", server.name, server.id, server.address)
        case act.MoveAddress(server=server, was=was):
            log.info(
                "server %s (%s) is at %s now, not %s", server.name, server.id, server.address, was
            )
        case act.RecordKey():
            log.info("the key of server %s at %s is on record", action.id, action.address)
        case _:
            pass
