"""The outcome of compacting the log of servers (ours)."""

from __future__ import annotations

import msgspec


class Compacted(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One server. Sizes are bytes on its disk before and after, 0 where it could not be asked.

    `index` is the entry up to which its newest snapshot reaches. `error` is why it could not be
    done, or not all of it, `next` what to do about that; `stays` says what of the log a snapshot
    cannot take the place of now. All three are empty where there is nothing to say.
    """

    id: str = msgspec.field(name="ID", default="")
    node: str = ""
    address: str = ""
    error: str = ""
    next: str = ""
    stays: str = ""
    index: int = 0
    log_bytes_before: int = 0
    log_bytes_after: int = 0
    log_bytes_max: int = 0
    snapshot_bytes_before: int = 0
    snapshot_bytes_after: int = 0
    disk_free_bytes: int = 0


class Compaction(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/raft/compact`: the servers that were asked, by name."""

    servers: tuple[Compacted, ...] = ()
