"""Snapshots on their way: taken here, sent to a peer, received from a leader.

All file work runs in one worker thread, in order, so the loop only ever hands over bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

from quorate.errors import QuorateError
from quorate.net.dial import dial_stream
from quorate.net.names import open_stream
from quorate.net.threads import Turns
from quorate.net.trust import Trust
from quorate.raft.codec import configuration_of
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.messages import AnyResponse, InstallSnapshotRequest
from quorate.raft.values.validity import address_objection, split_address
from quorate.runtime.ports import Read, StateMachine, Write
from quorate.storage.snapshots.meta import SnapshotMeta
from quorate.storage.snapshots.sink import SnapshotSink
from quorate.storage.snapshots.store import SnapshotStore
from quorate.wire.raft import membership as codec
from quorate.wire.raft.membership import encode_configuration, encode_peers
from quorate.wire.raft.messages import encode_request, kind_of
from quorate.wire.raft.stream import ResponseReader

log = logging.getLogger("quorate.replica")

CHUNK_BYTES = 256 << 10
_CHUNKS_WAITING_MAX = 16


class SnapshotWorker:
    """One thread for the files of a snapshot store."""

    def __init__(self, store: SnapshotStore, wall_ms: Callable[[], int]) -> None:
        self.store = store
        self._wall_ms = wall_ms
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="quorate-snapshot")
        self._loop = asyncio.get_running_loop()
        self._turns = Turns(self._loop)

    def close(self) -> None:
        """Let the running work end."""
        self._turns.end()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run in the worker, after what was submitted before."""
        return self._executor.submit(work, *args)

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run in the worker and wait for it."""
        return await self._loop.run_in_executor(self._executor, work, *args)

    def begin(
        self,
        index: int,
        term: int,
        configuration: Configuration,
        configuration_index: int,
        size: int | None = None,
    ) -> SnapshotSink:
        """A new snapshot to write into, of the `size` that a peer announced (in the worker)."""
        return self.store.create(
            index, term, configuration, configuration_index, self._wall_ms(), size=size
        )

    async def take(
        self, point: tuple[int, int, Configuration, int], write_out: Callable[[Write], object]
    ) -> SnapshotMeta:
        """Store the copy of the state machine that `write_out` writes."""

        def work() -> SnapshotMeta:
            sink = self.begin(*point)
            try:
                write_out(self._turns.between(sink.write))
                return sink.finish()
            except BaseException:
                sink.abort()
                raise

        meta: SnapshotMeta = await self.run(work)
        return meta

    def decode(self, machine: StateMachine[object], snapshot_id: str) -> Any:
        """The state machine's image in a stored snapshot (in the worker)."""
        with self.store.open(snapshot_id) as file:
            return self.decoded(machine, file.read)

    def decoded(self, machine: StateMachine[object], read: Read) -> Any:
        """The state machine's image in what `read` gives (in the worker)."""
        return machine.decode_snapshot(self._turns.between(read))


class IncomingSnapshot:
    """The body of an InstallSnapshot, going to disk chunk by chunk.

    Nothing is dropped for it before it has come whole and `decode` has read it: what cannot be
    read would leave this server with neither log nor state.
    """

    def __init__(
        self,
        worker: SnapshotWorker,
        request: InstallSnapshotRequest,
        pause: Callable[[], None],
        resume: Callable[[], None],
        done: Callable[[bool], None],
        *,
        decode: Callable[[Callable[[int], bytes]], object],
    ) -> None:
        self._worker = worker
        self._decode = decode
        self._pause, self._resume, self._done = pause, resume, done
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self._sink: SnapshotSink | None = None
        self._problem: BaseException | None = None
        self._submit(self._create, request)

    def _create(self, request: InstallSnapshotRequest) -> None:
        configuration = configuration_of(request, codec)
        self._sink = self._worker.begin(
            request.last_log_index,
            request.last_log_term,
            configuration,
            request.membership_index,
            request.size,
        )

    def _submit(self, work: Callable[..., None], *args: Any) -> None:
        self._waiting += 1
        if self._waiting > _CHUNKS_WAITING_MAX:
            self._pause()

        def guarded() -> None:
            try:
                if self._problem is None:
                    work(*args)
            except Exception as error:  # noqa: BLE001  a state machine of the user decodes
                self._problem = error
                log.warning("a snapshot that a peer sent is refused: %s", error)
                self._abort()
            self._loop.call_soon_threadsafe(self._worked)

        self._worker.submit(guarded)

    def _worked(self) -> None:
        self._waiting -= 1
        if self._waiting == _CHUNKS_WAITING_MAX // 2:
            self._resume()

    def _abort(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            with contextlib.suppress(OSError):
                sink.abort()

    def chunk(self, data: bytes) -> None:
        """The next bytes."""
        self._submit(self._write, data)

    def _write(self, data: bytes) -> None:
        assert self._sink is not None
        self._sink.write(data)

    def end(self) -> None:
        """All has come: sync, rename, report."""
        self._submit(self._finish)
        self._worker.submit(
            lambda: self._loop.call_soon_threadsafe(lambda: self._done(self._problem is None))
        )

    def _finish(self) -> None:
        assert self._sink is not None
        self._sink.finish(check=self._decode)
        self._sink = None

    def broken(self) -> None:
        """The sender has gone: nothing of it stays."""
        self._submit(self._abort)


async def send_snapshot(
    worker: SnapshotWorker,
    address: str,
    prefix: bytes,
    header: dict[str, Any],
    *,
    trust: Trust | None = None,
    peer_id: str = "",
) -> tuple[int, AnyResponse]:
    """Send the newest snapshot to a peer; (its last index, the peer's answer).

    With `trust` nothing is sent before the peer has proven that it is `peer_id`. Raises OSError,
    TimeoutError or QuorateError when it could not be delivered.
    """
    meta, file = await _opened_newest(worker)
    request = InstallSnapshotRequest(
        **header,
        leader=header["sender_address"],
        last_log_index=meta.index,
        last_log_term=meta.term,
        peers=encode_peers(meta.configuration),
        configuration=encode_configuration(meta.configuration),
        configuration_index=meta.configuration_index,
        size=meta.size,
    )
    with file:
        place = split_address(address)
        if place is None:
            raise QuorateError(address_objection(address), "remove this server")
        if trust is not None:
            reader, writer = await dial_stream(address, trust, server_id=peer_id, timeout_s=10.0)
        else:
            async with asyncio.timeout(10.0):
                reader, writer = await open_stream(*place)
        try:
            writer.write(prefix + encode_request(request))
            while chunk := await worker.run(file.read, CHUNK_BYTES):
                writer.write(chunk)
                async with asyncio.timeout(30.0):
                    await writer.drain()
            return meta.index, await _read_answer(reader, request)
        finally:
            writer.close()


async def _opened_newest(worker: SnapshotWorker) -> tuple[SnapshotMeta, BinaryIO]:
    """The newest snapshot, open; closed again if its reader goes away before it is."""
    opening = worker.submit(_open_newest, worker.store)
    try:
        return await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: Future[tuple[SnapshotMeta, BinaryIO]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()


def _open_newest(store: SnapshotStore) -> tuple[SnapshotMeta, BinaryIO]:
    meta = store.newest()
    if meta is None:
        raise QuorateError("there is no snapshot to send")
    return meta, store.open(meta.id)


async def _read_answer(
    reader: asyncio.StreamReader, request: InstallSnapshotRequest
) -> AnyResponse:
    answers = ResponseReader(1 << 20)
    answers.expect(kind_of(request))
    # The peer syncs the whole snapshot before it answers.
    async with asyncio.timeout(60.0 + request.size / 5e6):
        while True:
            data = await reader.read(1 << 16)
            if not data:
                raise ConnectionError("the peer closed the connection")
            for response, error in answers.feed(data):
                if error or response is None:
                    raise QuorateError(error or "no answer")
                return response
