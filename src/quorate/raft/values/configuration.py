"""The membership of a cluster, and the legal changes of it.

Invariant: every configuration has at least one voter, no empty and no duplicate id or address;
a change turns one valid configuration into another in which one server more, or less, votes, so
that any two neighbouring configurations share a majority (thesis 4.1). Addresses do not count.

Pure. Same rules as hashicorp/raft, except that removing an unknown server is refused here
instead of writing an entry that changes nothing (docs/divergence.md).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from quorate.raft.values.validity import KEY_BYTES, address_objection, id_objection

SERVERS_MAX = 256
"""Servers of a configuration that a change may lead to: each is an entry of every snapshot."""


class ConfigurationError(Exception):
    """A configuration that must not exist, or a change that leads to one. The text says why."""


class Suffrage(IntEnum):
    """Whether a server counts (numbers of the wire)."""

    VOTER = 0
    NONVOTER = 1
    STAGING = 2  # exists as a number only; treated as a non-voter


class Server(msgspec.Struct, frozen=True, gc=False):
    """One member. Its identity is `id`; `address` is where it is reached now ("host:port").

    `key` is the public Ed25519 key (32 bytes) that proves the ID; empty where none is known, as
    for servers of other makes and in clusters of feature level 0.
    """

    id: str
    address: str
    suffrage: Suffrage = Suffrage.VOTER
    key: bytes = b""

    @property
    def is_voter(self) -> bool:
        """True if its vote and its acknowledgements count."""
        return self.suffrage == Suffrage.VOTER


class Configuration(msgspec.Struct, frozen=True):
    """All members, in the order of the log."""

    servers: tuple[Server, ...] = ()

    def get(self, server_id: str) -> Server | None:
        """The member with this id, or None."""
        for server in self.servers:
            if server.id == server_id:
                return server
        return None

    def by_address(self, address: str) -> Server | None:
        """The member with this address, or None."""
        for server in self.servers:
            if server.address == address:
                return server
        return None

    def voters(self) -> tuple[Server, ...]:
        """The members that count."""
        return tuple([server for server in self.servers if server.suffrage == Suffrage.VOTER])

    def is_voter(self, server_id: str) -> bool:
        """True if that server is a member and counts."""
        server = self.get(server_id)
        return server is not None and server.is_voter

    def quorum(self) -> int:
        """How many voters make a majority."""
        return len(self.voters()) // 2 + 1

    def check(self) -> None:
        """Raise ConfigurationError unless the invariant of this module holds."""
        ids: set[str] = set()
        addresses: set[str] = set()
        for server in self.servers:
            if not server.id:
                raise ConfigurationError(f"empty id in configuration: {server.address!r}")
            if not server.address:
                raise ConfigurationError(f"empty address in configuration: {server.id!r}")
            if server.id in ids:
                raise ConfigurationError(f"found duplicate id in configuration: {server.id}")
            if server.address in addresses:
                raise ConfigurationError(
                    f"found duplicate address in configuration: {server.address}"
                )
            ids.add(server.id)
            addresses.add(server.address)
        if not self.voters():
            raise ConfigurationError("need at least one voter in configuration")


def check_new(server: Server) -> None:
    """Raise ConfigurationError unless a server may enter a configuration like this.

    Not part of `Configuration.check`: what stands in an old log must be readable for ever, and a
    server that cannot be reached does no more harm than one that is down.
    """
    if why := id_objection(server.id) or address_objection(server.address):
        raise ConfigurationError(why)
    if len(server.key) not in {0, KEY_BYTES}:
        raise ConfigurationError(f"the key of {server.id} has not {KEY_BYTES} bytes")


class ChangeKind(IntEnum):
    """The one-server changes (numbers of hashicorp/raft's commands)."""

    ADD_VOTER = 0
    ADD_NONVOTER = 1
    DEMOTE_VOTER = 2
    REMOVE_SERVER = 3
    PROMOTE = 4


class Change(msgspec.Struct, frozen=True):
    """One change of membership.

    `prev_index`, when not 0, must equal the index of the newest configuration: a guard for
    callers who decided by what they had read. `moves` are members (by id) that have another
    address from the same entry on: two that have changed places could not be written one after
    the other, and neither could ever be taken out for the other's sake. `key` is the public key of
    a server that is added; adding a member again with its key records a key that was not known.
    """

    kind: ChangeKind
    server_id: str
    address: str = ""
    prev_index: int = 0
    moves: tuple[tuple[str, str], ...] = ()  # (id, address)
    key: bytes = b""


def _replace(configuration: Configuration, new: Server) -> Configuration:
    known = configuration.get(new.id) is not None
    if not known:
        return Configuration((*configuration.servers, new))
    return Configuration(tuple(new if s.id == new.id else s for s in configuration.servers))


def _moved(configuration: Configuration, moves: tuple[tuple[str, str], ...]) -> Configuration:
    for server_id, address in moves:
        known = configuration.get(server_id)
        if known is None:
            raise ConfigurationError(f"server {server_id!r} is not in configuration")
        moved = Server(known.id, address, known.suffrage, known.key)
        check_new(moved)
        configuration = _replace(configuration, moved)
    return configuration


def _key_of(known: Server | None, change: Change) -> bytes:
    """The key on record stays: an ID that came with another key would be borrowed."""
    if known is None or not known.key:
        return change.key
    if change.key not in {b"", known.key}:
        raise ConfigurationError(f"server {known.id!r} has another key on record")
    return known.key


def _check_added(current: Configuration, result: Configuration, change: Change) -> None:
    if change.kind not in {ChangeKind.ADD_VOTER, ChangeKind.ADD_NONVOTER}:
        return
    added = result.get(change.server_id)
    assert added is not None
    check_new(added)
    if len(result.servers) > max(SERVERS_MAX, len(current.servers)):
        raise ConfigurationError(f"more than {SERVERS_MAX} servers in configuration")


def next_configuration(current: Configuration, change: Change) -> Configuration:
    """The configuration that `change` makes of `current`.

    Raises ConfigurationError when the server to change is unknown or the result is not valid.
    A change that alters nothing returns an equal configuration.
    """
    current = _moved(current, change.moves)
    known = current.get(change.server_id)
    match change.kind:
        case ChangeKind.ADD_VOTER:
            added = Server(change.server_id, change.address, key=_key_of(known, change))
            result = _replace(current, added)
        case ChangeKind.ADD_NONVOTER:
            # A voter keeps its vote: adding is never a demotion.
            suffrage = Suffrage.VOTER if known and known.is_voter else Suffrage.NONVOTER
            key = _key_of(known, change)
            result = _replace(current, Server(change.server_id, change.address, suffrage, key))
        case ChangeKind.DEMOTE_VOTER | ChangeKind.PROMOTE:
            if known is None:
                raise ConfigurationError(f"server {change.server_id!r} is not in configuration")
            demote = change.kind == ChangeKind.DEMOTE_VOTER
            suffrage = Suffrage.NONVOTER if demote else Suffrage.VOTER
            result = _replace(current, Server(known.id, known.address, suffrage, known.key))
        case ChangeKind.REMOVE_SERVER:
            if known is None:
                raise ConfigurationError(f"server {change.server_id!r} is not in configuration")
            result = Configuration(tuple(s for s in current.servers if s.id != change.server_id))
    _check_added(current, result, change)
    result.check()
    return result
