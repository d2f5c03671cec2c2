"""The members of an archive, and `meta.json` in it (docs/snapshots.md#the-archive).

The first keys are those of hashicorp/raft, in its order; other readers skip ours behind them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quorate.errors import QuorateError

META: Final = "meta.json"
STATE: Final = "state.bin"
SUMS: Final = "SHA256SUMS"

VERSION: Final = 1

STATE_BYTES_MAX: Final = 1 << 40
META_BYTES_MAX: Final = 1 << 20
SUMS_BYTES_MAX: Final = 64 << 10

NUMBER_MAX: Final = (1 << 63) - 1
TEXT_MAX: Final = 256
"""Characters of an ID, a version, an address: names of DNS have 253."""
SERVERS_MAX: Final = 1024
_PEERS_MAX: Final = SERVERS_MAX * TEXT_MAX


class ArchiveError(QuorateError):
    """An archive that is damaged, cut short, or none at all."""

    def __init__(self, text: str, next_step: str = "use another archive, or save it again") -> None:
        super().__init__(text, next_step)


class ArchiveServer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A server of the Raft configuration. `suffrage` is 0 for a voter, 1 for a non-voter."""

    suffrage: int = 0
    id: str = msgspec.field(name="ID", default="")
    address: str = ""


class ArchiveServers(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The Raft configuration; a file of Go may have null for an empty list."""

    servers: tuple[ArchiveServer, ...] | None = ()


class ArchiveMeta(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The description of an archive, as it stands in it.

    `index` and `term` are those of the last log entry in it. Empty in archives of other makes are:
    the cluster's ID and feature level, the version that wrote it, and `state_index`, above which
    no row's index is. A redacted archive has no secrets, and cannot be restored.
    """

    version: int = VERSION
    id: str = msgspec.field(name="ID", default="")
    index: int = 0
    term: int = 0
    peers: str | None = ""
    configuration: ArchiveServers = ArchiveServers()
    configuration_index: int = 0
    size: int = 0
    quorate_cluster: str = ""
    quorate_level: int = 0
    quorate_version: str = ""
    quorate_state_index: int = 0
    quorate_redacted: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_ours(self) -> bool:
        """Whether a Quorate server says that it wrote it."""
        return bool(self.quorate_version)

    @property
    def unix_ms(self) -> int | None:
        """When it was made: the last part of its ID."""
        last = self.id.rpartition("-")[2]
        return int(last) if last.isascii() and last.isdigit() and len(last) <= 15 else None


def encode_meta(meta: ArchiveMeta) -> bytes:
    """The content of `meta.json`."""
    return msgspec.json.encode(meta) + b"\n"


def decode_meta(data: bytes) -> ArchiveMeta:
    """Raises ArchiveError."""
    try:
        meta: ArchiveMeta = msgspec.json.decode(data, type=ArchiveMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"failed to decode snapshot metadata: {error}") from error
    numbers: tuple[Any, ...] = (
        *(meta.index, meta.term, meta.configuration_index, meta.size),
        *(meta.quorate_level, meta.quorate_state_index),
    )
    if not all(0 <= number <= NUMBER_MAX for number in numbers):
        raise ArchiveError("failed to decode snapshot metadata: a number is out of range")
    servers = meta.configuration.servers or ()
    texts = [meta.id, meta.quorate_cluster, meta.quorate_version]
    texts += [text for server in servers for text in (server.id, server.address)]
    if max(map(len, texts)) > TEXT_MAX or len(meta.peers or "") > _PEERS_MAX:
        raise ArchiveError("failed to decode snapshot metadata: a text is too long")
    if len(servers) > SERVERS_MAX:
        raise ArchiveError("failed to decode snapshot metadata: there are too many servers")
    if meta.version not in {0, VERSION}:
        raise ArchiveError(f"the archive has version {meta.version}, and {VERSION} is known")
    return meta
