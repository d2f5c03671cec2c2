"""A cluster keeps its members' memory, and refuses what would be more than it can hold."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from server_cluster import cluster, until

from quorate.state.engine.table import SINGLETON
from quorate.state.tables import limits

MEMORY = 4 << 20


def test_a_cluster_keeps_the_smallest_members_memory_and_stops_at_a_quarter(tmp_path: Path) -> None:
    async def run() -> None:
        async with cluster(tmp_path, memory_bytes=MEMORY) as servers:
            stores = [server.machine.store for server in servers.running.values()]

            def known() -> bool:
                rows = [store.get(limits.TABLE, SINGLETON) for store in stores]
                return all(row is not None and len(row.memory) == 3 for row in rows)

            await until(known)
            assert {limits.state_bytes_max(store) for store in stores} == {MEMORY // 4}
            leader = await servers.leader()
            follower = (leader + 1) % 3
            body = msgspec.json.encode({"Items": {"k": "v" * 60_000}}).decode()
            statuses = []
            for number in range(20):
                target = f"/v1/var/big/{number}"
                answer = await servers.ask(follower, target, "PUT", body)
                statuses.append(answer.status)
                if answer.status != 200:
                    break
            assert statuses[-1] == 507
            assert b'"big/" in namespace "default"' in answer.body
            assert answer.header(b"X-Quorate-Error") == b"state-full"
            health = await servers.ask(follower, "/v1/agent/health")
            await until(lambda: stores[follower].applied_index == stores[leader].applied_index)
            assert (health.status, b"% of the" in health.body) == (200, True)
            assert (await servers.ask(leader, "/v1/var/big/0", "DELETE")).status == 204
            assert (await servers.ask(leader, "/v1/var/big/x", "PUT", body)).status == 200
            sizes = {limits.state_bytes(store) for store in stores}
            await until(lambda: len({limits.state_bytes(store) for store in stores}) == 1)
            assert max(sizes) <= MEMORY // 4

    asyncio.run(run())
