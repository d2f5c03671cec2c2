"""The rows of a state, counted by type. For people, and to check that all of it can be read.

A state of Quorate is read here without knowing its tables, so a newer version's can be shown too.
Its form is that of `quorate.state.engine.snapshot`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from quorate.archive.meta import ArchiveError, ArchiveMeta

Read = Callable[[int], bytes]

MAGIC: Final = b"QRMSTATE"

_LENGTH: Final = 4
HEADER_BYTES_MAX: Final = 16 << 20
RECORD_BYTES_MAX: Final = 64 << 20
_DIGEST_BYTES: Final = 32
_NEXT: Final = "take another snapshot, from this server or a peer"

_unpack = msgspec.msgpack.Decoder().decode


class TypeCount(msgspec.Struct, kw_only=True, rename="pascal"):
    """Records of one type, and their bytes as they are stored."""

    name: str
    count: int = 0
    size: int = 0


class Row(msgspec.Struct, frozen=True):
    """One record: its table, its key, its fields by name, and its bytes as stored."""

    table: str
    key: str
    fields: dict[str, Any]
    size: int


class StateFacts(msgspec.Struct, kw_only=True):
    """What a state of Quorate says of itself. Some of it stands in the archive's meta as well."""

    index: int = 0
    shift: int = 0
    cluster: str = ""
    level: int = 0
    root_keys: int = 0
    """How many root keys stand in it so that they can be used."""
    wrapped_by: tuple[str, ...] = ()
    """The IDs of the keys outside of the cluster that wrap others."""

    def take(self, row: Row) -> None:
        """Learn what this row says."""
        match row.table, row.fields:
            case "cluster_metadata", {"cluster_id": str(cluster)}:
                self.cluster = cluster
            case "cluster_level", {"level": int(level)}:
                self.level = level
            case "index_shift", {"shift": int(shift)}:
                self.shift = shift
            case "root_keys", {"wrapped_by": str(wrapping)} if wrapping:
                self.wrapped_by = tuple(sorted({*self.wrapped_by, wrapping[:64]}))
            case "root_keys", {"key": bytes(key)} if key:
                self.root_keys += 1

    def compare(self, meta: ArchiveMeta) -> None:
        """Raise ArchiveError where the meta says otherwise: it is not believed unchecked."""
        said = {
            "ID": (meta.id.rpartition("-")[0], f"{meta.term}-{meta.index}"),
            "index": (meta.index, self.index),
            "cluster": (meta.quorate_cluster, self.cluster),
            "level": (meta.quorate_level, self.level),
            "index of the state": (meta.quorate_state_index, self.index + self.shift),
        }
        for what, (of_meta, of_state) in said.items():
            if of_meta != of_state:
                raise ArchiveError(
                    f"the metadata of the archive says {what} {of_meta or 'none'}, and what it "
                    f"describes has {of_state or 'none'}"
                )


class TableHead(msgspec.Struct, frozen=True):
    """A table of a state: its name, its index, and how many rows follow."""

    name: str
    index: int
    count: int


class StateHead(msgspec.Struct, frozen=True):
    """What stands before the rows."""

    written_by: str
    applied_index: int
    tables: list[TableHead]


class Exactly:
    """Reads exactly so many bytes, or raises ArchiveError. Counts and hashes them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.sha256 = hashlib.sha256()

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes, hashed."""
        data = self.raw(size, what)
        self.sha256.update(data)
        return data

    def raw(self, size: int, what: str) -> bytes:
        """The next `size` bytes."""
        data = self._read(size)
        while len(data) < size:
            more = self._read(size - len(data))
            if not more:
                raise ArchiveError(f"the state is cut short in its {what}", _NEXT)
            data += more
        return data

    def framed(self, limit: int, what: str) -> bytes:
        """The next piece behind its length."""
        size = int.from_bytes(self.take(_LENGTH, what), "big")
        if size > limit:
            raise ArchiveError(f"the state has a {what} of {size} bytes, over {limit}", _NEXT)
        return self.take(size, what)

    def check_end(self) -> None:
        """What was taken ends with its digest, and nothing follows. Raises ArchiveError."""
        expected = self.sha256.digest()
        if self.raw(_DIGEST_BYTES, "digest") != expected:
            raise ArchiveError("the SHA-256 of the state is not that of its content", _NEXT)
        if self._read(1):
            raise ArchiveError("bytes follow the end of the state", _NEXT)


def rows(read: Read, begun: bytes = b"", facts: StateFacts | None = None) -> Iterator[Row]:
    """All rows of a state of Quorate, whose first bytes `begun` were read; checked to its end.

    What it says of itself goes into `facts`. Raises ArchiveError.
    """
    facts = facts or StateFacts()
    source = Exactly(read)
    magic = begun + source.raw(len(MAGIC) - len(begun), "magic")
    source.sha256.update(magic)
    if magic != MAGIC:
        raise ArchiveError("the state is not that of a Quorate server", _NEXT)
    source.take(4, "format version")
    head = head_of(source.framed(HEADER_BYTES_MAX, "header"))
    facts.index = head.applied_index
    for table in head.tables:
        for _ in range(table.count):
            data = source.framed(RECORD_BYTES_MAX, "record")
            key, fields = decoded(data, tuple[str, dict[str, Any]])
            row = Row(table.name, key, fields, len(data))
            facts.take(row)
            yield row
    source.check_end()


def head_of(data: bytes) -> StateHead:
    """The header of a state. Raises ArchiveError."""
    head: StateHead = decoded(data, StateHead)
    return head


def begin(state: Read) -> bytes:
    """The first bytes of a state, by which its form is told."""
    begun = b""
    while len(begun) < len(MAGIC) and (more := state(len(MAGIC) - len(begun))):
        begun += more
    return begun


def decoded(data: bytes, kind: Any) -> Any:
    """A value of that type. Raises ArchiveError."""
    try:
        return msgspec.convert(_unpack(data), kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ArchiveError(f"the state cannot be read: {error}", _NEXT) from error


def counted(found: Iterator[tuple[str, int]]) -> tuple[TypeCount, ...]:
    """The types among (type, size), the largest first."""
    types: dict[str, TypeCount] = {}
    for name, size in found:
        kind = types.setdefault(name, TypeCount(name=name))
        kind.count += 1
        kind.size += size
    return tuple(sorted(types.values(), key=lambda kind: (-kind.size, kind.name)))
