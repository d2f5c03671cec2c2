"""Survivors of a lost quorum go on while they run, by a plan, in two steps.

Every survivor is prepared for the same plan first: from then on it hears nothing of its epoch
(`raft.events.Prepared`), which is durable before it is answered. Then the plan is carried out on
the most advanced survivor, which decides: it asks all others, and goes on only if each of them is
prepared. The others follow when they see it in the new epoch.

Invariants:
- What is carried out is the recovery of a stopped server's folder (`recovery.recovering`), between
  the end of one Raft node and the begin of the next in this process. So it can be cut off anywhere,
  and a copy of the folder is kept.
- Only the operator of this machine begins a step: nothing here is asked over the network but how
  far others are.
- A server that is left out, answers, and has entries that no survivor has, is not passed over: both
  steps are refused, as the plan would have been.
- The one that decides may give the plan up at any time before it has begun. When others may, and
  when it may begin, is in `recovery.two_steps`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

from quorate.errors import ChangeRefused, LogDamaged, QuorateError, StorageStalled
from quorate.net.dial import greet
from quorate.net.threads import in_thread
from quorate.net.trust import Trust
from quorate.raft.events import Prepared
from quorate.recovery import plan as plans
from quorate.recovery.at_start import check_sound
from quorate.recovery.looking.folders import find
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.told import summary_of
from quorate.recovery.plan import Plan
from quorate.recovery.prepared import (
    PreparedPlan,
    forget_prepared,
    prepared_at_start,
    write_prepared,
)
from quorate.recovery.recovering import Recovering, by_plan, carry_out
from quorate.recovery.two_steps import (
    Known,
    Lead,
    has_begun,
    knows_more,
    lead_of,
    unprepared,
    why_not_given_up,
)
from quorate.replica.replica import Replica
from quorate.server.integrity.checks import StateChecks
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.views.raft import view_of
from quorate.server.views.records import ServerView
from quorate.shapes.diagnosis import NAMED_MAX, RecoveryDetails
from quorate.shapes.operator import LiveRecovery as Standing
from quorate.shapes.operator import RaftFacts
from quorate.storage.folder.data_folder import DataFolder

log = logging.getLogger("quorate.server")

T = TypeVar("T")

TIMEOUT_MAX_S: Final = 86400.0
_LOOK_S: Final = 1.0
_DISK_S: Final = 5.0
_POLL_S: Final = 0.01
_MAY_BE_LOST: Final = (
    "a recovery may lose writes that were acknowledged: those that the most advanced survivor does "
    "not have"
)
_NO_PLAN: Final = "this server is prepared for no recovery"


class LiveRecovery:
    """See the module. `open` comes before the replica is made, `attach` behind it."""

    def __init__(self, folder: DataFolder, checks: StateChecks, http: HttpPool) -> None:
        self._folder = folder
        self._checks = checks
        self._http = http
        self._ended = False
        self._lock = asyncio.Lock()
        self._asked = 0  # how often others were told whether this server is prepared
        self._acts: set[asyncio.Task[Any]] = set()
        self._prepared = prepared_at_start(folder.root, folder.identity.epoch)
        if self._prepared is not None:
            log.warning("%s", self._prepared.words)

    def attach(
        self,
        replica: Replica[Any],
        facts: Callable[[], RaftFacts],
        callers: Callers,
        trust: Trust,
    ) -> None:
        """`facts` gives those of this server, `callers` and `trust` ask other ones."""
        self._replica = replica
        self._facts = facts
        self._callers = callers
        self._trust = trust

    @property
    def words(self) -> str:
        """The plan for which this server is prepared, in words; empty: none."""
        return self._prepared.words if self._prepared is not None else ""

    def told(self) -> str:
        """The digest of that plan, for another server or an operator."""
        self._asked += 1
        return self._prepared.plan.digest if self._prepared is not None else ""

    def details(self) -> RecoveryDetails:
        """The same plan, for a diagnosis. It holds nothing up, unlike the word of `told`."""
        if self._prepared is None:
            return RecoveryDetails()
        plan = self._prepared.plan
        return RecoveryDetails(
            plan=plan.digest,
            epoch=str(plan.epochs[1]),
            leads=plan.leads,
            survivors=tuple(each.server_id for each in plan.survivors[:NAMED_MAX]),
            lost=self._prepared.lost[:NAMED_MAX],
            until_ms=self._prepared.until_ms,
        )

    async def finish(self) -> None:
        """Wait until what was begun is done."""
        await asyncio.gather(*self._acts, return_exceptions=True)

    # -- what an operator of this machine asks ---------------------------------------------------

    async def prepare(
        self, plan: Plan, lost: Sequence[str], *, timeout_s: float, may_lose: bool
    ) -> Standing:
        """Prepare this server for the plan. Raises QuorateError, and nothing has changed.

        `lost` are the IDs that are named as lost for good; `may_lose` that writes may be lost.
        After `timeout_s` it is given up again, unless the plan is being carried out.
        """
        if not may_lose:
            raise ChangeRefused(_MAY_BE_LOST, "if they may be lost: -data-may-be-lost")
        until_ms = _unix_ms() + int(min(timeout_s, TIMEOUT_MAX_S) * 1000)
        wanted = PreparedPlan(plan=plan, lost=tuple(lost), until_ms=until_ms)
        return await self._alone(lambda: self._prepare(wanted))

    async def commit(self) -> Standing:
        """Carry the plan out. Raises QuorateError; nothing has changed unless the replica ends."""
        return await self._alone(self._commit)

    async def abort(self, *, force: bool) -> Standing:
        """Give the plan up. Raises QuorateError if it may be carried out elsewhere by now."""
        return await self._alone(lambda: self._abort(force=force))

    def standing(self) -> Standing:
        """How it stands."""
        prepared = self._prepared
        if prepared is None:
            return Standing(server_id=self._folder.node_id, epoch=str(self._folder.identity.epoch))
        return self._said(prepared)

    def _said(self, prepared: PreparedPlan, done: Recovering | None = None) -> Standing:
        plan = prepared.plan
        return Standing(
            server_id=self._folder.node_id,
            epoch=str(self._folder.identity.epoch),
            plan=plan.digest,
            plan_epoch=str(plan.epochs[1]),
            leads=plan.leads,
            prepared=done is None,
            until_ms=prepared.until_ms if done is None else 0,
            becomes_committed=plan.becomes_committed,
            may_be_lost=plan.may_be_lost,
            index=done.index if done is not None else 0,
            kept=str(self._folder.root / done.aside) if done is not None else "",
        )

    async def _alone(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do one at a time, to its end: that the caller goes away stops nothing in its midst."""

        async def locked() -> T:
            async with self._lock:
                return await act()

        task = asyncio.get_running_loop().create_task(locked())
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)
        return await asyncio.shield(task)

    # -- the first step --------------------------------------------------------------------------

    async def _prepare(self, wanted: PreparedPlan) -> Standing:
        plan, known = wanted.plan, self._prepared
        if known is not None and known.plan.digest != plan.digest:
            raise ChangeRefused(
                f"{known.words}; the plan given is another one, by which epoch {plan.epochs[1]} "
                "would begin",
                "carry the first one out, or give it up on all survivors: "
                "`quorate operator recover live abort`",
            )
        if known is None:
            self._check(wanted)
            await self._none_knows_more(plan)
            self._check(wanted)
            # In the turn of the check: nothing can come in between.
            self._replica.step(Prepared(wanted.words))
        try:
            await self._durable()
            await in_thread(write_prepared, self._folder.root, wanted)
        except BaseException:
            if known is None:
                self._replica.step(Prepared(""))
            raise
        self._prepared = wanted
        log.warning("%s", wanted.words)
        return self._said(wanted)

    def _check(self, wanted: PreparedPlan) -> None:
        facts = self._facts()
        leader = facts.leader or (facts.address if facts.role == "leader" else "")
        if leader:
            raise ChangeRefused(
                f"there is a leader: {leader}",
                "nothing is to be recovered: replace lost servers by "
                "`quorate operator raft remove-peer` and new ones",
            )
        found = summary_of(facts, str(self._folder.root))
        plans.check(wanted.plan, found, wanted.lost)
        if found.damage:
            raise LogDamaged(
                f"this server cannot be recovered as it is: {found.damage[0]}",
                path=str(self._folder.root),
                next_step="make a plan without it",
            )

    async def _durable(self) -> None:
        """Wait until all of the log is on the disk."""
        loop, node = asyncio.get_running_loop(), self._replica.node
        deadline = loop.time() + _DISK_S
        while node.log.stable_index < node.log.last_index or node.outbox.oldest_write_at():
            if loop.time() > deadline:
                raise StorageStalled(
                    f"the end of the log has not reached the disk within {_DISK_S:g} s",
                    "see whether the disk of this server is full",
                )
            await asyncio.sleep(_POLL_S)

    # -- the second step -------------------------------------------------------------------------

    def _mine(self) -> PreparedPlan:
        if self._prepared is None:
            raise ChangeRefused(_NO_PLAN, "prepare it first: quorate operator recover live prepare")
        return self._prepared

    async def _commit(self) -> Standing:
        prepared = self._mine()
        plan = prepared.plan
        if self._decides(plan):
            await self._all_are_prepared(plan)
            await self._none_knows_more(plan)
        elif not has_begun(plan, await self._lead(plan)):
            lead = lead_of(plan)
            raise ChangeRefused(
                f"{lead.server_id} at {lead.address} has not begun epoch {plan.epochs[1]} as far "
                "as can be seen from here",
                "carry the plan out there first; this server follows by itself when it sees that",
            )
        return await self._carry_out(prepared)

    def _decides(self, plan: Plan) -> bool:
        return plan.takes_all_of(self._folder.node_id)

    async def _all_are_prepared(self, plan: Plan) -> None:
        """Raise ChangeRefused unless each other survivor says so now."""
        others = [each for each in plan.survivors if each.server_id != self._folder.node_id]
        views = await self._views((each.server_id, each.address) for each in others)
        told = {each.server_id: view for each, view in zip(others, views, strict=True)}
        waiting = unprepared(plan, {server_id: view.prepared for server_id, view in told.items()})
        if waiting:
            named = ", ".join(
                f"{each.server_id} at {each.address} ({told[each.server_id].error or 'it answers'})"
                for each in waiting
            )
            raise ChangeRefused(
                f"not prepared for this plan: {named}",
                "prepare it there, or give up here and make a plan without it",
            )

    async def _none_knows_more(self, plan: Plan) -> None:
        """Raise ChangeRefused for a server that is left out, and has what no survivor has."""
        for view in await self._views((each.id, each.address) for each in plan.left_out):
            known = Known(view.last_term, view.last_index, view.commit_index)
            if view.error or not (view.role == "leader" or knows_more(plan, known)):
                continue
            what = f"has entries up to {view.last_index} of term {view.last_term}"
            best = lead_of(plan)
            raise ChangeRefused(
                f"{view.node} ({view.id} at {view.address}) is left out by the plan, but runs and "
                f"{'leads' if view.role == 'leader' else what}; the most advanced survivor has "
                f"them up to {best.last_index} of term {best.last_term}",
                "make a plan with it: quorate operator recover plan; if its data cannot be used, "
                "stop it",
            )

    async def _views(self, servers: Iterable[tuple[str, str]]) -> list[ServerView]:
        """What these servers say now, by ID and address; those that are silent in two seconds."""
        return list(await asyncio.gather(*(view_of(self._callers, *each) for each in servers)))

    async def _lead(self, plan: Plan) -> Lead | None:
        """The survivor that decides, proven by its key; None if it does not answer."""
        first = lead_of(plan)
        key = next((each.key for each in plan.servers if each.id == first.server_id), b"")
        peer = await greet(first.address, self._trust)
        if peer is None or peer.server_id != first.server_id or (key and peer.key != key):
            return None
        lead = Lead(peer.record.epoch, "")
        if has_begun(plan, lead):
            return lead
        view = await view_of(self._callers, first.server_id, first.address)
        return None if view.error else lead._replace(prepared=view.prepared)

    async def _carry_out(self, prepared: PreparedPlan) -> Standing:
        root, plan = self._folder.root, prepared.plan
        folder = find(root)

        def read() -> Any:
            found = inspect(root)
            plans.check(plan, found, prepared.lost)
            check_sound(folder, found, plan.digest)
            return by_plan(plan, folder, found, _unix_ms())

        ready = await in_thread(read)  # until here nothing has changed

        def work() -> Any:
            self._folder.changed_by(lambda: carry_out(folder, ready))
            forget_prepared(root)
            return self._folder.open_log()

        log.warning("the recovery is carried out: epoch %s begins", plan.epochs[1])
        try:
            await self._replica.renew(work)
        except BaseException:
            self._ended = True  # the server ends by it, and its next start goes on with the rest
            raise
        self._prepared = None
        self._replica.speak_as(self._folder.record)
        self._replica.begin()
        self._replica.quarantine(self._checks.damage)
        self._http.close()  # the others know these connections by the epoch before
        log.warning(
            "this server goes on at entry %d, in epoch %s", ready.plan.index, plan.epochs[1]
        )
        return self._said(prepared, ready.plan)

    # -- giving up -------------------------------------------------------------------------------

    async def _abort(self, *, force: bool) -> Standing:
        prepared = self._mine()
        if not (force or self._decides(prepared.plan)) and (
            why := await self._why_not_given_up(prepared.plan)
        ):
            raise ChangeRefused(why, "give up there first; -force gives up here alone")
        return await self._give_up(prepared)

    async def _give_up(self, prepared: PreparedPlan) -> Standing:
        await in_thread(forget_prepared, self._folder.root)
        self._prepared = None
        self._replica.step(Prepared(""))
        log.warning("the recovery by which epoch %s begins was given up", prepared.plan.epochs[1])
        return self.standing()

    async def _why_not_given_up(self, plan: Plan) -> str:
        """Empty, or why this server, which does not decide, may not give up."""
        asked = self._asked
        lead = await self._lead(plan)
        return why_not_given_up(plan, lead, asked_since=self._asked != asked)

    # -- by itself -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the survivor that decides, and give up in time; for ever."""
        while not self._ended:
            await asyncio.sleep(_LOOK_S)
            if self._prepared is None or self._lock.locked():
                continue
            try:
                await self._alone(self._look)
            except QuorateError as error:
                log.warning("the recovery that is prepared waits: %s", error)

    async def _look(self) -> None:
        prepared = self._prepared
        if prepared is None:
            return
        late = _unix_ms() > prepared.until_ms
        if self._decides(prepared.plan):
            if late:
                await self._give_up(prepared)
        elif has_begun(prepared.plan, await self._lead(prepared.plan)):
            await self._carry_out(prepared)
        elif late and not await self._why_not_given_up(prepared.plan):
            await self._give_up(prepared)


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
