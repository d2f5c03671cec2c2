"""What a leader makes of calls to join or to leave: the server concerned is asked itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from server_cluster import ServerCluster, cluster, until

from quorate.errors import QuorateError
from quorate.server.cluster.founding import Promise
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.cluster.leaving import Departure


async def asked(servers: ServerCluster, verb: str, body: object, answer: type) -> str:
    """Why the leader does not do it for the server that the body names, or empty."""
    words = msgspec.to_builtins(body)
    peer = servers.peer(words["id"], words.get("address", ""), words.get("region", "global"))
    leader = servers.running[await servers.leader()]
    try:
        said = await leader.answers.answer(verb, msgspec.json.encode(body), peer)
    except QuorateError as refused:
        return refused.text
    why: str = msgspec.json.decode(said, type=answer).why
    return why


async def standing(servers: ServerCluster) -> tuple[int, tuple[str, ...]]:
    """Index and IDs of the configuration."""
    node = servers.running[await servers.leader()].replica.node
    return node.configuration_index, tuple(s.id for s in node.configuration.servers)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"address": "nonsense"}, "the address 'nonsense' is not host:port"),
        ({"id": "evil\n"}, "the ID 'evil\\n' is not"),
        ({"leaving": True}, "it is leaving"),
        ({"region": "west"}, "of region 'west'"),
        ({"cluster_id": "theirs"}, "belongs to cluster theirs"),
        ({"address": "127.0.0.1:1"}, "nothing answers at 127.0.0.1:1"),
        ({}, "another server (s"),  # it claims the address of a member
    ],
)
def test_who_is_not_taken_in(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    async def run() -> None:
        async with cluster(tmp_path, 1) as servers:
            me = servers.running[0].identity()
            await until(lambda: servers.running[0].identity().cluster_id)
            before = await standing(servers)
            joiner = {**msgspec.to_builtins(me), "id": "new", "name": "new", "cluster_id": ""}
            assert why in await asked(servers, "join", {**joiner, **changes}, JoinAnswer)
            assert await standing(servers) == before

    asyncio.run(run())


def test_a_member_is_not_moved_or_taken_out_by_another_one_s_word(tmp_path: Path) -> None:
    async def run() -> None:
        async with cluster(tmp_path) as servers:
            leader = await servers.leader()
            victim, other = (n for n in range(3) if n != leader)
            await until(lambda: servers.running[leader].identity().cluster_id)
            before = await standing(servers)
            who: Identity = servers.running[victim].identity()
            assert "does not say that it leaves" in await asked(
                servers, "leave", Departure(who.id), Promise
            )
            for claimed, why in (
                ("127.0.0.1:1", "nothing answers at 127.0.0.1:1"),
                (servers.addresses[other], "another server (s"),
            ):
                moved = msgspec.structs.replace(who, address=claimed)
                assert why in await asked(servers, "join", moved, JoinAnswer)
            assert await standing(servers) == before

    asyncio.run(run())
