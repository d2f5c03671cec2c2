"""Who a server is, as it tells other servers over the RPC port."""

from __future__ import annotations

import msgspec

COMPATIBLE_BUILD = "1.8.4"
"""The Nomad version whose server API we keep to: clients read it from the tag `build`."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One server.

    `address` is host:port of its RPC port. `expect` is how many servers it waits for before a
    bootstrap, 0 if it never founds a cluster; `initialised` is True once it holds a configuration.
    `cluster_id` is empty until it is known.
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

    @property
    def node(self) -> str:
        """The name in the pool."""
        return f"{self.name}.{self.region}"

    def tags(self) -> dict[str, str]:
        """The tags of a member (nomad-rpc-port, 4)."""
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
        }
        if self.expect == 1:
            tags["bootstrap"] = "1"
        elif self.expect:
            tags["expect"] = str(self.expect)
        return tags


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to "who are you": oneself, and the servers one knows."""

    me: Identity
    others: tuple[Identity, ...] = ()
