"""A small file that is changed in place, so that it can be written although the disk is full.

The file holds its content twice, in two halves of fixed size. A write replaces the first half and
flushes it, then the second one. A crash tears at most one of them, so the other one is whole: the
old content before the write returned, the new one after it. The room was taken when the file was
made. Invariant: what `write` has returned for is in both halves, so damage to one loses nothing.

`write_atomic` is for files that may fail to be written on a full disk; it needs a new file.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from quorate.errors import LogDamaged, QuorateError
from quorate.given_files import beginning
from quorate.storage.atomic import write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import seal, unseal
from quorate.storage.system import System

if TYPE_CHECKING:
    from collections.abc import Iterator

HALF_BYTES: Final = 32 << 10
"""Room for one copy; the file has twice this size."""

T = TypeVar("T", bound=msgspec.Struct)


class _Half(msgspec.Struct, Generic[T], frozen=True):
    """One copy. Of two that are whole the one with the higher generation counts."""

    generation: int
    content: T


class TwinFile(Generic[T]):
    """The file at `path`, which holds a value of type `kind`. See the module.

    One thread at a time. The file is made by the first `write`.
    """

    def __init__(self, path: Path, kind: type[T], system: System = os) -> None:
        self.path: Final = path
        self._kind = kind
        self._system = system
        self._generation = 0

    def read(self) -> T | None:
        """The value, None if there is no file.

        Raises LogDamaged when neither half is what was written, QuorateError.
        """
        with clear_errors(f"read {self.path}"):
            try:
                content = beginning(self.path, 2 * HALF_BYTES)
            except FileNotFoundError:
                return None
        if len(content) != 2 * HALF_BYTES:
            text = f"{self.path} is damaged: it has {len(content)} bytes of {2 * HALF_BYTES}"
            raise LogDamaged(text, path=str(self.path))
        halves = [self._half(content[:HALF_BYTES]), self._half(content[HALF_BYTES:])]
        found = [half for half in halves if half is not None]
        if not found:
            raise LogDamaged(
                f"{self.path} is damaged: neither of its two checksums matches",
                path=str(self.path),
            )
        newest = max(found, key=lambda half: half.generation)
        self._generation = newest.generation
        return newest.content

    def _half(self, content: bytes) -> _Half[T] | None:
        try:
            return unseal(content.rstrip(b" "), str(self.path), _Half[self._kind])  # type: ignore[name-defined]
        except LogDamaged:
            return None

    def write(self, value: T) -> None:
        """Make this the content, durably. Needs no new room unless the file has to be made.

        Raises StorageFull, QuorateError; then the file has the old value or the new one.
        """
        self._generation += 1
        line = seal(_Half(self._generation, value))
        if len(line) > HALF_BYTES:
            raise QuorateError(f"cannot write {self.path}: {len(line)} bytes exceed {HALF_BYTES}")
        half = line.ljust(HALF_BYTES, b" ")
        if not self.path.exists():
            write_atomic(self.path, half * 2)
            return
        with clear_errors(f"write {self.path}"), self._opened() as descriptor:
            for at in (0, HALF_BYTES):
                written = self._system.pwrite(descriptor, half, at)
                if written != len(half):
                    raise QuorateError(f"cannot write {self.path}: it took {written} bytes only")
                self._system.fdatasync(descriptor)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = self._system.open(self.path, os.O_RDWR)
        try:
            yield descriptor
        finally:
            self._system.close(descriptor)
