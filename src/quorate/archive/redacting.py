"""Makes an archive without secrets, and with all else: they are emptied where they stand.

Such an archive has the form of any other: it can be inspected, and its records shown. It cannot be
restored, and says so itself (`ArchiveMeta.quorate_redacted`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import msgspec
from msgspec.structs import replace

from quorate.archive.contents import (
    HEADER_BYTES_MAX,
    MAGIC,
    RECORD_BYTES_MAX,
    Exactly,
    begin,
    decoded,
    head_of,
)
from quorate.archive.meta import ArchiveError, ArchiveMeta
from quorate.archive.reading import Read, read_archive
from quorate.archive.writing import ArchiveWriter

SECRETS: Final = {
    "acl_tokens": ("data", "digest", "nonce"),
    "root_keys": ("key",),
    "variables": ("data", "nonce"),
}
"""By table: the fields that are emptied. A secret that is easily guessed shows in its digest."""

_VERSION_BYTES: Final = 4

_encode = msgspec.msgpack.Encoder().encode


def redact(archive: BinaryIO, write: Callable[[bytes], object]) -> ArchiveMeta:
    """Read an archive twice from its beginning, and write it without secrets; its new meta.

    In constant memory. Raises ArchiveError for what is no whole archive of a Quorate server.
    """
    size = 0

    def measure(read: Read) -> None:
        nonlocal size
        size = sum(len(piece) for piece in redacted_state(read))

    archive.seek(0)
    before = read_archive(archive.read, measure).meta
    meta = replace(before, size=size, quorate_redacted=True)
    writer = ArchiveWriter(meta, (meta.unix_ms or 0) // 1000, write)

    def copy(read: Read) -> None:
        for piece in redacted_state(read):
            writer.state(piece)

    archive.seek(0)
    read_archive(archive.read, copy)
    writer.finish()
    return meta


def redacted_state(read: Read) -> Iterator[bytes]:
    """A state of Quorate in pieces, without the secrets in it. Raises ArchiveError."""
    if begin(read) != MAGIC:
        raise ArchiveError(
            "its state is not that of a Quorate server, and no other is redacted",
            "protect the file as you protect the cluster's data",
        )
    source = Exactly(read)
    source.sha256.update(MAGIC)
    written = hashlib.sha256()
    version = source.take(_VERSION_BYTES, "format version")
    head = source.framed(HEADER_BYTES_MAX, "header")
    first = MAGIC + version + _framed(head)
    written.update(first)
    yield first
    for table in head_of(head).tables:
        # A restore under way has copies, "restoring:<table>".
        secrets = SECRETS.get(table.name.rpartition(":")[2], ())
        for _ in range(table.count):
            data = source.framed(RECORD_BYTES_MAX, "record")
            if secrets:
                key, fields = decoded(data, tuple[str, dict[str, Any]])
                data = _encode((key, {k: b"" if k in secrets else v for k, v in fields.items()}))
            piece = _framed(data)
            written.update(piece)
            yield piece
    source.check_end()
    yield written.digest()


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
