"""Archives that are on their way over a network: few at one time, each with room on the disk.

A client that does not read, or send, must not keep others from their archives. So where all places
are taken, the one whose client has let it stand the longest is given up, if it did not move
`PROGRESS_BYTES` within `PROGRESS_S`; if all move, the new one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from quorate.errors import Overloaded, QuorateError

PLACES: Final = 4
PROGRESS_S: Final = 5.0
PROGRESS_BYTES: Final = 64 << 10
"""Some 13 KB/s: slower than any link over which an archive would be sent."""

STALLED_S: Final = 30.0
"""An upload that does not move `PROGRESS_BYTES` within it is given up in any case."""


class Transfer:
    """One archive. `give_up` ends it; the times are those of the loop, in seconds."""

    def __init__(self, give_up: Callable[[], None], now: float) -> None:
        self.give_up = give_up
        self._since = now  # it has moved less than PROGRESS_BYTES since then
        self._moved = 0

    def moved(self, size: int, now: float) -> bool:
        """So many bytes went on; whether that is progress since it was said the last time."""
        self._moved += size
        if self._moved < PROGRESS_BYTES:
            return False
        self._since, self._moved = now, 0
        return True

    def stands(self, now: float) -> float:
        """For how long it has made no progress."""
        return now - self._since


class Transfers:
    """Those of one kind. `what` names them in errors: "are being sent"."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._all: list[Transfer] = []

    def begin(self, give_up: Callable[[], None], now: float) -> Transfer:
        """A place for one more. Raises Overloaded if all are taken and move."""
        if len(self._all) >= PLACES:
            slowest = max(self._all, key=lambda each: each.stands(now))
            if slowest.stands(now) < PROGRESS_S:
                raise Overloaded(
                    f"{len(self._all)} archives {self._what} by this server already",
                    "try again when one of them is done",
                )
            self.end(slowest)
            slowest.give_up()
        made = Transfer(give_up, now)
        self._all.append(made)
        return made

    def end(self, transfer: Transfer) -> None:
        """Its place is free. May be called more than once."""
        if transfer in self._all:
            self._all.remove(transfer)


class Arriving:
    """The pieces of an upload, until they stop coming. Raises Overloaded.

    Only the time in which its client is waited for counts.
    """

    def __init__(self, archive: AsyncIterator[bytes], transfers: Transfers) -> None:
        self._pieces = archive
        self._transfers = transfers
        self._now = asyncio.get_running_loop().time
        self._patience_s = STALLED_S
        self._waiting: asyncio.Timeout | None = None
        self._given_up = False
        self._transfer = transfers.begin(self._give_up, self._now())

    def _give_up(self) -> None:
        self._given_up = True
        if self._waiting is not None:
            self._waiting.reschedule(self._now())

    async def next(self) -> bytes | None:
        """The next piece, None at the end. Raises QuorateError."""
        began = self._now()
        if self._given_up:
            raise self._stood()
        try:
            async with asyncio.timeout_at(began + self._patience_s) as self._waiting:
                piece = await anext(self._pieces, None)
        except TimeoutError:
            raise self._stood() from None
        finally:
            self._waiting = None
        now = self._now()
        moved = self._transfer.moved(len(piece or b""), now)
        self._patience_s = STALLED_S if moved else self._patience_s - (now - began)
        return piece

    def _stood(self) -> QuorateError:
        return QuorateError(
            f"the upload was given up: less than {PROGRESS_BYTES >> 10} KiB came in "
            f"{STALLED_S:g} s, or in {PROGRESS_S:g} s while others waited",
            "send the archive again",
        )

    def close(self) -> None:
        """Its place is free."""
        self._transfers.end(self._transfer)
