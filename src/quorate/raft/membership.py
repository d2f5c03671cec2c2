"""Configurations inside log entries, and when a leader may write the next one.

Invariant: at most one configuration in the log is uncommitted, and a leader changes nothing
before an entry of its own term is committed (thesis 4.1 and the 2015 correction to it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from quorate.raft.configuration import Configuration
from quorate.raft.effects import Reason
from quorate.raft.messages import Entry, EntryKind

if TYPE_CHECKING:
    from quorate.raft.configuration import Change
    from quorate.raft.state import NodeState

# The two deprecated kinds carry the whole voter set as a list of addresses.
_PEER_LISTS = frozenset({int(EntryKind.ADD_PEER), int(EntryKind.REMOVE_PEER)})
_CARRIERS = _PEER_LISTS | {int(EntryKind.CONFIGURATION)}


class Codec(Protocol):
    """How configurations look in bytes; the module `quorate.wire.membership` is the real one."""

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


def refusal(node: NodeState, change: Change, first_own_index: int) -> Reason | None:
    """Why this change may not be written now, or None if it may."""
    if node.storage_full:
        return Reason.STORAGE_FULL
    if node.transfer is not None:
        return Reason.TRANSFERRING
    if node.commit_index < first_own_index:
        return Reason.NOT_READY
    if node.configuration_index > node.commit_index:
        return Reason.CHANGE_PENDING
    if change.prev_index and change.prev_index != node.configuration_index:
        return Reason.CHANGE_STALE
    return None
