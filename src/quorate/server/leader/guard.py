"""The guard of the quorum: no server is removed whose going would leave too few live voters."""

from __future__ import annotations

import asyncio

from quorate.errors import ChangeRefused
from quorate.raft.configuration import Server as Peer
from quorate.replica.replica import Replica

_LOOK_AGAIN_S = 0.02


async def check_quorum_without(replica: Replica, peer: Peer) -> None:
    """Only who answers from now on counts: whoever died a moment ago looks alive as yet.

    Raises ChangeRefused.
    """
    loop = asyncio.get_running_loop()
    rest = [s for s in replica.node.configuration.voters() if s.id != peer.id]
    quorum = len(rest) // 2 + 1
    since = loop.time()
    deadline = since + 2 * replica.options.settings.election_timeout_s
    while (leader := replica.node.leader) is not None and rest and peer.is_voter:
        peers = leader.peers
        live = sum(
            s.id == replica.server_id or (s.id in peers and peers[s.id].contact_at > since)
            for s in rest
        )
        if live >= quorum:
            return
        if loop.time() >= deadline:
            raise ChangeRefused(
                f"removing {peer.address} would leave {live} live of {len(rest)} voters, and "
                f"{quorum} are needed for a quorum; force=true removes it all the same",
                "bring a voter back, or remove a dead one first",
            )
        await asyncio.sleep(_LOOK_AGAIN_S)
