"""`raft/peers.json`: the servers with which survivors go on, in the forms of the guides.

    ["10.0.0.1:4647", "10.0.0.2:4647"]                                     addresses alone
    [{"id": "...", "address": "10.0.0.1:4647", "non_voter": false}, ...]   with server IDs

Names of keys may have any case, as for Go; a missing `non_voter` is false. Beyond that nothing is
guessed: what a program of Go passes over (text behind the list, unknown keys, keys given twice) is
an error here, because a voter may hang on it. Each error names its line and the cure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from quorate.errors import WrongServers
from quorate.raft.values.configuration import SERVERS_MAX, Configuration, Server, Suffrage
from quorate.raft.values.validity import address_objection, id_objection, shown, split_address
from quorate.recovery.looking.summary import Member

PEERS_FILE: Final = "peers.json"
BYTES_MAX: Final = 256 << 10

_WRITE: Final = "write it with `quorate operator recover peers-json DIR...`"
_KEYS: Final = ("id", "address", "non_voter")
_SPACE: Final = " \t\r\n"


class Peer(NamedTuple):
    """One server of the file; `id` is None where the form has none."""

    line: int
    id: str | None
    address: str
    voter: bool


class _File:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def line(self, at: int) -> int:
        return self.text.count("\n", 0, at) + 1

    def wrong(self, at: int, what: str, cure: str = _WRITE) -> NoReturn:
        raise wrong(self.name, self.line(at), what, cure)


def wrong(name: str, line: int, what: str, cure: str = _WRITE) -> WrongServers:
    """The error for a line of the file."""
    return WrongServers(f"{name}, line {line}: {what}; nothing was changed", cure)


def parse(data: bytes, name: str) -> tuple[Peer, ...]:
    """The servers in the bytes of the file `name`. Raises WrongServers."""
    if len(data) > BYTES_MAX:
        raise wrong(name, 1, f"the file has more than {BYTES_MAX} bytes")
    if data.startswith(b"\xef\xbb\xbf"):
        raise wrong(name, 1, "it begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = data.count(b"\n", 0, error.start) + 1
        raise wrong(name, at, f"byte {error.start} is no UTF-8", "save it as UTF-8") from error
    file = _File(name, text)
    peers = tuple(_peer(file, at, value) for at, value in _elements(file))
    _check(name, peers)
    return peers


def _elements(file: _File) -> Iterator[tuple[int, Any]]:
    """Place and value of each element of the list, which is the whole file."""
    text, at = file.text, _behind_space(file.text, 0)
    if at == len(text):
        file.wrong(0, "the file is empty")
    if text[at] != "[":
        file.wrong(at, f"a list is expected, and {shown(text[at : at + 20])} is found")
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    at = _behind_space(text, at + 1)
    if text[at : at + 1] == "]":
        file.wrong(at, "the list is empty: it needs at least one voter")
    while True:
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            file.wrong(error.pos, f"it is no JSON: {error.msg}")
        except (RecursionError, ValueError):
            file.wrong(at, "it is no JSON of a server")
        yield at, value
        at = _behind_space(text, end)
        mark = text[at : at + 1]
        if mark == "]":
            break
        if mark != ",":
            file.wrong(
                min(at, len(text)), "it is no JSON: a comma or the end of the list is missing"
            )
        at = _behind_space(text, at + 1)
    at = _behind_space(text, at + 1)
    if at < len(text):
        file.wrong(at, f"{shown(text[at : at + 20])} follows the list", "remove what follows it")


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


class _Pairs(list[tuple[str, Any]]):
    """An object, with keys that are given twice."""


def _peer(file: _File, at: int, value: Any) -> Peer:
    if isinstance(value, str):
        return Peer(file.line(at), None, value, voter=True)
    if not isinstance(value, _Pairs):
        file.wrong(at, f"a server is an object or an address, and {shown(str(value))} is found")
    found: dict[str, Any] = {}
    for key, inner in value:
        name = key.lower()
        if name not in _KEYS:
            file.wrong(at, f"the key {shown(key)} is not known; there are {', '.join(_KEYS)}")
        if name in found:
            file.wrong(at, f"{name} is given twice")
        found[name] = inner
    for name in ("id", "address"):
        if not isinstance(found.get(name), str) or not found[name]:
            what = "is missing or empty" if not found.get(name) else "is no text"
            file.wrong(at, f"{name} {what}")
    if not isinstance(non_voter := found.get("non_voter", False), bool):
        file.wrong(at, f"non_voter is {shown(str(non_voter))}, neither true nor false")
    return Peer(file.line(at), found["id"], found["address"], voter=not non_voter)


def _check(name: str, peers: Sequence[Peer]) -> None:
    ids: dict[str, int] = {}
    addresses: dict[str, int] = {}
    if len(peers) > SERVERS_MAX:
        raise wrong(name, peers[SERVERS_MAX].line, f"more than {SERVERS_MAX} servers")
    for peer in peers:
        why = "" if peer.id is None else id_objection(peer.id)
        why = why or address_objection(peer.address)
        if not why and (peer.id is None) is not (peers[0].id is None):
            why = "some servers have an ID, and others are an address alone"
        if not why and peer.id in ids:
            why = f"the ID {peer.id} is in line {ids[peer.id]} too"
        if not why and peer.address in addresses:
            why = f"the address {peer.address} is in line {addresses[peer.address]} too"
        if why:
            raise wrong(name, peer.line, why)
        if peer.id is not None:
            ids[peer.id] = peer.line
        addresses[peer.address] = peer.line
    if not any(peer.voter for peer in peers):
        raise wrong(name, peers[0].line, "no server of the list has a vote: all are non_voter")


def configuration_of(
    peers: Sequence[Peer],
    name: str,
    *,
    known: Sequence[Member],
    own_id: str,
    own_address: str = "",
) -> Configuration:
    """The configuration that the file asks of the server `own_id`.

    `known` are the members that its log and snapshot know, `own_address` the RPC address at which
    it is about to listen, if that is known. Raises WrongServers.
    """
    by_id = {member.id: member for member in known}
    by_address = {member.address: member for member in known}
    servers = []
    for peer in peers:
        if peer.id is None:
            member = by_address.get(peer.address)
            if member is None and peer.address == own_address:
                member = by_id.get(own_id)
            if member is None:
                raise wrong(name, peer.line, _no_member(peer.address, known), _WITH_ID)
        else:
            member = by_id.get(peer.id)
            if member is None and peer.id != own_id:
                raise wrong(name, peer.line, _no_id(peer.id, known))
        _check_address(name, peer, member, own_id, own_address)
        suffrage = Suffrage.VOTER if peer.voter else Suffrage.NONVOTER
        server_id = member.id if member is not None else own_id
        key = member.key if member is not None else b""
        servers.append(Server(server_id, peer.address, suffrage, key))
    if own_id not in {server.id for server in servers}:
        raise wrong(
            name,
            peers[-1].line,
            f"this server, {own_id}, is not in the list",
            "a server that is left out is not started again; remove the file, or add the server",
        )
    # By ID, so that servers that are recovered apart write the same.
    found = Configuration(tuple(sorted(servers, key=lambda server: server.id)))
    found.check()
    return found


_WITH_ID: Final = (
    'give the server with its ID: {"id": "...", "address": "..."}; '
    "`quorate operator recover peers-json DIR...` writes it so"
)


def _no_member(address: str, known: Sequence[Member]) -> str:
    there = ", ".join(sorted(member.address for member in known))
    return f"no server with the address {address} is known here; known are {there}"


def _no_id(server_id: str, known: Sequence[Member]) -> str:
    there = ", ".join(sorted(member.id for member in known))
    return f"no server with the ID {server_id} is known here; known are {there}"


def _check_address(
    name: str, peer: Peer, member: Member | None, own_id: str, own_address: str
) -> None:
    """A server may have moved to another host; another port of its host is a slip."""
    is_self = peer.id == own_id or (member is not None and member.id == own_id)
    if is_self and own_address:
        if peer.address != own_address:
            raise wrong(
                name,
                peer.line,
                f"this server listens at {own_address}, and the list has {peer.address} for it",
                f"write {own_address}; the RPC port is meant, 4647 by default",
            )
        return
    if member is None:
        return
    there, here = split_address(member.address), split_address(peer.address)
    if there and here and there[0] == here[0] and there[1] != here[1]:
        raise wrong(
            name,
            peer.line,
            f"the RPC address of {member.id} is {member.address}, and the list has {peer.address}",
            f"write {member.address}; a server that has moved to another port tells it by itself",
        )


def text_of(configuration: Configuration) -> str:
    """The file for a configuration, with IDs, a server in each line."""
    rows = []
    for server in configuration.servers:
        row: dict[str, Any] = {"id": server.id, "address": server.address}
        row["non_voter"] = not server.is_voter
        rows.append("  " + json.dumps(row))
    return "[\n" + ",\n".join(rows) + "\n]\n"
