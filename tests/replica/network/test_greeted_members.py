"""What the members say to a replica that starts, and which of them it believes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from net_servers import End
from replica_cluster import Replicas, until

from quorate.net.calls import CallConnection, write_answer
from quorate.net.peer import Peer
from quorate.replica.meeting import Introduction


async def founded_and_stopped(folder: Path, count: int) -> Replicas:
    cluster = Replicas(folder, count)
    await cluster.start()
    await (await cluster.leader()).propose(b"k=1")
    await until(lambda: all(m.values == {"k": "1"} for m in cluster.machines.values()))
    await cluster.stop()
    return cluster


def test_a_member_that_does_not_answer_at_first_is_greeted_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = await founded_and_stopped(tmp_path, 2)
        await cluster.start("a")
        greeting = cluster.running["a"].node.greeting
        assert greeting is not None
        assert greeting.waiting == {"b"}
        await cluster.start("b")  # its port was closed at the first attempt
        await until(lambda: not greeting.waiting)
        assert greeting.ticks > 0, "it answered, and was not waited for in vain"
        await cluster.leader()
        await cluster.stop()

    asyncio.run(scenario())


def test_what_a_stranger_at_a_members_address_says_ends_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = await founded_and_stopped(tmp_path, 3)
        stranger = End("stranger", cluster_id="")
        asked: list[str] = []

        async def answer(verb: str, _: bytes, peer: Peer) -> bytes:
            asked.append(verb)
            lie = f"{peer.server_id} runs on an old copy of its data folder"
            return write_answer(Introduction(server_id="b", objection=lie, copied=True))

        stranger.port.calls = lambda peer: CallConnection(peer, answer)
        await stranger.listen(cluster.servers["b"])
        await cluster.start("a", "c")
        failed: list[BaseException] = []
        for replica in cluster.running.values():
            replica.on_failure.append(failed.append)
        await until(lambda: "who" in asked)
        await (await cluster.leader()).propose(b"k=2")
        assert not failed
        await cluster.stop()
        await stranger.close()

    asyncio.run(scenario())
