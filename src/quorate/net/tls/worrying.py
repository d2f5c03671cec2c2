"""The worries about the certificate of a server, of now and of soon: told at most once a day.

For a program that nobody asks for its health. What is told is what health would say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from quorate.net.tls.keeper import TlsKeeper

TOLD_EVERY_S: Final = 86_400.0
LOOKED_AT_S: Final = 600.0


class Worrying:
    """Tells the worries of a keeper. `now` gives seconds of a clock that never goes back."""

    def __init__(
        self,
        keeper: TlsKeeper,
        server_id: str,
        tell: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self._keeper = keeper
        self._server_id = server_id
        self._tell = tell
        self._now = now
        self._told_at = float("-inf")

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOKED_AT_S)

    def look(self) -> None:
        """Tell them, unless some were told within a day."""
        if self._now() - self._told_at < TOLD_EVERY_S:
            return
        if worries := self._keeper.worries(datetime.now(UTC), self._server_id):
            self._told_at = self._now()
            self._tell("; ".join(worries))
