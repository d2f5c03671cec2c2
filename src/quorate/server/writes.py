"""Writes under way. Each comes to an end: confirmed, refused, or given up as unconfirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from quorate.errors import (
    ApplyTimeout,
    MachineHeld,
    NotLeader,
    QuorateError,
    RestoreUnderWay,
    StorageFull,
)

APPLY_TIMEOUT_S = 10.0
FULL_DISK_PATIENCE_S = 1.0  # the other servers may have room, and confirm the write

_SWEEP_S = 0.5


class Proposing(Protocol):
    """A replica, as writes need it."""

    @property
    def is_leader(self) -> bool:
        """Whether it believes to lead."""

    @property
    def held(self) -> MachineHeld | None:
        """Why it cannot apply the next entry."""

    @property
    def storage_full(self) -> bool:
        """Whether its disk has no room."""

    @property
    def disk_room(self) -> object:
        """How much room there is, for people."""

    def propose(self, command: bytes, /) -> asyncio.Future[Any]:
        """Replicate a command; the future gives (log index, result of applying it)."""


class Writes:
    """The writes of one server."""

    def __init__(
        self,
        replica: Proposing,
        refusal: Callable[[bytes], QuorateError | None],
        told: Callable[[bytes], bytes],
        shift: Callable[[], int],
    ) -> None:
        """`refusal` says why a leader must not write a command: its feature level is too low.

        `told` gives what is written in place of a command, so that the journal tells of it.
        """
        self._replica = replica
        self._refusal = refusal
        self._told = told
        self._shift = shift
        self._loop = asyncio.get_running_loop()
        self._stops: Callable[[bytes], bool] | None = None
        self._why_stopped: Callable[[], QuorateError] = RestoreUnderWay
        self._applying: deque[tuple[float, asyncio.Future[Any]]] = deque()

    @property
    def shift(self) -> int:
        """See `quorate.state.engine.restore.shift`."""
        return self._shift()

    def pause(
        self,
        stops: Callable[[bytes], bool] | None,
        why: Callable[[], QuorateError] = RestoreUnderWay,
    ) -> None:
        """Refuse the commands for which this is true, while their tables are restored.

        `why` makes the error that they are refused with.
        """
        self._stops, self._why_stopped = stops, why

    def apply(self, command: bytes) -> asyncio.Future[tuple[int, Any]]:
        """Replicate a command; the future gives (log index, result of applying it)."""
        refused = self._refusal(command)
        if refused is not None or self._stops is not None or self._replica.held is not None:
            refused = self._refused(command, refused)
            if refused is not None:
                refusal: asyncio.Future[tuple[int, Any]] = self._loop.create_future()
                refusal.set_exception(refused)
                return refusal
        future = self._replica.propose(self._told(command))
        # One sweep for all of them: a timer for each would cost more than the write. What is done
        # goes at once, while the processor still has it at hand.
        applying = self._applying
        while applying and applying[0][1].done():
            applying.popleft()
        applying.append((self._loop.time(), future))
        return future

    def _refused(self, command: bytes, refused: QuorateError | None) -> QuorateError | None:
        """Why this leader does not begin the write, or None; another server's log has no say."""
        if not self._replica.is_leader:
            return None
        if self._replica.held is not None:  # it hands over; the next leader is asked
            return NotLeader()
        if self._stops is not None and self._stops(command):
            return self._why_stopped()
        return refused

    async def sweep(self) -> None:
        """For ever: give up what has waited for too long."""
        applying = self._applying
        while True:
            await asyncio.sleep(_SWEEP_S)
            full = self._replica.storage_full
            begun_before = self._loop.time() - (FULL_DISK_PATIENCE_S if full else APPLY_TIMEOUT_S)
            while applying and (applying[0][0] <= begun_before or applying[0][1].done()):
                _, future = applying.popleft()
                if not future.done():
                    error = _unconfirmed(self._replica.disk_room) if full else ApplyTimeout()
                    future.set_exception(error)


def _unconfirmed(room: object) -> StorageFull:
    return StorageFull(
        f"no space left on the leader's disk: {room}; "
        "the write is not confirmed, but may stand once there is room",
        "free room on that disk, or: quorate operator raft compact; then read before you repeat it",
    )
