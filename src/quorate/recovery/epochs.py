"""The epoch of a recovery by peers.json: the same on all servers that are recovered with it.

They are recovered apart, without hearing of each other. So counter and bits follow from what all
of them know: the cluster, the epoch before, and the list of servers. A server with another list, or
of another epoch before, comes to other bits, and the two refuse each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import EPOCH_BITS, Epoch
from quorate.recovery.looking.summary import FolderSummary
from quorate.recovery.peers_json import Peer, configuration_of

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


def asked(
    peers: Sequence[Peer], name: str, found: FolderSummary, own_address: str
) -> tuple[Configuration, Epoch]:
    """Servers and epoch that the file `name` asks of the server whose folder was found so.

    Raises WrongServers.
    """
    configuration = configuration_of(
        peers,
        name,
        known=found.members.servers,
        own_id=found.server_id,
        own_address=own_address,
    )
    return configuration, next_epoch(found.epoch, found.cluster_id, configuration)
