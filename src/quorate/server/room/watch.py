"""The room that a server has left on its disk, and to the bound of its log, told in time.

A disk is low from four times its reserve on, and when two more snapshots would reach the reserve:
without room for a snapshot the log cannot be compacted any more. The log is near its bound when it
takes four fifths of what it may before writes are refused (`quorate.raft.roles.log_bound`): then
writes come faster than snapshots are stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from quorate.raft.roles.log_bound import refused_from
from quorate.replica.replica import Replica

log = logging.getLogger("quorate.server")

WARN_AT: Final = 0.8
LOW_RESERVES: Final = 4
TOLD_AGAIN_S: Final = 60.0
"""A trouble that lasts is in the log so often."""

_LOOK_S: Final = 1.0
_MIB: Final = 1 << 20
_NEXT: Final = "free room on that disk, or: quorate operator raft compact"


class RoomWatch:
    """See the module. `state_bytes` is about how large a snapshot is."""

    def __init__(self, replica: Replica[object], state_bytes: Callable[[], int]) -> None:
        self._replica = replica
        self._state_bytes = state_bytes
        self._told_at: dict[str, float] = {}
        self._told: set[str] = set()

    def warning(self) -> str:
        """The troubles of now in one line; empty if there are none."""
        return "; ".join(filter(None, (self._full(), self._low(), self._log())))

    def _full(self) -> str:
        if not self._replica.storage_full:
            return ""
        return f"the disk is full, writes are refused: {self._replica.disk_room}; {_NEXT}"

    def _low(self) -> str:
        room = self._replica.disk_room
        if self._replica.storage_full or not room.reserve:  # it was not looked at as yet
            return ""
        low = max(LOW_RESERVES * room.reserve, room.reserve + 2 * self._state_bytes())
        if room.free >= low:
            return ""
        return f"the disk has little room: {room}, and writes are refused below that; {_NEXT}"

    def _log(self) -> str:
        settings, size = self._replica.options.settings, self._replica.log.size_bytes()
        most = refused_from(settings)
        if not most or size < WARN_AT * most:
            return ""
        return (
            f"the log takes {size / _MIB:.1f} MiB, and writes are refused from {most / _MIB:.1f} "
            f"MiB on until a snapshot is stored (raft_log_bytes_max is {settings.log_bytes_max}): "
            "they come faster than snapshots, or none can be stored"
        )

    async def run(self) -> None:
        """For ever: see `look`."""
        while True:
            self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(_LOOK_S)

    def look(self, now: float) -> None:
        """Write into the log what is wrong: when it begins, each minute, and when it is over."""
        self._tell("full disk", self._full(), now)
        self._tell("disk", self._low(), now)
        self._tell("log", self._log(), now)

    def _tell(self, what: str, trouble: str, now: float) -> None:
        if trouble and now - self._told_at.get(what, -TOLD_AGAIN_S) >= TOLD_AGAIN_S:
            self._told_at[what] = now
            self._told.add(what)
            log.warning("%s", trouble)
        elif not trouble and what in self._told:
            self._told.discard(what)
            log.info("there is room again (%s): %s", what, self._replica.disk_room)
