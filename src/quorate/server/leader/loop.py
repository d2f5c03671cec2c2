"""What a leader does besides replicating: a round of `quorate.autopilot`, four times a second."""

from __future__ import annotations

import asyncio

from quorate.autopilot.memory import Memory
from quorate.autopilot.rounds import Look, leader_round
from quorate.server.leader.hands import Hands

_INTERVAL_S = 0.25


class LeaderDuties:
    """Does nothing while another server leads."""

    def __init__(self, look: Look, hands: Hands) -> None:
        self._look = look
        self._hands = hands

    async def run(self) -> None:
        """For ever."""
        memory = Memory()
        while True:
            await asyncio.sleep(_INTERVAL_S)
            memory = await self._hands.run(leader_round(self._look, memory))
