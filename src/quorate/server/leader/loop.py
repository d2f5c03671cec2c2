"""The loop of a leader: a round of `quorate.autopilot`, four times a second."""

from __future__ import annotations

import asyncio

from quorate.autopilot.memory import Memory
from quorate.autopilot.rounds import Look, leader_round
from quorate.server.leader.hands import Hands
from quorate.server.leader.health import HealthWatch
from quorate.server.leader.level import LevelGate

_INTERVAL_S = 0.25


class LeaderDuties:
    """Does nothing while another server leads."""

    def __init__(self, look: Look, hands: Hands, gate: LevelGate, health: HealthWatch) -> None:
        self._look = look
        self._hands = hands
        self._gate = gate
        self.health = health

    async def run(self) -> None:
        """For ever."""
        memory = Memory()
        while True:
            await asyncio.sleep(_INTERVAL_S)
            self.health.refresh()
            memory = await self._hands.run(leader_round(self._look, memory))
            self._gate.waiting = memory.level_waits
            await self._hands.tell_rest()
