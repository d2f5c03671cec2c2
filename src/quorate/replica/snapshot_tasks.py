"""The snapshots of a running replica: each one that is taken, sent, received or restored is a task.

They are the `Snapshots` of a `quorate.runtime.raft.RaftDriver`. `snapshot_when_due` takes one when
enough entries have gathered since the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from quorate.errors import QuorateError
from quorate.net.trust import Trust
from quorate.raft.effects import SendSnapshot
from quorate.raft.node import Node
from quorate.raft.values.configuration import Server
from quorate.raft.values.messages import InstallSnapshotRequest
from quorate.replica.incoming import Slot
from quorate.replica.options import Options
from quorate.replica.snapshots import IncomingSnapshot, SnapshotWorker, send_snapshot
from quorate.runtime.ports import SnapshotPoint, StateMachine, Write
from quorate.runtime.raft import RaftDriver


class SnapshotTasks:
    """See the module. `spawn` starts a task; an error that one ends with ends the replica."""

    def __init__(
        self,
        worker: SnapshotWorker,
        machine: StateMachine[object],
        prefix: bytes,
        locate: Callable[[Server], str],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.driver: RaftDriver  # set before the first snapshot
        self.trust: Trust | None = None
        self._worker = worker
        self._machine = machine
        self._prefix = prefix
        self._locate = locate
        self._spawn = spawn

    def take(
        self,
        point: SnapshotPoint,
        write_out: Callable[[Write], object],
        done: Callable[[BaseException | None], None],
    ) -> None:
        """Store the copy that `write_out` writes."""
        self._spawn(self._take(point, write_out, done))

    async def _take(
        self,
        point: SnapshotPoint,
        write_out: Callable[[Write], object],
        done: Callable[[BaseException | None], None],
    ) -> None:
        try:
            await self._worker.take(point, write_out)
        except Exception as error:  # noqa: BLE001  the caller of the snapshot gets it
            done(error)
        else:
            done(None)

    def send(self, effect: SendSnapshot, header: dict[str, Any]) -> None:
        """Send the newest one to a peer."""
        self._spawn(self._deliver(effect, header))

    async def _deliver(self, effect: SendSnapshot, header: dict[str, Any]) -> None:
        peer = effect.to
        try:
            index, response = await send_snapshot(
                *(self._worker, self._locate(peer), self._prefix, header),
                trust=self.trust,
                peer_id=peer.id,
            )
        except (OSError, TimeoutError, QuorateError) as error:
            self.driver.request_failed(peer.id, effect.rpc_id, str(error) or "i/o timeout")
        else:
            self.driver.snapshot_delivered(peer.id, effect.rpc_id, index, response)

    def receive(
        self, reply_to: Slot, request: InstallSnapshotRequest, done: Callable[[bool], None]
    ) -> None:
        """Let the body come in that was announced on a connection."""
        connection = reply_to.connection
        reply_to.accept_body(
            IncomingSnapshot(
                self._worker,
                request,
                connection.pause,
                connection.resume,
                done,
                decode=partial(self._worker.decoded, self._machine),
            )
        )

    def restore(self, index: int, term: int, done: Callable[[Any], None]) -> None:
        """Decode a stored one."""
        self._spawn(self._restore(index, term, done))

    async def _restore(self, index: int, term: int, done: Callable[[Any], None]) -> None:
        def decode() -> Any:
            meta = self._worker.store.find(index, term)
            return self._worker.decode(self._machine, meta.id)

        done(await self._worker.run(decode))


class Gathering(Protocol):
    """A replica, as the wait for its next snapshot needs it."""

    node: Node
    options: Options

    async def snapshot_now(self) -> int:
        """Store a snapshot; its index, 0 if there is nothing new."""

    def refused(self, where: str, why: str) -> None:
        """Tell observers of what could not be done."""


async def snapshot_when_due(replica: Gathering, spread: float) -> None:
    """For ever. Sooner when very many entries have gathered.

    `spread` multiplies the interval, so that not all servers take theirs at once.
    """
    waited = 0.0
    while True:
        options = replica.options
        interval = options.snapshot_interval_s * spread
        pause = min(interval, 1.0)
        await asyncio.sleep(pause)
        waited += pause
        gathered = replica.node.applied_index - replica.node.log.snapshot_index
        due = gathered >= options.snapshot_threshold and waited >= interval
        if due or gathered >= 16 * options.snapshot_threshold:
            waited = 0.0
            try:
                await replica.snapshot_now()
            except (QuorateError, OSError) as error:
                replica.refused("snapshot", str(error))  # no room, say: tried again later
