"""Configurations, and the peer lists that preceded them (docs/wire.md#messages).

A Configuration is the data of a log entry of type 5 and a field of InstallSnapshot. A peer list
is an array of addresses: the data of entries of types 2 and 3, and InstallSnapshot's legacy
field. It names voters only, and a server in it has its address for an id.

Whether a configuration makes sense is not asked here: `Configuration.check` does.
"""

from __future__ import annotations

from typing import Any, Final

from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.wire.go.fields import pack_text, read_bytes, read_int, read_text
from quorate.wire.go.msgpack import (
    NIL,
    array_header,
    bad_frame,
    map_header,
    pack_int,
    pack_raw,
    unpack,
)

_SERVERS: Final = map_header(1) + b"\xa7Servers"
_ADDRESS: Final = map_header(3) + b"\xa7Address"
_ID: Final = b"\xa2ID"
_SUFFRAGE: Final = b"\xa8Suffrage"
_KEYED: Final = map_header(4) + b"\xa7Address"
_KEY: Final = b"\xaaQuorateKey"
KEY_BYTES: Final = 32


def encode_configuration(configuration: Configuration) -> bytes:
    """The bytes of a configuration; without servers their list is nil."""
    servers = configuration.servers
    if not servers:
        return _SERVERS + NIL
    parts = [_SERVERS, array_header(len(servers))]
    for server in servers:
        # Keys in byte order. Other makes skip ours.
        parts += (_KEYED if server.key else _ADDRESS, pack_text(server.address))
        parts += (_ID, pack_text(server.id))
        if server.key:
            parts += (_KEY, pack_raw(server.key))
        parts += (_SUFFRAGE, pack_int(server.suffrage))
    return b"".join(parts)


def decode_configuration(encoded: bytes) -> Configuration:
    """The configuration in `encoded`. Raises BadFrame when it is none."""
    fields = unpack(encoded)
    if fields is None:
        return Configuration()
    if type(fields) is not dict:
        raise bad_frame(f"a configuration is no map but {type(fields).__name__}")
    servers = _read_list(fields.get(b"Servers"), "Servers")
    return Configuration(tuple(_read_server(server) for server in servers))


def encode_peers(configuration: Configuration) -> bytes:
    """The legacy list of the voters' addresses; without voters it is nil."""
    voters = configuration.voters()
    if not voters:
        return NIL
    return array_header(len(voters)) + b"".join(pack_text(voter.address) for voter in voters)


def decode_peers(encoded: bytes) -> Configuration:
    """The configuration of a legacy peer list: voters whose ids are their addresses.

    Raises BadFrame when it is no list of addresses.
    """
    addresses = [read_text(peer, "a peer") for peer in _read_list(unpack(encoded), "a peer list")]
    return Configuration(tuple(Server(address, address) for address in addresses))


def _read_list(value: Any, key: str) -> tuple[Any, ...]:
    if type(value) is tuple:
        return value
    if value is None:
        return ()
    raise bad_frame(f"{key} is no array but {type(value).__name__}")


def _read_server(fields: Any) -> Server:
    if type(fields) is not dict:
        raise bad_frame(f"a server is no map but {type(fields).__name__}")
    number = read_int(fields.get(b"Suffrage"), "Suffrage")
    try:
        suffrage = Suffrage(number)
    except ValueError:
        raise bad_frame(f"unknown Suffrage {number}") from None
    address = read_text(fields.get(b"Address"), "Address")
    key = read_bytes(fields.get(b"QuorateKey"), "QuorateKey")
    if len(key) not in {0, KEY_BYTES}:
        raise bad_frame(f"a QuorateKey of {len(key)} bytes, not {KEY_BYTES}")
    return Server(read_text(fields.get(b"ID"), "ID"), address, suffrage, key)
