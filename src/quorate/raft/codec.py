"""Configurations inside log entries and announced snapshots, out of their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from quorate.raft.values.configuration import Configuration
from quorate.raft.values.messages import Entry, EntryKind, InstallSnapshotRequest

# The two deprecated kinds carry the whole voter set as a list of addresses.
_PEER_LISTS = frozenset({int(EntryKind.ADD_PEER), int(EntryKind.REMOVE_PEER)})
_CARRIERS = _PEER_LISTS | {int(EntryKind.CONFIGURATION)}


class Codec(Protocol):
    """How configurations look in bytes; `quorate.wire.raft.membership` is the real one."""

    def encode_configuration(self, configuration: Configuration) -> bytes:
        """The data of an entry of kind CONFIGURATION."""

    def decode_configuration(self, data: bytes) -> Configuration:
        """The reverse. Raises BadFrame."""

    def decode_peers(self, data: bytes) -> Configuration:
        """The data of the deprecated kinds: addresses that are also the ids. Raises BadFrame."""


def configurations_in(
    entries: Iterable[Entry], codec: Codec
) -> Iterator[tuple[Entry, Configuration]]:
    """The entries that carry a configuration, each with it."""
    for entry in entries:
        if entry.kind not in _CARRIERS:
            continue
        if entry.kind in _PEER_LISTS:
            yield entry, codec.decode_peers(entry.data)
        else:
            yield entry, codec.decode_configuration(entry.data)


def configuration_of(request: InstallSnapshotRequest, codec: Codec) -> Configuration:
    """The membership that an announced snapshot carries. Raises BadFrame.

    Version 0, of hashicorp/raft before 1.0, knew only the addresses of the voters.
    """
    if request.configuration:
        return codec.decode_configuration(request.configuration)
    return codec.decode_peers(request.peers or b"")
