"""The identity of a server, as it tells it over the RPC port, and in its tags in the pool."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quorate.autopilot.validity import objection_to
from quorate.levels import LEVEL_MAX
from quorate.raft.values.identity import Start
from quorate.shapes.agent import COMPATIBLE_BUILD

CLUSTER_TAG = "quorate_cluster"
"""Ours: tells two clusters in one pool apart."""

LEVEL_TAG = "quorate_level"
"""Ours: the highest feature level that the server knows."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One server.

    `address` is host:port of its RPC port. `expect` is how many servers it waits for before a
    bootstrap, 0 if it never founds a cluster; `initialised` is True once it holds a configuration.
    `cluster_id` is empty until it is known. `is_ours` is False for a Nomad server in the same pool:
    it takes no HTTP at its RPC port. `level` is the highest feature level that it knows.

    Every identity that comes from another server becomes one of these first, so ID, name and
    address are checked here: raises ValueError for those that no server can have.
    """

    id: str
    name: str
    region: str
    datacenter: str
    address: str
    serf_port: int
    version: str
    cluster_id: str = ""
    initialised: bool = False
    expect: int = 0
    leader: str = ""  # RPC address of the leader it follows
    log: str = ""  # "<term>-<index>" of its last entry, for people
    leaving: bool = False  # it is about to stop for good: nobody takes it in any more
    is_ours: bool = True
    level: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if why := objection_to(self.id, self.node, self.address):
            raise ValueError(why)

    @property
    def node(self) -> str:
        """The name in the pool."""
        return f"{self.name}.{self.region}"

    def tags(self) -> dict[str, str]:
        """The tags of a member (docs/wire.md#server-tags)."""
        host, _, port = self.address.rpartition(":")
        tags = {
            "role": "nomad",
            "region": self.region,
            "dc": self.datacenter,
            "id": self.id,
            "rpc_addr": host.strip("[]"),
            "port": port,
            "vsn": "1",
            "mvn": "1",
            "build": COMPATIBLE_BUILD,
            "raft_vsn": "3",
            "quorate": self.version,
            LEVEL_TAG: str(self.level),
        }
        if self.expect == 1:
            tags["bootstrap"] = "1"
        if self.expect:
            tags["expect"] = str(self.expect)
        if self.cluster_id:
            tags[CLUSTER_TAG] = self.cluster_id
        return tags


def identity_from_tags(name: str, host: str, port: int, tags: Mapping[str, str]) -> Identity:
    """The server that a member of the pool is; `host`, `port` are its gossip's.

    See docs/wire.md#server-tags.

    Its RPC host is the one it gossips from, but a server of ours may say otherwise. Raises
    ValueError, worded for people, if the member is no server.
    """
    region = tags.get("region", "")
    rpc_port, expect = tags.get("port", ""), tags.get("expect", "0")
    if tags.get("role") != "nomad" or not region:
        raise ValueError(f"member {name!r} is not a server")
    if not (_is_number(rpc_port) and _is_number(expect)):
        raise ValueError(f"member {name!r} is not a server: its port or expect is no number")
    own_host = tags.get("rpc_addr", "") if "quorate" in tags else ""
    rpc_host = own_host or host
    try:
        return Identity(
            id=tags.get("id", "unknown"),
            name=name.removesuffix(f".{region}"),
            region=region,
            datacenter=tags.get("dc", ""),
            address=f"[{rpc_host}]:{rpc_port}" if ":" in rpc_host else f"{rpc_host}:{rpc_port}",
            serf_port=port,
            version=tags.get("quorate", tags.get("build", "")),
            cluster_id=tags.get(CLUSTER_TAG, ""),
            expect=1 if "bootstrap" in tags else int(expect),
            is_ours="quorate" in tags,
            level=_level(tags.get(LEVEL_TAG, "")),
        )
    except ValueError as error:
        raise ValueError(f"member {name[:128]!a} is not a server: {error}") from None


def _level(text: str) -> int:
    """The level in a tag; 0 if it is none, as of servers before levels."""
    return min(int(text), LEVEL_MAX) if _is_number(text) else 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


GREETED_MAX = 500
"""Servers that an answer to a greeting names at most, and of which as many are looked at."""


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to "who are you": oneself, and the servers one knows.

    In an answer `objection` says why nothing of the asker counts at this server, and `rolled_back`
    that the reason is its data folder: an old copy, or one of two. `member`: the asker is in the
    Raft configuration; a member is told the newest `starts` of members that were seen there, by ID.
    """

    me: Identity
    others: tuple[Identity, ...] = ()
    objection: str = ""
    rolled_back: bool = False
    member: bool = False
    starts: dict[str, Start] = {}
