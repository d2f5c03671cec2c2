"""The members that are remembered on disk, and finding the pool again by them.

Writes go to the one thread that may block on the disk. A disk that fails costs a log line and the
memory, never the membership.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from quorate.errors import QuorateError
from quorate.gossip.effects import Change, MemberChanged
from quorate.gossip.messages import Address
from quorate.pool.keys import OnDisk
from quorate.storage.folder.serf_snapshot import SerfSnapshot, alive_line, can_be_written

log = logging.getLogger("quorate.pool")

WRITE_INTERVAL_S = 0.5
_CLOCKS = ("clock", "event-clock", "query-clock")


class Memory:
    """See the module. `remember` and `leave` queue lines, `write` writes them."""

    def __init__(self, snapshot: SerfSnapshot, own_name: str, on_disk: OnDisk) -> None:
        self._snapshot = snapshot
        self._on_disk = on_disk
        self._lines: list[str] = []
        self._alive: dict[str, Address] = {}
        self._clocks: Sequence[int] = tuple(snapshot.known.clocks)
        self._trouble = ""
        self.clocks: tuple[int, int, int] = (
            snapshot.known.clocks[0],
            snapshot.known.clocks[1],
            snapshot.known.clocks[2],
        )
        """The newest times seen before this start."""
        self.previous = tuple(
            (address, name) for name, address in snapshot.known.alive.items() if name != own_name
        )
        """The addresses to try first to find the pool again."""

    def remember(self, changed: MemberChanged) -> None:
        """Something happened to a member."""
        member = changed.member
        if not can_be_written(member.name):
            return
        match changed.change:
            case Change.JOINED | Change.UPDATED:
                if self._alive.get(member.name) != member.address:
                    self._alive[member.name] = member.address
                    self._lines.append(alive_line(member.name, member.address))
            case Change.LEFT | Change.FAILED | Change.REAPED:
                if self._alive.pop(member.name, None) is not None:
                    self._lines.append(f"not-alive: {member.name}")
            case Change.LEAVING:
                pass  # it is still there

    def leave(self) -> None:
        """This member has left: after a restart it stays away, unless told otherwise."""
        self._lines.append("leave")

    async def write(self, clocks: tuple[int, int, int]) -> None:
        """Write what is new."""
        lines, self._lines = self._lines, []
        for kind, old, new in zip(_CLOCKS, self._clocks, clocks, strict=True):
            if new > old:
                lines.append(f"{kind}: {new}")
        self._clocks = clocks
        if not lines:
            return
        try:
            await self._on_disk(self._snapshot.append, lines)
            trouble = ""
        except QuorateError as error:
            trouble = error.text
        if trouble and trouble != self._trouble:
            log.error("known members are not remembered: %s", trouble)
        self._trouble = trouble

    async def close(self) -> None:
        """Let go of the file."""
        await self._on_disk(self._snapshot.close)
