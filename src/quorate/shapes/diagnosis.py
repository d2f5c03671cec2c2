"""The details of a server that tell why there is no leader: `raft/views?details` (ours).

See docs/http-api.md#the-pool. All lists are bounded, and no secret is among them: of a
gossip key a digest of 32 bits is told, by which two keys are told apart.
"""

from __future__ import annotations

from typing import Final

import msgspec

REFUSED_MAX: Final = 16
"""Refusals that a server tells of, the newest of each of its two ports."""

NAMED_MAX: Final = 64
"""Addresses or servers that one list names."""

TEXT_MAX: Final = 300
"""Characters of a text that comes from elsewhere."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a server at `where` was refused for, how often, and how many seconds ago at last."""

    where: str = ""
    why: str = ""
    count: int = 0
    ago_s: float = msgspec.field(name="AgoS", default=0.0)


class PeerSeen(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Another server of the Raft configuration, as this one sees it.

    `status` is that of the pool, or unknown. `silent_s` is for how many seconds it has been silent:
    0 if it is alive, -1 if it was never heard since this server was started.
    """

    id: str = msgspec.field(name="ID", default="")
    node: str = ""
    address: str = ""
    status: str = ""
    silent_s: float = msgspec.field(name="SilentS", default=0.0)


class DiskDetails(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The disk of the log. `waits_s` is how long the write of this moment has taken so far.

    `slowest_s` is the slowest of the newest writes. `full`: nothing is written but votes. `warning`
    says that it will be full soon, or that the log is near its bound; empty: neither.
    """

    full: bool = False
    free_bytes: int = 0
    needed_bytes: int = 0
    waits_s: float = msgspec.field(name="WaitsS", default=0.0)
    slowest_s: float = msgspec.field(name="SlowestS", default=0.0)
    warning: str = ""


class GossipDetails(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How a server takes part in gossip. `keys` are digests of its keys, that in use first.

    `join` are the addresses that it is configured to join, `trouble` why it could join none.
    """

    enabled: bool = False
    encrypted: bool = False
    keys: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    trouble: str = ""
    refused: tuple[Refused, ...] = ()


class TlsDetails(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The certificate of a server with TLS. `days_left` is below 0 once it has expired.

    `of_authority`: the authority ends before the certificate. `problem` is why no other server
    believes it, `others` what else is to be seen to.
    """

    enabled: bool = False
    days_left: float = 0.0
    of_authority: bool = False
    problem: str = ""
    others: tuple[str, ...] = ()


class RecoveryDetails(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The recovery of running servers for which this one is prepared; all empty: for none.

    `plan` is the digest of the plan, `epoch` the one that begins by it. `survivors` are the IDs of
    all that it names, `leads` is the one that decides, `lost` were named as lost for good. It may
    be given up from `until_ms` on, Unix milliseconds.
    """

    plan: str = ""
    epoch: str = ""
    leads: str = ""
    survivors: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    until_ms: int = 0


class Details(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server. Texts are empty, and numbers 0, where there is nothing.

    `expect` is how many servers it waits for to found a cluster, `founders` the fixed list of them.
    `initialised`: it holds a Raft configuration. `epoch` is the number of forced recoveries with
    the bits of the last, `start` the number of this start of its data folder. `leaderless_s` is for
    how many seconds it has known no leader. `problem` is what keeps it from taking part, of the
    kind `problem_kind`; `waiting` is what it waits for. `clock_ms` is its clock, Unix milliseconds.
    `refused` is what it has refused at its RPC port.
    """

    region: str = ""
    datacenter: str = ""
    cluster_id: str = msgspec.field(name="ClusterID", default="")
    epoch: str = ""
    start: int = 0
    initialised: bool = False
    expect: int = 0
    founders: tuple[str, ...] = ()
    version: str = ""
    level: int = 0
    cluster_level: int = 0
    leaderless_s: float = msgspec.field(name="LeaderlessS", default=0.0)
    problem: str = ""
    problem_kind: str = ""
    waiting: str = ""
    clock_ms: int = 0
    disk: DiskDetails = DiskDetails()
    gossip: GossipDetails = GossipDetails()
    peers: tuple[PeerSeen, ...] = ()
    refused: tuple[Refused, ...] = ()
    recovery: RecoveryDetails = RecoveryDetails()
    tls: TlsDetails = TlsDetails()
