"""Rows of the Raft configuration as operators see them: Raft, the pool and the record joined."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from quorate.raft.values.configuration import Server as Peer
from quorate.server.cluster.directory import ALIVE, Directory
from quorate.shapes.operator import RaftServer
from quorate.state.engine.table import Reader
from quorate.state.tables import servers


def peer_view(
    server: Peer,
    *,
    directory: Directory,
    state: Reader,
    leader_id: str,
    unix_time: Callable[[float], float],
    answers: bool = False,
) -> RaftServer:
    """A row of the Raft configuration; `unix_time` turns the replica's time into Unix seconds.

    `answers`: it answers the leader now, whatever the pool says of its name.
    """
    known = directory.by_id(server.id)
    record = servers.by_id(state, server.id)
    last_contact = ""
    if known is not None and known.status != ALIVE and known.heard_at > float("-inf"):
        heard = datetime.fromtimestamp(unix_time(known.heard_at), UTC)
        last_contact = heard.strftime("%Y-%m-%dT%H:%M:%SZ")
    return RaftServer(
        id=server.id,
        node=known.identity.node if known else "(unknown)",
        address=server.address,
        leader=server.id == leader_id,
        voter=server.is_voter,
        raft_protocol="3" if known else "unknown",
        status=ALIVE if answers else known.status if known else "unknown",
        last_contact="" if answers else last_contact,
        last_name=record.name if known is None and record is not None else "",
    )
