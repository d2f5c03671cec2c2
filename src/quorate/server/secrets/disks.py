"""After a full rotation of the root keys: no file of a server holds text sealed with older keys.

Each server looks at its own files while the active key is in phase DISKS, and takes the place of
older ones by a whole snapshot; older safety snapshots of restores go. The leader asks all members
how far back their files reach, and which ones do.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import QuorateError
from quorate.net.threads import in_thread
from quorate.replica.replica import Replica
from quorate.server.rpc.calls import Callers
from quorate.server.secrets.kept import drop_safety, kept_in
from quorate.state.engine.store import StateStore
from quorate.state.tables import root_keys
from quorate.state.tables.root_keys import DISKS

log = logging.getLogger("quorate.server")

OLDEST_CALL: Final = "oldest-on-disk"
_INTERVAL_S: Final = 0.5
_CALL_TIMEOUT_S: Final = 3.0


class OldestRequest(msgspec.Struct, frozen=True):
    """The argument of the call: there is nothing to say."""


class Oldest(msgspec.Struct, frozen=True):
    """The index from which on the server's files tell what happened; 0: they are empty.

    `where` names the file, if it is not log or snapshots.
    """

    index: int
    where: str = ""


class Disks:
    """See the module. `older` says what this server still has to drop, or is empty.

    `folder` holds more than log and snapshots (`kept`).
    """

    def __init__(
        self,
        replica: Replica[object],
        state: StateStore,
        callers: Callers,
        folder: Path,
    ) -> None:
        self._replica = replica
        self._state = state
        self._callers = callers
        self._folder = folder
        self.older = ""

    async def run(self) -> None:
        """For ever: drop what is to be dropped."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                await self.round()
            except (QuorateError, OSError) as error:
                log.warning("older text stays on the disk for now: %s", error)

    async def round(self) -> None:
        """Look, and drop it if there is some. Raises QuorateError, OSError."""
        below = self.below()
        if not below:
            self.older = ""
            return
        oldest = await self.own()
        if not 0 < oldest.index <= below:
            self.older = ""
            return
        self.older = f"from index {oldest.index} on; sealed with older root keys below {below}"
        if oldest.where:
            self.older += f"; in {oldest.where}"
        await in_thread(drop_safety, self._folder, below)
        if 0 < await self._replica.oldest_on_disk() <= below:
            await self._replica.snapshot_now(whole=True)

    def below(self) -> int:
        """The index of the log of which nothing at it or before may stay on a disk; 0: all may."""
        found = root_keys.active(self._state)
        if found is None or found[1].phase != DISKS:
            return 0
        keys = self._state.rows(root_keys.TABLE).values()
        return self._of_the_log(max(row.unused_index for row in keys))

    def _of_the_log(self, index: int) -> int:
        """The log's index of one of the state: a restore has raised those (`engine.shift`).

        It holds for an `unused_index`, because each restore takes those of before away.
        """
        return index - self._state.shift

    async def own(self) -> Oldest:
        """The answer to another server."""
        oldest = Oldest(await self._replica.oldest_on_disk())
        for kept in await in_thread(kept_in, self._folder):
            if not oldest.index or kept.below < oldest.index:
                oldest = Oldest(kept.below, str(kept.path))
        return oldest

    async def holders(self, below: int) -> list[str]:
        """The members whose files hold text of that index or before, or that do not answer.

        It is the `unused_index` of a key.
        """
        below = self._of_the_log(below)
        members = self._replica.node.configuration.servers
        asked = await asyncio.gather(*(self._why(each.id, each.address, below) for each in members))
        return [why for why in asked if why]

    async def _why(self, server_id: str, address: str, below: int) -> str:
        try:
            if server_id == self._replica.server_id:
                found = await self.own()
            else:
                request = OldestRequest()
                found = await self._callers.call(
                    *(address, OLDEST_CALL, request, Oldest, _CALL_TIMEOUT_S), server_id=server_id
                )
        except QuorateError as error:
            return f"{address} ({error.text})"
        if not 0 < found.index <= below:
            return ""
        return f"{address} ({found.where})" if found.where else address
