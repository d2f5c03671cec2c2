"""`raft.db` of a real Nomad server as a file: read in place, or from a sound copy while it runs.

A running server overwrites pages that a reader may still need, and takes an exclusive lock. No
lock is taken here: a server that starts meanwhile would wait for it without a word. Instead the
metas are read again after the file: if no transaction has ended in between, what was read is one
state. In place that is checked at the end; of a running server's file a copy is made until one is
sound.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from quorate.errors import QuorateError
from quorate.nomad.bolt.meta import BoltError, read_metas
from quorate.nomad.raft_db import RaftDb
from quorate.storage.disk_errors import clear_errors

COPIES_MAX: Final = 20
_PIECE: Final = 1 << 20
_NEXT: Final = "stop its server, or read a copy of the folder that a file system snapshot has"


class NomadLog:
    """An open raft.db; closed at the end of a `with` block.

    `in_use`: its server runs, so a copy is read. Raises BoltError, QuorateError.
    """

    def __init__(
        self, path: Path, *, in_use: bool, between: Callable[[], object] = lambda: None
    ) -> None:
        """`between` is called while a copy is made, for tests."""
        self._between = between
        with clear_errors(f"open {path}"):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.path: Final = path
        self.copied = in_use
        try:
            if in_use:
                self._copy()
            with clear_errors(f"read {path}"):
                size = os.fstat(self._descriptor).st_size
            self.db = RaftDb(self._read, size)
        except BoltError as error:
            os.close(self._descriptor)
            raise BoltError(f"{path}: {error.text}", None, error.next_step) from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def _read(self, at: int, size: int) -> bytes:
        with clear_errors(f"read {self.path}"):
            return os.pread(self._descriptor, size, at)

    def _txid(self) -> int | None:
        """The transaction of the newest sound meta; None where none is sound."""
        try:
            newest = read_metas(self._read, os.fstat(self._descriptor).st_size).newest
        except BoltError:
            return None
        return newest.txid if newest else None

    def _copy(self) -> None:
        with clear_errors(f"copy {self.path}"), tempfile.TemporaryFile() as copy:
            for _ in range(COPIES_MAX):
                before = self._txid()
                copy.seek(0)
                copy.truncate()
                at = 0
                while piece := self._read(at, _PIECE):
                    copy.write(piece)
                    at += len(piece)
                self._between()
                if before is not None and before == self._txid():
                    copy.flush()
                    original, self._descriptor = self._descriptor, os.dup(copy.fileno())
                    os.close(original)
                    return
        raise QuorateError(
            f"{self.path} changed each of {COPIES_MAX} times while it was copied", _NEXT
        )

    def check_unchanged(self) -> None:
        """After reading: raise QuorateError if a server has written meanwhile."""
        if self._txid() != self.db.txid:
            raise QuorateError(f"{self.path} changed while it was read", _NEXT)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
