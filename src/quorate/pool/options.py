"""How a member of a pool is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from quorate.gossip.messages import Address, Versions
from quorate.gossip.settings import WAN, Settings

Admit: TypeAlias = Callable[[str, Address, Mapping[str, str]], str]
"""Asked with name, address and tags of a member: why it is not wanted here; empty if it is."""


def admit_all(_name: str, _address: Address, _tags: Mapping[str, str]) -> str:
    """Admit all."""
    return ""


class PoolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is this member's, unique in the pool; `bind_host` an IP address, IPv6 too.

    `bind_port` 0 takes any free one, for TCP and UDP alike. `advertise` is where others reach this
    member, by default where it binds; needed if `bind_host` is 0.0.0.0 or ::. `default_port` is
    meant where a join names none. `key` is a raw gossip key that begins the ring; once
    `keyring_path` exists, the keys are those in that file. `label` tells pools apart that share
    addresses. `snapshot_path` is Serf's file of known members: with it a member finds its pool
    again after a restart, and with `rejoin_after_leave` also after it has left.
    """

    name: str
    bind_host: str
    bind_port: int = 4648
    advertise: Address | None = None
    default_port: int = 4648
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    settings: Settings = WAN
    versions: Versions | None = None
    key: bytes | None = None
    keyring_path: Path | None = None
    label: bytes = b""
    compress: bool = True
    snapshot_path: Path | None = None
    rejoin_after_leave: bool = False
    admit: Admit = admit_all
    streams_max: int = 128  # from outside, at a time
