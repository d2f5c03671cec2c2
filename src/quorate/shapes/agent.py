"""This agent, the members of the pool, and the keys of gossip (docs/http-api.md#the-pool)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

COMPATIBLE_BUILD: Final = "1.8.4"
"""The Nomad version whose server API we keep to: clients compare the tag `build`, the version in
`config` of agent/self, and that in the health of servers."""


class Member(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One member of the pool. `status` is alive, leaving, left or failed."""

    addr: str = ""
    delegate_cur: int = 0
    delegate_max: int = 0
    delegate_min: int = 0
    name: str = ""
    port: int = 0
    protocol_cur: int = 0
    protocol_max: int = 0
    protocol_min: int = 0
    status: str = ""
    tags: dict[str, str] = {}

    @property
    def rpc_address(self) -> str:
        """`IP:port` of its RPC service, as `status/leader` gives it."""
        host = self.tags.get("rpc_addr") or self.addr
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self.tags.get('port', '')}"


class Members(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET agent/members`: the pool as the asked agent sees it."""

    members: tuple[Member, ...] = ()
    server_dc: str = msgspec.field(name="ServerDC", default="")
    server_name: str = ""
    server_region: str = ""


class AgentSelf(msgspec.Struct, frozen=True, kw_only=True):
    """`GET agent/self` (its top keys are lower case)."""

    config: dict[str, Any] = {}
    member: Member | None = Member()
    stats: dict[str, dict[str, Any]] = {}


class HealthOf(msgspec.Struct, frozen=True):
    """Health of one part of an agent."""

    ok: bool = False
    message: str = ""


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """`PUT agent/join`. `error` is why none was reached, `warning` why some were not."""

    error: str = ""
    num_joined: int = 0
    warning: str = ""


class Rejoined(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`PUT agent/rejoin` (ours): the ID under which a server comes back.

    `moved_aside` is where its old data are now; empty if they could stay.
    """

    id: str = msgspec.field(name="ID", default="")
    moved_aside: str = ""


class Keyring(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`agent/keyring/<operation>`: by key how many members hold it, by member what failed."""

    keys: dict[str, int] = {}
    messages: dict[str, str] = {}
    num_nodes: int = 0


class KeyringDetails(Keyring, frozen=True, kw_only=True, rename="pascal"):
    """The same with details (ours). `primary_keys` and `num_resp` are None from others."""

    num_err: int = 0
    num_resp: int | None = None
    primary_keys: dict[str, int] | None = None
    unanswered: tuple[str, ...] = ()
