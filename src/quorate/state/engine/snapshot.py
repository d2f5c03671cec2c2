"""A snapshot of the state as bytes.

    magic "QRMSTATE" | format version, 4 bytes | length of header, 4 bytes | header (msgpack map)
    per table of the header, `count` times: length, 4 bytes | [key, record] (msgpack)
    SHA-256 of everything before, 32 bytes

Lengths are big endian. Nothing follows the digest.

A snapshot is refused whole or taken whole: a state that silently lacks what this version cannot
read would differ from the state of its peers. A table this version does not know is tolerated
only while it was never written. Every refusal names the version that wrote the snapshot. The
format is that of the cluster's level in that state (`quorate.levels`): a server of any version that
the level allows can read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from quorate.errors import QuorateError, StateDamaged
from quorate.levels import describe, form_in_force
from quorate.state.engine import level
from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.registry import Registry
from quorate.state.engine.restore import shift
from quorate.state.engine.rows import SUM_MASK, encode_row, hash_row
from quorate.state.engine.table import SINGLETON, Record, Tables, unstaged
from quorate.version import __version__

MAGIC: Final = b"QRMSTATE"

_CHUNK_BYTES: Final = 32 * 1024
_BLOCK_BYTES: Final = 32 * 1024
"""Rows are read and written in a thread, and between blocks the loop can have its turn: `read` and
`write` see to that (`quorate.net.threads.Turns`). A block takes 0.7 ms."""

_HEADER_BYTES_MAX: Final = 16 * 1024 * 1024
_RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
_DIGEST_BYTES: Final = 32

_encode = msgspec.msgpack.Encoder().encode


class SnapshotError(QuorateError):
    """A snapshot that is damaged, cut short, or of a version that this one cannot read."""


class UnknownTally(msgspec.Struct, frozen=True, gc=False):
    """How often commands of one unreadable type were met, and where in the log."""

    type: int
    reason: str
    count: int
    first_index: int
    last_index: int


class SnapshotImage(msgspec.Struct):
    """The whole state at one index. Nothing that happens elsewhere changes it."""

    applied_index: int
    tables: Tables
    unknown: tuple[UnknownTally, ...] = ()

    @property
    def rows(self) -> dict[str, OrderedMap[Any]]:
        """The records by table and key."""
        return {name: rows.records for name, rows in self.tables.held.items()}

    @property
    def index(self) -> int:
        """The index of the state, above which none of its rows is."""
        known = shift.TABLE.name in self.tables.held
        return self.applied_index + (shift.current(self.tables) if known else 0)

    @property
    def level(self) -> int:
        """The cluster's feature level in this state."""
        return level.current(self.tables) if level.TABLE.name in self.tables.held else 0


class _TableHeader(msgspec.Struct, frozen=True):
    name: str
    index: int
    count: int


class _Header(msgspec.Struct, frozen=True):
    written_by: str
    applied_index: int
    tables: list[_TableHeader]
    unknown: tuple[UnknownTally, ...] = ()


_HEADER_DECODER: Final = msgspec.msgpack.Decoder(_Header)


def encode_snapshot(
    image: SnapshotImage, write: Callable[[bytes], object], registry: Registry
) -> None:
    """Write the image in chunks of about 32 KiB. Touches nothing but the image: any thread.

    Raises StateDamaged, and what was written is no snapshot, if the rows are not those that the
    commands made: between a change in memory and the check that finds it none is taken.
    """
    image.tables.settle()  # an image that was read back and then changed; no work for others
    digest = hashlib.sha256()
    chunk = bytearray(_head(image, registry))
    for name in sorted(image.tables.held):
        rows = image.tables.held[name]
        total = 0
        for row in rows.records.items():
            data = encode_row(row)
            total += hash_row(data)
            chunk += len(data).to_bytes(4, "big")
            chunk += data
            if len(chunk) >= _CHUNK_BYTES:
                digest.update(chunk)
                write(bytes(chunk))
                chunk.clear()
        if (total - rows.sum) & SUM_MASK:
            raise StateDamaged(
                f"cannot take a snapshot: a row of table {name!r} has changed in this server's "
                "memory",
                "restart this server: it builds its state again from snapshot and log",
            )
    digest.update(chunk)
    write(bytes(chunk) + digest.digest())


def snapshot_bytes(image: SnapshotImage, registry: Registry) -> int:
    """How many bytes `encode_snapshot` writes."""
    image.tables.settle()
    tables = image.tables.held.values()
    framed = sum(rows.size + 4 * len(rows.records) for rows in tables)
    return len(_head(image, registry)) + framed + _DIGEST_BYTES


def _head(image: SnapshotImage, registry: Registry) -> bytes:
    held = image.tables.held
    tables = [_TableHeader(n, held[n].index, len(held[n].records)) for n in sorted(held)]
    header = _encode(_Header(__version__, image.applied_index, tables, image.unknown))
    version = form_in_force(registry.snapshot_formats, image.level).to_bytes(4, "big")
    return MAGIC + version + _framed(header)


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def decode_snapshot(read: Callable[[int], bytes], registry: Registry) -> SnapshotImage:
    """Read a snapshot to its end. `read(n)` gives at most n bytes, and b"" only at the end.

    Raises SnapshotError and leaves nothing behind.
    """
    return _decoded_image(read, registry, keep=True)


def check_snapshot(read: Callable[[int], bytes], registry: Registry) -> None:
    """Read a snapshot as `decode_snapshot` does, and keep no rows: in half of the time.

    Its rows have to be in the order of their keys, as `encode_snapshot` writes them. Raises
    SnapshotError.
    """
    _decoded_image(read, registry, keep=False)


def _decoded_image(
    read: Callable[[int], bytes], registry: Registry, *, keep: bool
) -> SnapshotImage:
    source = _Source(read)
    if source.take(len(MAGIC), "magic") != MAGIC:
        raise _refused("it is no snapshot of a Quorate server's state")
    version = int.from_bytes(source.take(4, "format version"), "big")
    known = set(registry.snapshot_formats.values())
    if version not in known:
        reads = " and ".join(map(str, sorted(known)))
        raise _too_new(f"its format is version {version}, this server reads {reads}")
    header = _decode_header(source.take_framed(_HEADER_BYTES_MAX, "header"))
    image = SnapshotImage(
        applied_index=header.applied_index,
        tables=registry.fresh_tables(),
        unknown=header.unknown,
    )
    for table in header.tables:
        _decode_table(source, table, image, header.written_by, registry, keep=keep)
    source.check_end()
    if image.level > registry.level:
        record = image.tables.get(level.TABLE, SINGLETON)
        assert record is not None
        raise _too_new(
            f"its cluster is of feature {describe(record.level, record.version)}, and this version "
            f"knows level {registry.level}"
        )
    return image


def _decode_header(data: bytes) -> _Header:
    try:
        return _HEADER_DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(f"its header is damaged: {error}") from error


def _decode_table(
    source: _Source,
    header: _TableHeader,
    image: SnapshotImage,
    written_by: str,
    registry: Registry,
    *,
    keep: bool,
) -> None:
    table = registry.by_name.get(unstaged(header.name))
    if table is None:
        if header.count or header.index:
            raise _too_new(f"Quorate {written_by} wrote it with a table {header.name!r}")
        return
    entries = _decoded(source, header, table.record, written_by)
    try:
        if not keep and header.name != level.TABLE.name:  # the level is looked at in the end
            entries = _passed(entries)
        rows = table.built(header.index, entries)
    except ValueError as error:
        order = "" if keep else ", or its keys are in no order"
        raise _refused(f"table {header.name!r} holds a key twice{order}") from error
    image.tables.held[header.name] = rows


def _passed(entries: Iterator[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    """None of them, after all were read. ValueError unless each key is above the one before."""
    last = None
    for key, _ in entries:
        if last is not None and key <= last:
            raise ValueError(key)
        last = key
    return iter(())


def _decoded(
    source: _Source, header: _TableHeader, record: Any, written_by: str
) -> Iterator[tuple[str, Record]]:
    decode = _pair_decoder(record).decode
    for data in source.frames(header.count, _RECORD_BYTES_MAX, f"record of {header.name}"):
        try:
            entry = decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _too_new(
                f"Quorate {written_by} wrote a record of {header.name!r} that cannot be read: "
                f"{error}"
            ) from error
        yield entry


def _pair_decoder(record: Any) -> msgspec.msgpack.Decoder[tuple[str, Record]]:
    return msgspec.msgpack.Decoder(tuple[str, record])


class _Source:
    """Exact reads from `read`, and the digest of all that was taken.

    It reads in blocks, because a million records would take two million small reads.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._digest = hashlib.sha256()
        self._held = b""  # taken up to `_at`, and in the digest once it is given up
        self._at = 0

    def take(self, size: int, what: str) -> bytes:
        if self._at + size > len(self._held):
            self._fill(size, what)
        data = self._held[self._at : self._at + size]
        self._at += size
        return data

    def take_framed(self, size_max: int, what: str) -> bytes:
        return next(self.frames(1, size_max, what))

    def frames(self, count: int, size_max: int, what: str) -> Iterator[bytes]:
        """So many framed pieces."""
        for _ in range(count):
            begin = self._at + 4
            if begin > len(self._held):
                self._fill(4, what)
                begin = 4
            size = int.from_bytes(self._held[begin - 4 : begin], "big")
            if size > size_max:
                raise _refused(f"{what}: {size} bytes are over the limit of {size_max}")
            if begin + size > len(self._held):
                self._fill(4 + size, what)
                begin = 4
            self._at = begin + size
            yield self._held[begin : begin + size]

    def check_end(self) -> None:
        self._digest.update(self._held[: self._at])
        expected = self._digest.digest()
        if self.take(_DIGEST_BYTES, "digest") != expected:
            raise _refused("its SHA-256 is not that of its content")
        if self._at < len(self._held) or self._read(1):
            raise _refused("bytes follow its end")

    def _fill(self, size: int, what: str) -> None:
        """Hold `size` bytes behind what was taken, or more."""
        self._digest.update(self._held[: self._at])
        parts = [self._held[self._at :]]
        have = len(parts[0])
        while have < size:
            more = self._read(max(size - have, _BLOCK_BYTES))
            if not more:
                raise _refused(f"it is cut short in its {what}")
            parts.append(more)
            have += len(more)
        self._held, self._at = b"".join(parts), 0


def _refused(why: str) -> SnapshotError:
    return SnapshotError(
        f"cannot read the snapshot: {why}", "take another snapshot, from this server or a peer"
    )


def _too_new(why: str) -> SnapshotError:
    return SnapshotError(
        f"cannot read the snapshot: {why}", "upgrade this server to the version that wrote it"
    )
