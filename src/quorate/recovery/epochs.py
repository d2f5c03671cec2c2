"""The epoch of a recovery by peers.json: the same on all servers that are recovered with it.

They are recovered apart, without hearing of each other. So counter and bits follow from what all
of them know: the cluster, the epoch before, and the list of servers. A server with another list, or
of another epoch before, comes to other bits, and the two refuse each other.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import EPOCH_BITS, Epoch

_LABEL: Final = b"quorate recovery by peers.json, 1\0"


def next_epoch(before: Epoch, cluster_id: str, configuration: Configuration) -> Epoch:
    """The epoch after a recovery of the cluster with this configuration, in any order."""
    digest = sha256(_LABEL)
    lines = [cluster_id, str(before.counter), before.bits.hex()]
    for server in sorted(configuration.servers, key=lambda server: server.id):
        lines += [server.id, server.address, str(int(server.is_voter))]
    for line in lines:
        data = line.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return Epoch(before.counter + 1, digest.digest()[:EPOCH_BITS])
