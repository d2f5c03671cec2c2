"""Recording keys: the configuration learns the key of a member that had none on record.

That happens once, for the members of a cluster that was founded before servers had keys.
"""

from __future__ import annotations

from quorate.autopilot.actions import RecordKey
from quorate.autopilot.facts import Facts


def record_keys(facts: Facts) -> tuple[RecordKey, ...]:
    """The keys that peers have proven and that are not on record."""
    proven = {facts.me.id: facts.me.key, **{i: peer.key for i, peer in facts.peers.items()}}
    return tuple(
        RecordKey(
            id=server.id,
            address=server.address,
            key=proven[server.id],
            prev_index=facts.configuration_index,
        )
        for server in facts.configuration.servers
        if not server.key and proven.get(server.id)
    )
