"""The log of a server is compacted now, because an operator asks for it, here or elsewhere.

A snapshot of what is applied is stored, then all that it has goes from the disk: entries that would
stay for slow followers, and older snapshots. It needs no leader. Nothing that is not applied goes.

A disk without room for a snapshot gives room first: what the newest one has already goes without
another one. For a snapshot the reserve of the disk may be used, since more becomes free by it, but
never so much that the disk could be full before it is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from quorate.errors import QuorateError
from quorate.net.threads import in_thread
from quorate.replica.replica import Replica
from quorate.server.cluster.identity import Identity
from quorate.server.rpc.calls import Callers
from quorate.server.views.raft import Target
from quorate.shapes.compaction import Compacted
from quorate.storage.free_space import free_bytes

log = logging.getLogger("quorate.server")

COMPACT_CALL: Final = "compact"
TIMEOUT_S: Final = 300.0
"""How long another server may take: a gigabyte is written in less."""

_SETTLED_S: Final = 10.0
_SETTLED_FULL_S: Final = 1.0  # entries may wait for room for long, compaction does not
_POLL_S: Final = 0.01
_MIB: Final = 1 << 20
_SPARE_BYTES: Final = 1 << 20  # the log begins a file, and a snapshot has small files of its own


class CompactRequest(msgspec.Struct, frozen=True):
    """The argument of the call: there is nothing to say."""


class _Sizes(NamedTuple):
    log: int
    snapshots: int
    newest: int
    free: int


class Compacting:
    """See the module. `state_bytes` is about how large a snapshot becomes.

    `others` are the servers of the region that can be asked, `me` is this one.
    """

    def __init__(
        self,
        replica: Replica[object],
        state_bytes: Callable[[], int],
        callers: Callers,
        others: Callable[[], Sequence[Target]],
        me: Callable[[], Identity],
    ) -> None:
        self._replica = replica
        self._state_bytes = state_bytes
        self._callers = callers
        self._others = others
        self._me = me
        self._running: asyncio.Task[Compacted] | None = None

    async def all(self) -> list[Compacted]:
        """Compact all servers of the region, each at its own pace. Raises ReplicaStopped."""
        return list(await asyncio.gather(self.own(), *map(self._elsewhere, self._others())))

    async def one(self, server: str) -> Compacted | None:
        """Compact the server with this ID or name; None: it is not known. ReplicaStopped."""
        me = self._me()
        if server in {"", me.id, me.node}:
            return await self.own()
        for target in self._others():
            if server in {target.id, target.node}:
                return await self._elsewhere(target)
        return None

    async def _elsewhere(self, target: Target) -> Compacted:
        try:
            return await self._callers.call(
                *(target.address, COMPACT_CALL, CompactRequest(), Compacted, TIMEOUT_S),
                server_id=target.id,
            )
        except QuorateError as error:
            return Compacted(
                id=target.id,
                node=target.node,
                address=target.address,
                error=error.text,
                next=error.next_step,
            )

    async def own(self) -> Compacted:
        """Compact this server: those that ask meanwhile get the same answer. ReplicaStopped."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._compact())
            self._running.add_done_callback(self._ended)
        return await asyncio.shield(self._running)

    def _ended(self, done: asyncio.Task[Compacted]) -> None:
        self._running = None
        if not done.cancelled():
            done.exception()  # those that have asked hear it

    async def _compact(self) -> Compacted:
        replica, me = self._replica, self._me()
        before = await self._sizes()
        error = next_step = ""
        try:
            await self._carry_out(before)
        except (QuorateError, OSError) as why:
            error = why.text if isinstance(why, QuorateError) else str(why)
            next_step = why.next_step if isinstance(why, QuorateError) else ""
        after = await self._sizes()
        done = Compacted(
            id=me.id,
            node=me.node,
            address=replica.address,
            error=error,
            next=next_step,
            stays=self._stays(),
            index=replica.node.log.snapshot_index,
            log_bytes_before=before.log,
            log_bytes_after=after.log,
            log_bytes_max=replica.options.settings.log_bytes_max,
            snapshot_bytes_before=before.snapshots,
            snapshot_bytes_after=after.snapshots,
            disk_free_bytes=after.free,
        )
        log.info(
            "compacted: the log had %d bytes and has %d, snapshots had %d and have %d%s",
            *(done.log_bytes_before, done.log_bytes_after),
            *(done.snapshot_bytes_before, done.snapshot_bytes_after),
            f"; not all of it could be done: {error}" if error else "",
        )
        return done

    async def _sizes(self) -> _Sizes:
        store = self._replica.snapshots

        def look() -> _Sizes:
            kept = [meta.size for meta in store.list()]
            free = free_bytes(self._replica.log.path)
            return _Sizes(self._replica.log.size_bytes(), sum(kept), next(iter(kept), 0), free)

        return await in_thread(look)

    async def _carry_out(self, before: _Sizes) -> None:
        """Raises QuorateError or OSError for what could not be done, ReplicaStopped at the end."""
        replica = self._replica
        if why := replica.node.prepared:
            raise QuorateError(why, "carry the recovery out, or give it up, and compact then")
        if replica.damage is not None:
            raise replica.damage.refusal()
        needed = max(before.newest, self._state_bytes()) * 5 // 4 + _SPARE_BYTES
        free = before.free
        if free < needed:
            await replica.drop_covered()
            await self._settle()
            free = (await self._sizes()).free
        if free < needed:
            raise QuorateError(
                f"no room for a snapshot: about {_mib(needed, up=True)} are needed, and "
                f"{_mib(free, up=False)} are free in {replica.log.path}; what the last snapshot "
                "has was dropped",
                f"free {_mib(needed - free, up=True)} on that disk, then run this again",
            )
        await self._snapshot()
        await self._settle()

    async def _snapshot(self) -> None:
        loop, node = asyncio.get_running_loop(), self._replica.node
        deadline = loop.time() + TIMEOUT_S / 2
        while True:
            nothing_new = node.log.snapshot_index >= node.applied_index
            if await self._replica.snapshot_now(whole=True) or nothing_new:
                return
            if loop.time() > deadline:
                raise QuorateError("another snapshot is under way and does not end", "try again")
            await asyncio.sleep(_POLL_S)

    async def _settle(self) -> None:
        """Until what was decided by now is on the disk, or the disk takes too long over it."""
        loop, outbox = asyncio.get_running_loop(), self._replica.node.outbox
        decided_at, began = self._replica.now(), loop.time()
        while (oldest := outbox.oldest_write_at()) is not None and oldest <= decided_at:
            most = _SETTLED_FULL_S if self._replica.storage_full else _SETTLED_S
            if loop.time() > began + most:
                return
            await asyncio.sleep(_POLL_S)

    def _stays(self) -> str:
        """What of the log no snapshot has, for a reason that an operator can do something about."""
        node = self._replica.node
        entries = f"entries {node.applied_index + 1} to {node.log.last_index} stay"
        if node.log.last_index > node.applied_index:
            if self._replica.held is not None:
                return f"{entries}: this server cannot apply them"
            if not node.leader_id:
                return f"{entries}: without a leader it is not known whether they are committed"
        install = node.leader.lowest_install() if node.leader is not None else None
        if install is None or install >= node.log.snapshot_index:
            return ""
        return f"what follows on entry {install} stays: a snapshot of it is on its way to a peer"


def _mib(size: int, *, up: bool) -> str:
    """In MiB to a tenth: what is needed rounded up, what is there down, so that both are true."""
    tenths = -(-size * 10 // _MIB) if up else size * 10 // _MIB
    return f"{tenths / 10:.1f} MiB"
