"""The leader keeps how much memory each member has: the bound of the state follows from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from quorate.errors import QuorateError
from quorate.pool.refusals import printable
from quorate.replica.replica import Replica
from quorate.server.rpc.calls import Callers
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import SINGLETON
from quorate.state.tables import limits
from quorate.state.tables.limits import LIMITS_LEVEL, MEMBERS_MAX, Memory, RecordMemory

log = logging.getLogger("quorate.server")

MEMORY_CALL: Final = "memory"

_LOOK_S: Final = 0.25
_ASK_AGAIN_S: Final = 60.0
_UNKNOWN_AGAIN_S: Final = 5.0
_CALL_TIMEOUT_S: Final = 3.0
_BYTES_MAX: Final = 1 << 60
WARNING_MAX: Final = 1000


class MemoryRequest(msgspec.Struct, frozen=True):
    """The argument of the call: there is nothing to say."""


class MemoryAnswer(msgspec.Struct, frozen=True):
    """The bytes of memory that the server may use; 0: it does not know.

    `backup` tells configurations of backups apart, and nothing of them; empty: it does not say.
    `warning` says that it has little room left on its disk, or in its log; empty: enough.
    """

    bytes: int
    backup: str = ""
    warning: str = ""


class MemoryKeeper:
    """See the module. `own` is this server's memory, `first_bytes_max` its configured bound.

    `backup` is a digest of its configuration of backups: members with another one are named.
    `warning` says that this server has little room left.

    `leads` says whether this server leads, and has applied all there was before.
    """

    def __init__(
        self,
        *,
        replica: Replica[object],
        state: StateStore,
        callers: Callers,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        leads: Callable[[], bool],
        own: int,
        first_bytes_max: int,
        backup: str = "",
        warning: Callable[[], str] = lambda: "",
    ) -> None:
        self._warning = warning
        self._warned: tuple[str, ...] = ()
        self._replica = replica
        self._state = state
        self._callers = callers
        self._apply = apply
        self._leads = leads
        self._own = MemoryAnswer(own, backup)
        self._others: tuple[str, ...] = ()
        self._first_bytes_max = first_bytes_max
        self._next_at = float("-inf")
        self._asked: tuple[tuple[str, str], ...] = ()

    async def run(self) -> None:
        """For ever: ask when members come or go, and now and then."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._leads():
                self._asked, self._others, self._warned = (), (), ()
                continue
            if self._state.level < LIMITS_LEVEL:
                continue
            members = self._members()
            if members == self._asked and loop.time() < self._next_at:
                continue
            self._asked = members
            try:
                known = await self.round(members)
            except QuorateError as error:
                log.info("the bound of the state is not renewed: %s", error.line())
                known = False
            self._next_at = loop.time() + (_ASK_AGAIN_S if known else _UNKNOWN_AGAIN_S)

    async def round(self, members: tuple[tuple[str, str], ...]) -> bool:
        """Ask the members (IDs and addresses), and keep what they say; whether all are known.

        Of one that does not answer stays what is known. Raises QuorateError.
        """
        found = await asyncio.gather(*(self._of(*each) for each in members))
        record = self._state.get(limits.TABLE, SINGLETON)
        before = dict(record.memory) if record is not None else {}
        memory: Memory = tuple(
            (server_id, size)
            for (server_id, _), heard in sorted(zip(members, found, strict=True))
            if (size := heard.bytes or before.get(server_id, 0))
        )
        self._compare(members, found)
        if record is None or memory != record.memory:
            command = RecordMemory(memory=memory, first_bytes_max=self._first_bytes_max)
            await self._apply(encode(command))
        return all(heard.bytes for heard in found)

    def warnings(self) -> tuple[str, ...]:
        """On the leader: what it and the other members have said of the room left to them.

        Of the others what they said within the last minute.
        """
        own = self._warning()
        named = (f"{self._replica.address}: {own}",) if own else ()
        return (*named, *self._warned)

    def other_backups(self) -> str:
        """On the leader: the members that would make other backups if they led; or empty."""
        if not self._others:
            return ""
        return (
            f"{', '.join(self._others)}: target, schedule, retain or restore_from of backups are "
            "not those of this leader, and would count if such a server led; give all servers the "
            "same block backup"
        )

    def _compare(self, members: tuple[tuple[str, str], ...], found: Sequence[MemoryAnswer]) -> None:
        others = tuple(
            address
            for (_, address), heard in zip(members, found, strict=True)
            if heard.backup and heard.backup != self._own.backup
        )
        self._warned = tuple(
            f"{address}: {heard.warning}"
            for (server_id, address), heard in zip(members, found, strict=True)
            if heard.warning and server_id != self._replica.server_id
        )
        if others != self._others:
            self._others = others
            if others:
                log.warning("backups: %s", self.other_backups())

    async def own(self) -> MemoryAnswer:
        """The answer to another server."""
        return msgspec.structs.replace(self._own, warning=self._warning())

    def _members(self) -> tuple[tuple[str, str], ...]:
        servers = self._replica.node.configuration.servers[:MEMBERS_MAX]
        return tuple((each.id, each.address) for each in servers)

    async def _of(self, server_id: str, address: str) -> MemoryAnswer:
        if server_id == self._replica.server_id:
            return self._own
        try:
            found = await self._callers.call(
                *(address, MEMORY_CALL, MemoryRequest(), MemoryAnswer, _CALL_TIMEOUT_S),
                server_id=server_id,
            )
        except QuorateError:
            return MemoryAnswer(0)
        size = found.bytes if 0 < found.bytes < _BYTES_MAX else 0
        return MemoryAnswer(size, found.backup, printable(found.warning, WARNING_MAX))
