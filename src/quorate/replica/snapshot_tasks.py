"""The snapshots of a running replica: each one that is taken, sent, received or restored is a task.

They are the `Snapshots` of a `quorate.runtime.raft.RaftDriver`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from quorate.errors import QuorateError
from quorate.net.trust import Trust
from quorate.raft.effects import SendSnapshot
from quorate.raft.values.configuration import Server
from quorate.raft.values.messages import InstallSnapshotRequest
from quorate.replica.incoming import Slot
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
                decode=self._machine.decode_snapshot,
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
