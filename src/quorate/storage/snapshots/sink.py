"""Writing one snapshot.

Invariant: a folder without the suffix `.tmp` is a complete snapshot, durable with its name. So:
write the state beside it, sync it, write and sync the meta, sync the folder, rename, sync the
parent (docs/wire.md#snapshot-folders). A failure on the way leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

import msgspec
from fastcrc.crc64 import xz

from quorate.errors import QuorateError
from quorate.storage.atomic import fsync_dir, write_synced
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import crc_bytes
from quorate.storage.snapshots.meta import META_FILE, STATE_FILE, SnapshotMeta, meta_line

Read: TypeAlias = Callable[[int], bytes]
"""Up to so many of the next bytes; fewer at the end."""

_BUFFER_BYTES: Final = 1 << 20


class SnapshotSink:
    """Takes the state of one snapshot in pieces. Made by `SnapshotStore.create`.

    As a context manager it aborts at the end of the block unless `finish` was called.
    """

    def __init__(
        self,
        folder: Path,
        meta: SnapshotMeta,
        prune: Callable[[Collection[str]], None],
        announced: int | None = None,
    ) -> None:
        """`folder` is the unfinished one; `meta` lacks size and crc; `prune` is called at last.

        With `announced`, the state has exactly so many bytes.
        """
        self._announced = announced
        self._unfinished = folder
        self._meta = meta
        self._prune = prune
        self._size = 0
        self._crc = xz(b"")
        self._file = (folder / STATE_FILE).open("xb", buffering=_BUFFER_BYTES)

    @property
    def id(self) -> str:
        """The id that the snapshot will have."""
        return self._meta.id

    def write(self, data: bytes) -> None:
        """Append to the state. Raises StorageFull or QuorateError, and has then aborted."""
        if self._announced is not None and self._size + len(data) > self._announced:
            self.abort()
            raise QuorateError(
                f"snapshot {self.id} was announced with {self._announced} bytes, and more came"
            )
        with clear_errors(f"write snapshot {self.id}"):
            try:
                self._file.write(data)
            except OSError:
                self.abort()
                raise
        self._size += len(data)
        self._crc = xz(data, self._crc)

    def finish(
        self, keep: Collection[str] = (), check: Callable[[Read], object] | None = None
    ) -> SnapshotMeta:
        """Make the snapshot durable and visible, then remove the ones it makes superfluous.

        Those in `keep` (ids) stay whatever their age. `check` reads the whole state, through the
        function that it is given, before anything of this counts; what it raises ends the
        snapshot, and nothing else has changed. Raises StorageFull or QuorateError; the snapshot was
        then aborted.
        """
        assert not self._file.closed, f"snapshot {self.id} was ended before"
        if self._announced not in (None, self._size):
            self.abort()
            raise QuorateError(
                f"snapshot {self.id} was announced with {self._announced} bytes, "
                f"and {self._size} came"
            )
        if check is not None:
            self._look_at_it(check)
        meta = msgspec.structs.replace(self._meta, size=self._size, crc=crc_bytes(self._crc))
        with clear_errors(f"write snapshot {self.id}"):
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                write_synced(self._unfinished / META_FILE, meta_line(meta))
                fsync_dir(self._unfinished)
                finished = self._unfinished.rename(self._unfinished.with_name(self.id))
                try:
                    fsync_dir(self._unfinished.parent)
                except OSError:
                    finished.rename(self._unfinished)
                    raise
            except OSError:
                self.abort()
                raise
        self._prune({*keep, self.id})
        return meta

    def _look_at_it(self, check: Callable[[Read], object]) -> None:
        with clear_errors(f"read snapshot {self.id}"):
            try:
                self._file.flush()
                with (self._unfinished / STATE_FILE).open("rb") as file:
                    check(file.read)
            except BaseException:
                self.abort()
                raise

    def abort(self) -> None:
        """Remove what was written. Does nothing after `finish`, or the second time."""
        with suppress(OSError):  # closing flushes first, and may fail by that; it closes anyway
            self._file.close()
        shutil.rmtree(self._unfinished, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()
