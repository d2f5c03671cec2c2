"""A recorder of acts that keeps what it was told, for tests of the API."""

from __future__ import annotations

import asyncio

from quorate.server.audit.acting import Act
from quorate.state.tables.journal import Who


class FakeRecorder:
    """What was noted of acts and refusals, in order."""

    server_id = "s1"

    def __init__(self) -> None:
        self.noted: list[tuple[str, str, str, str]] = []
        self.refused: list[tuple[str, str, str]] = []
        self.counted: list[tuple[str, str, str]] = []
        self.unknown = 0
        self.callers: list[Who] = []

    def standing(self) -> tuple[int, tuple[str, ...]]:
        return 0, ()

    async def note(self, act: Act, outcome: str, cause: str = "") -> None:
        await asyncio.sleep(0)
        self.callers.append(act.who())
        self.noted.append((act.what, act.subject, outcome, cause))

    def refuse(self, who: Who, what: str, subject: str, why: str) -> None:
        self.refused.append((who.accessor, what, why))

    def often(self, who: Who, what: str, outcome: str) -> None:
        self.counted.append((who.accessor, what, outcome))

    def refuse_unknown(self) -> None:
        self.unknown += 1
