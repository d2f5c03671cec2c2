"""How a replica behaves around its core, and what is measured of its disk."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from quorate.raft.settings import Settings

LOG_BYTES_MIN: Final = 2 << 20
"""The files of the log grow by 128 KiB: a lower bound could not be kept."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica behaves around its core. Sizes in bytes, times in seconds."""

    settings: Settings = msgspec.field(default_factory=Settings)
    stream_prefix: bytes = b""  # what a peer's port expects before the Raft stream
    snapshot_threshold: int = 8192  # entries since the last snapshot
    snapshot_interval_s: float = 120.0
    disk_reserve_bytes: int = 16 << 20
    scrub_interval_s: float = 30.0  # within which damage to the log at rest is found; 0: never
    cluster_id: str = ""
    name: str = ""  # of this server, for people: in errors beside its ID
    unproven_peers: tuple[str, ...] = ()  # hosts of servers of other makes, which prove no ID
    join_timeout_s: float = 30.0  # how long `serve(join=True)` looks for a leader
    command_bytes_max: int = 1 << 20
    prepared: str = ""  # why nothing of this epoch counts at the start: a recovery is prepared

    def __post_init__(self) -> None:
        if 0 < self.settings.log_bytes_max < LOG_BYTES_MIN:
            raise ValueError(f"need log_bytes_max of at least {LOG_BYTES_MIN}, or 0 for no bound")


class DiskTimes(msgspec.Struct):
    """Seconds the newest writes took, and how many writes there were."""

    recent: deque[float] = msgspec.field(default_factory=lambda: deque(maxlen=512))
    count: int = 0
