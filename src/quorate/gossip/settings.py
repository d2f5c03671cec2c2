"""Timing and bounds of a member of a pool; LAN, WAN and LOCAL are the three that one chooses from.

The values are memberlist's and Serf's (docs/wire.md#probing) except where said. LAN probes twice
as often as memberlist does: with one probe a second and a suspicion of four periods, a killed
server of five is seen as failed by all only after five to seven seconds; with two probes a second
it is three to four (docs/gossip-figures.md). Every time is a member's own affair: members with
different settings share a pool.
"""

from __future__ import annotations

from typing import Final

import msgspec

PARTS_MAX: Final = 127
"""Old members misread a compound of more parts (docs/wire.md#packets)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All times in seconds, all sizes in bytes. Raises ValueError for values that cannot work."""

    # SWIM
    stream_timeout_s: float = 10.0
    indirect_checks: int = 3
    retransmit_mult: int = 4
    suspicion_mult: int = 4
    suspicion_max_mult: int = 6
    push_pull_interval_s: float = 30.0
    probe_timeout_s: float = 0.25
    probe_interval_s: float = 0.5
    gossip_nodes: int = 3
    gossip_interval_s: float = 0.2
    gossip_to_the_dead_s: float = 30.0
    awareness_max: int = 8
    # A failed member that comes back from another address is taken after this time; None: never.
    # (memberlist's default is never, so that such a server waits until it is reaped.)
    dead_node_reclaim_s: float | None = 0.0

    # packets
    packet_bytes_max: int = 1400
    # What the runtime puts around the parts: encryption 29 (45 for version 0), label 2 + n.
    packet_overhead: int = 0

    # Serf
    broadcast_timeout_s: float = 5.0
    leave_propagate_delay_s: float = 1.0
    recent_intent_s: float = 300.0
    reap_interval_s: float = 15.0
    reconnect_interval_s: float = 30.0
    reconnect_timeout_s: float = 24 * 3600.0
    tombstone_timeout_s: float = 24 * 3600.0
    # For names that have never answered a ping of this member: strangers can invent them.
    unconfirmed_timeout_s: float = 300.0
    user_event_bytes_max: int = 512
    query_bytes_max: int = 1024
    response_bytes_max: int = 1024
    query_timeout_mult: int = 16
    coordinates: bool = True
    resolve_conflicts: bool = True

    # bounds on memory
    members_max: int = 16384
    new_names: float = 16384.0  # names taken in at once, and a second
    new_names_per_s: float = 256.0
    queue_max: int = 4096  # of each of the four queues of broadcasts
    intents_max: int = 4096  # about members that are not known yet
    forgotten_max: int = 16384  # names that were reaped or pruned
    queries_max: int = 512  # open queries of others, and of our own
    event_ring: int = 512  # Lamport times whose events are remembered

    # bounds on work: steps of the filters of all queries together, at once and a second
    filter_steps: float = 40_000.0
    filter_steps_per_s: float = 50_000.0

    def __post_init__(self) -> None:
        if not 0 < self.probe_timeout_s < self.probe_interval_s:
            raise ValueError("need 0 < probe_timeout_s < probe_interval_s")
        if self.packet_bytes_max - self.packet_overhead < 512:
            raise ValueError("packets need room for 512 bytes at least")


LAN: Final = Settings()

WAN: Final = Settings(
    stream_timeout_s=30.0,
    retransmit_mult=4,
    suspicion_mult=6,
    push_pull_interval_s=60.0,
    probe_timeout_s=3.0,
    probe_interval_s=5.0,
    gossip_nodes=4,
    gossip_interval_s=0.5,
    gossip_to_the_dead_s=60.0,
)

LOCAL: Final = Settings(
    stream_timeout_s=1.0,
    indirect_checks=1,
    retransmit_mult=2,
    suspicion_mult=3,
    push_pull_interval_s=15.0,
    probe_timeout_s=0.2,
    probe_interval_s=1.0,
    gossip_nodes=3,
    gossip_interval_s=0.1,
    gossip_to_the_dead_s=15.0,
)
