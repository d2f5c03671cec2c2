"""A replica inside somebody's own asyncio service, with a fixed list of servers to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from quorate.raft.configuration import Configuration, Server
from quorate.replica.machine import StateMachine
from quorate.replica.replica import Options, Replica
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore


async def serve(
    server_id: str,
    servers: Mapping[str, str],
    machine: StateMachine,
    data_dir: Path,
    options: Options | None = None,
) -> Replica:
    """Start the replica `server_id` and listen for its peers.

    `servers` maps every founding server's id to its "host:port"; all founders must be given the
    same, and it is used only while `data_dir` is empty: from then on the membership is what the
    log says (`Replica.change`). Raises OSError when the address cannot be used, LogDamaged.
    """
    address = servers[server_id]
    host, _, port = address.rpartition(":")
    log = LogStore.open(data_dir / "log")
    replica = Replica(
        server_id=server_id,
        address=address,
        machine=machine,
        log=log,
        snapshots=SnapshotStore(data_dir / "snapshots"),
        options=options or Options(),
    )
    await replica.start()
    try:
        if not log.last_index() and not log.hard_state().term and not replica.node.commit_index:
            founders = tuple(Server(i, a) for i, a in sorted(servers.items()))
            await replica.bootstrap(Configuration(founders))
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(replica.connection, host.strip("[]"), int(port))
    except BaseException:
        await replica.stop()
        raise
    replica.at_stop.append(listener.close)
    return replica
