"""Configurations inside log entries, and how a leader writes the next one.

Invariant: at most one configuration in the log is uncommitted, and a leader changes nothing
before an entry of its own term is committed (thesis 4.1 and the 2015 correction to it). A removed
server is fed for a while longer, so that it learns that it was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from quorate.raft.configuration import (
    Change,
    Configuration,
    ConfigurationError,
    next_configuration,
)
from quorate.raft.effects import Reason
from quorate.raft.messages import Entry, EntryKind

if TYPE_CHECKING:
    from quorate.raft.leader import Leader

# The two deprecated kinds carry the whole voter set as a list of addresses.
_PEER_LISTS = frozenset({int(EntryKind.ADD_PEER), int(EntryKind.REMOVE_PEER)})
_FAREWELL_TIMEOUTS = 4
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


def refusal(leader: Leader, change: Change) -> Reason | None:
    """Why this change may not be written now, or None if it may."""
    node = leader.node
    if node.storage_full:
        return Reason.STORAGE_FULL
    if node.transfer is not None:
        return Reason.TRANSFERRING
    if node.commit_index < leader.first_own_index:
        return Reason.NOT_READY
    if node.configuration_index > node.commit_index:
        return Reason.CHANGE_PENDING
    if change.prev_index and change.prev_index != node.configuration_index:
        return Reason.CHANGE_STALE
    return None


def request(leader: Leader, handle: Any, change: Change) -> None:
    """Write the next configuration into the log, or say why not."""
    node = leader.node
    reason = refusal(leader, change)
    if reason is not None:
        node.reject((handle,), reason)
        return
    try:
        configuration = next_configuration(node.configuration, change)
    except ConfigurationError as error:
        node.reject((handle,), Reason.CHANGE_INVALID, str(error))
        return
    _adjust_peers(leader, configuration)
    data = node.codec.encode_configuration(configuration)
    leader.append(EntryKind.CONFIGURATION, (data,), (handle,))


def _adjust_peers(leader: Leader, configuration: Configuration) -> None:
    node = leader.node
    for server in configuration.servers:
        known = leader.peers.get(server.id)
        if known is not None:
            known.server = server
            known.leaving_until = None
        elif server.id != node.server_id:
            leader.add_peer(server)
    until = node.now + _FAREWELL_TIMEOUTS * node.settings.election_timeout_s
    for server_id, peer in leader.peers.items():
        if configuration.get(server_id) is None and peer.leaving_until is None:
            peer.leaving_until = until


def drop_departed(leader: Leader) -> None:
    """Stop feeding removed servers that know of it, or cannot be told."""
    node = leader.node
    for server_id, peer in list(leader.peers.items()):
        if peer.leaving_until is None:
            continue
        told = peer.commit_sent >= node.configuration_index and not peer.appends
        if told or node.now >= peer.leaving_until:
            del leader.peers[server_id]
