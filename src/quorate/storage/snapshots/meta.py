"""The meta of a snapshot: `meta.json` in its folder (docs/wire.md#snapshot-folders).

The keys, their order and their forms are hashicorp/raft's, with one more at the end: the
checksum of the line itself (`sealed`), which other readers skip. Without it, a flipped bit in the
membership would be believed. Therefore only what this package wrote is read back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import LogDamaged
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.storage.sealed import read_sealed, seal, unseal
from quorate.wire.raft.membership import encode_peers

META_FILE: Final = "meta.json"
STATE_FILE: Final = "state.bin"
VERSION: Final = 1

_ID: Final = re.compile(r"([0-9]+)-([0-9]+)-([0-9]+)")


class SnapshotMeta(msgspec.Struct, frozen=True, kw_only=True):
    """One complete snapshot.

    `index` and `term` are those of the last entry in it; `configuration` is the membership at
    `configuration_index`. `size` in bytes and `crc` (CRC-64/XZ, 8 bytes big endian) are those of
    the state. `id` is `<term>-<index>-<unix milliseconds>`, and the name of its folder.
    """

    version: int = VERSION
    id: str
    index: int
    term: int
    configuration: Configuration
    configuration_index: int
    size: int
    crc: bytes


def snapshot_id(term: int, index: int, now_ms: int) -> str:
    """The id, and name of the folder, of a snapshot."""
    return f"{term}-{index}-{now_ms}"


def parse_id(name: str) -> tuple[int, int, str] | None:
    """The order of snapshots (term, index, id as text); None if it is no id."""
    match = _ID.fullmatch(name)
    return (int(match[1]), int(match[2]), name) if match else None


class _Server(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    suffrage: Suffrage
    id: str = msgspec.field(name="ID")
    address: str
    quorate_key: bytes = b""  # ours; a file of another make, or of level 0, has none


class _Servers(msgspec.Struct, frozen=True, rename="pascal"):
    servers: tuple[_Server, ...]


class _MetaFile(msgspec.Struct, frozen=True, rename="pascal"):
    version: int
    id: str = msgspec.field(name="ID")
    index: int
    term: int
    peers: bytes
    configuration: _Servers
    configuration_index: int
    size: int
    crc: bytes = msgspec.field(name="CRC")


def meta_line(meta: SnapshotMeta) -> bytes:
    """The content of `meta.json`."""
    servers = meta.configuration.servers
    return seal(
        _MetaFile(
            meta.version,
            meta.id,
            meta.index,
            meta.term,
            encode_peers(meta.configuration),
            _Servers(tuple(_Server(s.suffrage, s.id, s.address, s.key) for s in servers)),
            meta.configuration_index,
            meta.size,
            meta.crc,
        )
    )


def read_meta(folder: Path) -> SnapshotMeta:
    """The meta of the snapshot in `folder`, checked against its name and the size of its state.

    Raises LogDamaged, QuorateError.
    """
    path = folder / META_FILE
    return _meta_of(read_sealed(path, _MetaFile), folder.name, str(path))


def meta_of_line(line: bytes, name: str, path: str) -> SnapshotMeta:
    """The meta of the snapshot `name`, out of the content of its `meta.json`. Raises LogDamaged."""
    return _meta_of(unseal(line, path, _MetaFile), name, path)


def _meta_of(meta: _MetaFile, name: str, path: str) -> SnapshotMeta:
    if meta.version != VERSION:
        raise LogDamaged(f"{path} has version {meta.version}, not {VERSION}", path=path)
    if meta.id != name or parse_id(meta.id) != (meta.term, meta.index, meta.id):
        raise LogDamaged(f"{path} is of another snapshot: {meta.id}", path=path)
    servers = meta.configuration.servers
    return SnapshotMeta(
        id=meta.id,
        index=meta.index,
        term=meta.term,
        configuration=Configuration(
            tuple(Server(s.id, s.address, s.suffrage, s.quorate_key) for s in servers)
        ),
        configuration_index=meta.configuration_index,
        size=meta.size,
        crc=meta.crc,
    )
