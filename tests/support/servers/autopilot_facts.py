"""A small cluster as a leader knows it, for the tests of deciders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from quorate.autopilot.facts import Claim, Facts, Heard, Peer
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.servers import ServerRecord

NOW = 1000.0
INDEX = 7
RULES = AutopilotConfiguration(server_stabilization_time_ns=10**9)


def claim(server_id: str, place: int, **other: Any) -> Claim:
    """The server `server_id`, named like it, at the place of that number."""
    name = other.pop("name", f"{server_id}.global")
    return Claim(
        **{"id": server_id, "name": name, "address": at(place), "region": "global", **other}
    )


def at(place: int) -> str:
    """The address of a place."""
    return f"10.0.0.{place}:4647"


A, B, C = (claim(name, place, cluster_id="ours") for place, name in enumerate("abc", start=1))
MEMBERS = Configuration(
    (Server("a", at(1)), Server("b", at(2)), Server("c", at(3), Suffrage.NONVOTER))
)


def records(*claims: Claim, removed: str = "") -> dict[str, ServerRecord]:
    """The table of servers with these, one of them removed at index 9."""
    return {
        each.id: ServerRecord(
            name=each.name, address=each.address, removed=each.id == removed, modify_index=9
        )
        for each in claims
    }


def facts(*pool: Claim, **other: Any) -> Facts:
    """`a` leads; the pool is `a` and these; the peers were silent for long."""
    values: dict[str, Any] = {
        "now": NOW,
        "me": A,
        "configuration": MEMBERS,
        "configuration_index": INDEX,
        "last_index": 100,
        "election_timeout_s": 0.5,
        "peers": {i: Peer(match_index=100, contact_at=NOW - 60) for i in "bc"},
        "pool": (A, *pool),
        "records": records(A, B, C),
        "rules": RULES,
    }
    return Facts(**{**values, **other})


def heard(*there: Claim, silent: tuple[int, ...] = ()) -> Mapping[str, Heard]:
    """These have answered just now, each at its address; nothing at the silent places."""
    answers = {each.address: Heard(NOW, each) for each in there}
    return {**answers, **{at(place): Heard(NOW) for place in silent}}


def with_contact(known: Facts, *ids: str, ago_s: float = 0.1) -> Facts:
    """The same, and these peers have answered the leader a moment ago."""
    peers = {
        i: msgspec.structs.replace(peer, contact_at=known.now - ago_s) if i in ids else peer
        for i, peer in known.peers.items()
    }
    return msgspec.structs.replace(known, peers=peers)
