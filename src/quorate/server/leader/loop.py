"""What a leader does besides replicating: first writes, newcomers, pool; making way if unfit."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.errors import QuorateError
from quorate.raft.configuration import Change, ChangeKind
from quorate.replica.replica import Replica
from quorate.server.cluster.joining import Stability
from quorate.server.integrity.checks import StateChecks
from quorate.server.leader.reconcile import Reconciler
from quorate.server.options import ServerOptions
from quorate.state import autopilot, cluster
from quorate.state.cluster import SetClusterMetadata
from quorate.state.commands import encode
from quorate.state.defaults import InitialiseDefaults
from quorate.state.store import StateStore
from quorate.state.table import Command

log = logging.getLogger("quorate.server")

_INTERVAL_S = 0.25
_ASK_AGAIN_S = 10.0  # the others were asked to lead and did not: they may be no better off


class LeaderDuties:
    """Does nothing while another server leads."""

    def __init__(
        self,
        *,
        replica: Replica,
        state: StateStore,
        options: ServerOptions,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        reconciler: Reconciler,
        checks: StateChecks,
    ) -> None:
        self._replica = replica
        self._state = state
        self._options = options
        self._apply = apply
        self._reconciler = reconciler
        self._checks = checks
        self._stability = Stability()
        self._asked_to_lead: dict[str, float] = {}  # by id: when

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            if not self._replica.is_leader:
                continue
            try:
                if self._replica.damage is not None:
                    await self._make_way("the state of this leader is damaged")
                    continue
                if self._replica.storage_full:
                    await self._make_way("no space left on this leader's disk")
                    continue
                await self._first_writes()
                await self._promote()
                await self._reconciler.run(self._replica.node.configuration)
            except QuorateError as error:
                log.info("leader duty postponed: %s", error)

    async def _make_way(self, why: str) -> None:
        """Hand over to a voter that may be better off: this leader can take no write at all."""
        replica = self._replica
        leader, now = replica.node.leader, asyncio.get_running_loop().time()
        if leader is None:
            return
        settings = replica.options.settings
        wrong = {odd.id for odd in self._checks.verdict.wrong}
        able = [
            (peer.match_index, peer.server)
            for peer in leader.peers.values()
            if replica.node.configuration.is_voter(peer.server.id)
            and peer.server.id not in wrong
            and now - peer.contact_at < settings.election_timeout_s
            and now - self._asked_to_lead.get(peer.server.id, -_ASK_AGAIN_S) >= _ASK_AGAIN_S
        ]
        if able:
            _, target = max(able, key=lambda pair: pair[0])
            self._asked_to_lead[target.id] = now
            log.warning("%s: %s shall lead", why, target.address)
            await replica.transfer(target.id)

    async def _first_writes(self) -> None:
        if autopilot.current(self._state) is None or cluster.current(self._state) is None:
            # Only after a barrier is it sure that no earlier leader has written them.
            await self._replica.read_barrier()
        if autopilot.current(self._state) is None:
            await self._write(
                InitialiseDefaults(
                    autopilot=self._options.autopilot, scheduler=self._options.scheduler
                )
            )
        if cluster.current(self._state) is None:
            cluster_id = self._replica.node.cluster_id or str(uuid.uuid4())
            await self._write(SetClusterMetadata(cluster_id=cluster_id))

    async def _write(self, command: Command) -> None:
        await self._apply(encode(command))

    async def _promote(self) -> None:
        rules = autopilot.current(self._state)
        if rules is None:
            return
        ready = self._stability.fit(
            self._replica,
            asyncio.get_running_loop().time(),
            contact_s=rules.last_contact_threshold_ns / 1e9,
            trailing=rules.max_trailing_logs,
            stable_s=rules.server_stabilization_time_ns / 1e9,
        )
        for server_id in ready:
            server = self._replica.node.configuration.get(server_id)
            if server is not None and not server.is_voter:
                await self._replica.change(Change(ChangeKind.ADD_VOTER, server.id, server.address))
                log.info("server %s at %s is stable and votes now", server.id, server.address)
