"""The actions of a leader on servers. Each change names the configuration it was decided on."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from quorate.autopilot.facts import Claim
from quorate.raft.values.configuration import Change, ChangeKind
from quorate.state.tables.journal import Note, Told


class Why(StrEnum):
    """Why a server is removed."""

    LEFT = "it has left"
    REPLACED = "another server has taken its place"


class Ask(msgspec.Struct, frozen=True):
    """Ask what answers at these addresses; `memory.Heard` is the outcome of each."""

    addresses: tuple[str, ...]


class AddNonvoter(msgspec.Struct, frozen=True, kw_only=True):
    """Take a server in, first without a vote. `moves` are members that moved to make room."""

    server: Claim
    prev_index: int
    moves: tuple[tuple[str, str], ...] = ()


class MoveAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A member is now at another address; `moves` are members that traded places with it."""

    server: Claim
    was: str
    prev_index: int
    moves: tuple[tuple[str, str], ...] = ()


class RecordKey(msgspec.Struct, frozen=True, kw_only=True):
    """Put the key on record that a member has proven and that the configuration lacks."""

    id: str
    address: str
    key: bytes
    prev_index: int


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """Take a member out. The core refuses if the quorum would be at risk."""

    id: str
    name: str
    address: str
    why: Why
    prev_index: int


class Promote(msgspec.Struct, frozen=True, kw_only=True):
    """Give a non-voter its vote."""

    id: str
    address: str
    prev_index: int


class RecordServer(msgspec.Struct, frozen=True, kw_only=True):
    """Put a member's name and address into the table of servers. `why` is told when it is done."""

    id: str
    name: str
    address: str
    why: str = ""


class RaiseLevel(msgspec.Struct, frozen=True, kw_only=True):
    """Raise the cluster's feature level: all members of this configuration know `level`."""

    level: int
    prev_index: int


class FirstWrites(msgspec.Struct, frozen=True, kw_only=True):
    """Write the settings' first values, and the cluster's name, where no leader has done so."""

    settings: bool
    cluster: bool


class MakeWay(msgspec.Struct, frozen=True, kw_only=True):
    """Hand leadership over to a voter that may be better off."""

    target: str
    address: str
    why: str


class Say(msgspec.Struct, frozen=True):
    """Tell people; `about` is the ID of the server concerned. Said once while it stays the same."""

    about: str
    text: str


class Tell(msgspec.Struct, frozen=True, kw_only=True):
    """Write these into the journal, if it is told up to `since`; then it is told up to `told`."""

    notes: tuple[Note, ...]
    told: Told
    since: tuple[int, int, int]


ChangeAction: TypeAlias = AddNonvoter | MoveAddress | RecordKey | Remove | Promote
Action: TypeAlias = (
    Ask | ChangeAction | RecordServer | RaiseLevel | FirstWrites | MakeWay | Say | Tell
)


def change_of(action: ChangeAction) -> Change:
    """The change of membership that carries it out."""
    match action:
        case AddNonvoter(server=server, moves=moves) | MoveAddress(server=server, moves=moves):
            # Adding a voter again as a non-voter changes its address only.
            kind, server_id, address, key = (
                *(ChangeKind.ADD_NONVOTER, server.id),
                *(server.address, server.key),
            )
            return Change(kind, server_id, address, action.prev_index, moves, key)
        case RecordKey(id=server_id, address=address, key=key):
            kind = ChangeKind.ADD_NONVOTER
            return Change(kind, server_id, address, action.prev_index, key=key)
        case Remove(id=server_id):
            return Change(ChangeKind.REMOVE_SERVER, server_id, prev_index=action.prev_index)
        case Promote(id=server_id, address=address):
            return Change(ChangeKind.ADD_VOTER, server_id, address, action.prev_index)
