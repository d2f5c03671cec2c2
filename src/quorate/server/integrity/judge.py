"""The leader's part in finding a state that differs: check, gather, judge, tell.

Every interval one command goes through the log; at its index every server takes a digest of its
state. The leader asks all members for theirs over the RPC port, with one deadline; a server that
does not answer, as servers that know no such call, is not compared. The verdict goes to all
members, so that each looks itself: none calls itself damaged, or right again, on another server's
word.

Invariant: a server is found damaged only where a majority of all voters told it, each for itself,
one and the same other digest of that index. So a majority is never fenced off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from quorate.errors import QuorateError
from quorate.raft.values.configuration import Server as Peer
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.integrity.checks import DigestAnswer, DigestRequest, Heard, StateChecks
from quorate.server.integrity.verdict import NAME_MAX, WHY_MAX, Held, Verdict, judge
from quorate.server.rpc.calls import Callers
from quorate.state.engine.commands import encode
from quorate.state.tables.checks import CheckState

log = logging.getLogger("quorate.server")

DEADLINE_S: Final = 5.0
"""For applying everywhere; an interval, if that is shorter."""

HASHING_S: Final = 60.0
"""For a member that answers that it is hashing: some million rows, in slices of its time."""

_LOOK_S: Final = 0.1
_TELL_S: Final = 2.0


class StateJudge:
    """Does nothing while another server leads, or while `interval_s` is 0."""

    def __init__(
        self,
        *,
        replica: Replica[object],
        checks: StateChecks,
        callers: Callers,
        directory: Directory,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        interval_s: float,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`apply` replicates a command, `spawn` runs a coroutine."""
        self._replica = replica
        self._checks = checks
        self._callers = callers
        self._directory = directory
        self._apply = apply
        self.interval_s = interval_s
        self._spawn = spawn
        self._looking = False

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            replica, interval = self._replica, self.interval_s
            due = interval and loop.time() - self._checks.checked_at >= interval
            unable = replica.damage or replica.held or replica.storage_full
            if not due or not replica.is_leader or unable:
                continue
            try:
                await self.check()
            except QuorateError as error:
                log.info("state check postponed: %s", error)

    # -- what a leader says ------------------------------------------------------------------------

    def heard(self, verdict: Verdict, sender_id: str | None) -> None:
        """Another server says what a comparison showed; `sender_id` is its proven ID, if proven.

        It is a hint. Only the present leader may give one, about an index at which this server has
        taken a digest itself. If it says more than that all is well, this server asks all members
        itself, and believes what it finds.
        """
        node, checks = self._replica.node, self._checks
        if sender_id is not None and sender_id != node.leader_id:
            log.info("a state verdict of %s does not count: it does not lead", sender_id[:64])
            return
        if verdict.index > node.applied_index or not checks.has_digest(verdict.index):
            return
        if checks.confirms(verdict):
            checks.hear(verdict)
        elif not self._looking:
            self._looking = True
            self._spawn(self._look_itself(verdict.index))

    async def _look_itself(self, index: int) -> None:
        try:
            self._checks.hear(await self._compare(index))
        finally:
            self._looking = False

    async def _compare(self, index: int) -> Verdict:
        """What all members hold at `index`, asked by this server. Never raises."""
        members = self._replica.node.configuration.servers
        held = await asyncio.gather(*(self._held(peer, index) for peer in members))
        return judge(index, self._directory.me.node, held)

    # -- what this leader finds --------------------------------------------------------------------

    async def check(self) -> Verdict:
        """Compare the states of all members now. Raises what a write raises."""
        index, _ = await self._apply(encode(CheckState()))
        verdict = await self._compare(index)
        members = self._replica.node.configuration.servers
        known = {odd.id for odd in self._checks.verdict.wrong}
        for odd in verdict.wrong:
            if odd.id not in known:
                log.error(
                    "the state of server %s (%s) is damaged: at index %d its digest is %s, and a "
                    "majority of the voters has %s",
                    *(odd.node, odd.id, index, odd.digest[:12], verdict.right[:12]),
                )
        self._checks.hear(verdict)
        await asyncio.gather(*(self._tell(peer, verdict) for peer in members))
        return verdict

    async def _held(self, peer: Peer, index: int) -> Held:
        """What this member holds at `index`. Never raises."""
        deadline_s = min(DEADLINE_S, self.interval_s or DEADLINE_S)
        answer = DigestAnswer(id=peer.id, why=f"no digest within {deadline_s:g} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s) as deadline:
                answer = await self._asked(peer, index, deadline)
        known = self._directory.by_id(peer.id)
        return Held(
            id=peer.id,
            node=known.identity.node[:NAME_MAX] if known is not None else "(unknown)",
            voter=peer.is_voter,
            digest=answer.digest,
            why=answer.why[:WHY_MAX],
        )

    async def _asked(self, peer: Peer, index: int, deadline: asyncio.Timeout) -> DigestAnswer:
        """Its answer, asked for until it is there; a member that is hashing gets more time."""
        hashed_by = asyncio.get_running_loop().time() + HASHING_S
        while True:
            if peer.id == self._replica.server_id:
                answer = self._checks.digest_at(index, self._replica.node.applied_index)
            else:
                try:
                    answer = await self._callers.call(
                        self._replica.locate(peer),
                        "state-digest",
                        DigestRequest(index),
                        DigestAnswer,
                        timeout_s=DEADLINE_S,
                        server_id=peer.id,
                    )
                except QuorateError as error:
                    return DigestAnswer(id=peer.id, why=error.text)
            if answer.id != peer.id:
                return DigestAnswer(id=peer.id, why="another server answers there")
            if not answer.later:
                return answer
            if answer.hashing:
                deadline.reschedule(hashed_by)
            await asyncio.sleep(_LOOK_S)

    async def _tell(self, peer: Peer, verdict: Verdict) -> None:
        if peer.id == self._replica.server_id:
            return
        address = self._replica.locate(peer)
        try:
            await self._callers.call(
                *(address, "state-verdict", verdict, Heard, _TELL_S), server_id=peer.id
            )
        except QuorateError as error:
            log.debug("%s did not hear of the state check at %d: %s", address, verdict.index, error)
