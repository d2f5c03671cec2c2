"""Saves the state of this server as an archive (docs/snapshots.md).

One at a time is made: it takes the time of a thread for a while. One that is made waits on the disk
until it is sent, a few at one time (`transfers`).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from quorate.archive.meta import ArchiveMeta, ArchiveServer, ArchiveServers
from quorate.archive.writing import ArchiveWriter
from quorate.errors import Overloaded, QuorateError
from quorate.net.threads import Turns, in_thread
from quorate.replica.replica import Replica
from quorate.server.archive.spool import Spool, pieces
from quorate.server.archive.transfers import Transfers
from quorate.server.machine import ServerMachine
from quorate.state.engine.snapshot import SnapshotImage, encode_snapshot, snapshot_bytes
from quorate.state.engine.table import unstaged
from quorate.storage.snapshots.meta import snapshot_id
from quorate.version import __version__
from quorate.wire.raft.membership import encode_peers

_SETTLED_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.01


class Saved(msgspec.Struct, frozen=True):
    """An archive that waits to be sent. `body` has to be read to its end, or closed."""

    meta: ArchiveMeta
    size: int
    sha256: bytes
    body: AsyncGenerator[bytes, None]


class Saves:
    """The saves of one server. `folder` is on its disk, `unix_ms` the time of day."""

    def __init__(
        self,
        replica: Replica[Any],
        machine: ServerMachine,
        folder: Path,
        unix_ms: Callable[[], int],
    ) -> None:
        self._replica = replica
        self._machine = machine
        self._folder = folder
        self._unix_ms = unix_ms
        self._busy = False
        self._sent = Transfers("are being sent")

    async def save(self, *, to_client: bool = True) -> Saved:
        """The state as it is applied here now.

        One for a client is given up if the client lets it stand and others wait. Raises Overloaded
        while another one is made, or too many are sent; StateDamaged, StorageFull.
        """
        self._begin()
        try:
            meta, image = await self._image()
            meta, spool, digest = await self._written(meta, image)
        finally:
            self._busy = False
        body = self._for_client(spool) if to_client else self._body(spool)
        await anext(body)  # from here on its end is sure to be heard
        return Saved(meta, spool.size, digest, body)

    async def spool(self, index: int, image: SnapshotImage) -> tuple[ArchiveMeta, Spool, bytes]:
        """The state of `image`, that of log index `index`, as an archive, and its SHA-256.

        The image is of no use afterwards. The caller closes the spool. Raises as `save` does.
        """
        self._begin()
        try:
            term = self._replica.node.log.term(index) or self._replica.node.term
            return await self._written(self._meta(index, term, image), image)
        finally:
            self._busy = False

    def _begin(self) -> None:
        if self._busy:
            raise Overloaded(
                "this server is saving a snapshot already", "try again when that one is done"
            )
        self._busy = True

    async def _written(
        self, meta: ArchiveMeta, image: SnapshotImage
    ) -> tuple[ArchiveMeta, Spool, bytes]:
        spool = Spool(self._folder)
        try:
            turns = Turns(asyncio.get_running_loop())
            meta, digest = await in_thread(_write, meta, image, self._machine, spool, turns)
        except BaseException:
            spool.stopped = True  # the thread ends by it, and closes the file
            raise
        return meta, spool, digest

    async def _body(self, spool: Spool) -> AsyncGenerator[bytes, None]:
        try:
            yield b""
            async for piece in pieces(spool):
                yield piece
        finally:
            spool.close()

    async def _for_client(self, spool: Spool) -> AsyncGenerator[bytes, None]:
        now = asyncio.get_running_loop().time
        body = self._body(spool)
        transfer = None
        try:
            transfer = self._sent.begin(spool.close, now())
            async for piece in body:
                yield piece
                transfer.moved(len(piece), now())  # the client came for more
        finally:
            if transfer is not None:
                self._sent.end(transfer)
            await body.aclose()
            spool.close()

    def _meta(self, index: int, term: int, image: SnapshotImage) -> ArchiveMeta:
        node = self._replica.node
        configuration = node.committed_configuration
        servers = [
            ArchiveServer(suffrage=int(server.suffrage), id=server.id, address=server.address)
            for server in configuration.servers
        ]
        return ArchiveMeta(
            id=snapshot_id(term, index, self._unix_ms()),
            index=index,
            term=term,
            peers=b64encode(encode_peers(configuration)).decode(),
            configuration=ArchiveServers(servers=tuple(servers)),
            configuration_index=node.committed_configuration_index,
            quorate_cluster=node.cluster_id,
            quorate_level=image.level,
            quorate_version=__version__,
            quorate_state_index=image.index,
        )

    async def _image(self) -> tuple[ArchiveMeta, SnapshotImage]:
        """The state of one moment, and what is said of it; its size is not known yet."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLED_S
        while True:
            store, node = self._machine.readable(), self._replica.node
            index = node.applied_index
            term = node.log.term(index)
            if index and term and node.applying_index == index:
                image = store.image()
                # The last entries may be of the log alone (a leader's first, a configuration): the
                # state has not heard of them, and it is that of their index as well.
                image.applied_index = index
                for name in [name for name in image.tables.held if unstaged(name) != name]:
                    del image.tables.held[name]  # of a restore that has changed nothing yet
                return self._meta(index, term, image), image
            if loop.time() > until:
                raise QuorateError(
                    "the state cannot be saved: entries or a snapshot are being applied",
                    "try again",
                )
            await asyncio.sleep(_LOOK_AGAIN_S)


def _write(
    meta: ArchiveMeta, image: SnapshotImage, machine: ServerMachine, spool: Spool, turns: Turns
) -> tuple[ArchiveMeta, bytes]:
    """In a thread."""
    registry = machine.store.registry
    try:
        meta = msgspec.structs.replace(meta, size=snapshot_bytes(image, registry))
        writer = ArchiveWriter(meta, (meta.unix_ms or 0) // 1000, spool.write)
        encode_snapshot(image, turns.between(writer.state), registry)
        writer.finish()
    except BaseException:
        spool.close()
        raise
    finally:
        # What was replaced meanwhile is held by the image alone, and takes a while to be freed.
        freed = turns.between(_nothing)
        for step in image.tables.drain():
            freed(step)
    return meta, writer.digest.digest()


def _nothing(_: object) -> None:
    """A step of work that is done elsewhere."""
