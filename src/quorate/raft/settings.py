"""The timing and the bounds of one Raft node.

Differs from hashicorp/raft: the base timeouts are half of its defaults (0.5 s instead of 1 s), so
that a lost leader is replaced in well under a second; a server of that library may still share the
cluster, because each side only needs its own heartbeats to be much more frequent than the other
side's timeout (docs/divergence.md).
"""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All times in seconds. `scaled` gives the settings for a slower network.

    A follower that heard from the leader refuses its vote for `election_timeout_s` by its own
    clock, and says so in its answer. The leader trusts a promise for `lease_share` of its length
    by its own clock, counted from when it *sent* what the follower answered. Lease reads are
    linearizable while no clock runs faster than another by more than 1 / `lease_share` (1.25 as
    set here). The servers of a cluster may have different settings: only what each one promised
    counts. Servers of other makes promise nothing, so that with a majority of those each read
    waits for a round of heartbeats. `lease_reads` False has each read wait in any case, for
    machines whose clocks cannot be trusted (docs/divergence.md).

    `log_bytes_max` bounds the files of the log (`roles.log_bound`), 0: nothing does. Chosen so that
    a snapshot of the largest usual state is written before the log has grown by a quarter of it,
    at all that one server takes in; a bound that is too low holds writes up.
    """

    election_timeout_s: float = 0.5
    heartbeat_interval_s: float = 0.05
    lease_share: float = 0.8
    lease_reads: bool = True
    commit_notice_s: float = 0.02
    disk_stall_s: float = 0.5
    append_entries_max: int = 512
    append_bytes_max: int = 1 << 20
    appends_in_flight_max: int = 4
    heartbeats_in_flight_max: int = 4
    uncommitted_entries_max: int = 1 << 16
    uncommitted_bytes_max: int = 64 << 20
    apply_entries_max: int = 512
    trailing_logs: int = 10240
    log_bytes_max: int = 1 << 30

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_interval_s < self.lease_share * self.election_timeout_s:
            raise ValueError(
                "need 0 < heartbeat_interval_s < lease_share * election_timeout_s, so that a lease "
                "is renewed before it ends"
            )
        if not self.lease_share < 1:
            raise ValueError("need lease_share < 1: a lease must end before the promises do")

    def scaled(self, multiplier: float) -> Settings:
        """The same settings with every time `multiplier` times as long (raft_multiplier)."""
        return msgspec.structs.replace(
            self,
            election_timeout_s=self.election_timeout_s * multiplier,
            heartbeat_interval_s=self.heartbeat_interval_s * multiplier,
            commit_notice_s=self.commit_notice_s * multiplier,
            disk_stall_s=self.disk_stall_s * multiplier,
        )
