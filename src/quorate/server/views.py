"""What a server tells about its cluster, as values."""

from __future__ import annotations

import msgspec


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the Raft configuration as an operator sees it."""

    id: str
    node: str  # "<name>.<region>", "(unknown)" if nobody ever told
    address: str
    leader: bool
    voter: bool
    raft_protocol: str  # "3", "unknown"


class RaftConfigurationView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest configuration and the index of its log entry."""

    index: int
    servers: tuple[PeerView, ...]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the pool (http-api 9): `status` is alive, leaving, left or failed."""

    name: str
    addr: str
    port: int
    status: str
    tags: dict[str, str]


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a leadership transfer. `noop`: the target led already."""

    from_id: str
    from_address: str
    to_id: str
    to_address: str
    noop: bool
