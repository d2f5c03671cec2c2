"""The place where backups are kept, as the rest sees it. Its calls wait: any thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from quorate.errors import QuorateError

SUFFIX: Final = ".snap"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.snap")

Read = Callable[[int], bytes]
"""At most so many of the next bytes, and none only at the end."""


class TargetError(QuorateError):
    """The target could not do what was asked."""


class Absent(TargetError):
    """There is no such file at the target."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the target is, and what it takes to speak to it. Nothing of it is secret.

    `endpoint` and `region` are for buckets; empty: those of the environment, or of AWS.
    `credentials_file` is a path, or empty.
    """

    url: str
    endpoint: str = ""
    region: str = ""
    credentials_file: str = ""


class Target(Protocol):
    """A folder, or a bucket."""

    def put(self, name: str, read: Read, size: int, may: Callable[[], bool]) -> None:
        """Put a file of `size` bytes there: it has its name when it is whole, or not at all.

        It gets its name only if `may` says so at the end. Raises TargetError.
        """

    def try_out(self) -> None:
        """Put a few bytes there, and take them away: before much work that is lost if that fails.

        Raises TargetError.
        """

    def get(self, name: str) -> Iterator[bytes]:
        """The bytes of a file. Raises Absent, TargetError."""

    def names(self) -> list[str]:
        """The names of the files that can be backups, sorted. Raises TargetError."""

    def delete(self, name: str) -> None:
        """Delete a file; none is no error. Raises TargetError."""


def file_name(cluster_id: str, slot_text: str, index: int) -> str:
    """The name of a backup: in the order of names is the order of time, within a cluster."""
    cluster = re.sub(r"[^A-Za-z0-9]", "", cluster_id)[:8] or "none"
    return f"quorate-{cluster}-{slot_text}-{index}{SUFFIX}"


def is_name(text: str) -> bool:
    """Whether a file of that name can be a backup. No other name is ever asked for."""
    return _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """The same name. Raises TargetError for one that no backup has."""
    if not is_name(text):
        raise TargetError(
            f"{text[:80]!r} is no name of a backup", "see their names: quorate operator backup list"
        )
    return text


def reader(pieces: Iterator[bytes]) -> Read:
    """Read pieces as a file is read."""
    held = memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal held
        while not held:
            piece = next(pieces, None)
            if piece is None:
                return b""
            held = memoryview(piece)
        taken, held = held[:size], held[size:]
        return bytes(taken)

    return read
