"""What the members say to a replica that starts, and which of them it believes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from net_servers import End
from replica_cluster import Pairs, Replicas, until

from quorate.net.calls import CallConnection, write_answer
from quorate.net.peer import Peer
from quorate.raft import Change, ChangeKind
from quorate.replica import serve
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


def test_a_newcomer_learns_of_starts_that_it_has_not_seen_when_it_gets_its_vote(
    tmp_path: Path,
) -> None:
    """It may be the only one left that can tell an old copy of the server that is down now."""

    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        away = next(name for name in cluster.running if name != leader.server_id)
        assert leader.trust is not None
        start = leader.trust.starts.seen[away]
        await cluster.stop(away)
        spare = Replicas(tmp_path, 1).servers["a"]
        servers = {**cluster.servers, "new": spare}
        new = await serve("new", servers, Pairs(), tmp_path / "new", join=True)
        assert new.trust is not None
        await until(lambda: any(p.id == "new" and p.behind == 0 for p in leader.peers()))
        assert away not in new.trust.starts.seen
        await leader.change(Change(ChangeKind.PROMOTE, "new"))
        await until(lambda: new.trust and new.trust.starts.seen.get(away) == start)
        await new.stop()
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
