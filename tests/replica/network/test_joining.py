"""Servers that ask to join: how many may wait, and what a joiner does when its leader is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from net_servers import CLUSTER, End
from replica_cluster import Pairs, Replicas, until

from quorate.errors import NotReached, QuorateError, ReplicaStopped
from quorate.net.calls import CallConnection, write_answer
from quorate.net.key_pair import KeyPair
from quorate.net.peer import Peer
from quorate.raft import Change, ChangeKind
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.replica import Options, serve
from quorate.replica.joins import CHANGES_MAX, CHANGES_PER_S, WAITING_MAX, Joins, too_many, waiting
from quorate.replica.meeting import Introduction, Joined
from quorate.runtime.raft import PeerProgress


def free_addresses(folder: Path, count: int) -> list[str]:
    return list(Replicas(folder, count).servers.values())


def test_strangers_do_not_fill_the_configuration(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1)
        await cluster.start()
        leader = await cluster.leader()
        told: list[str] = []
        leader.on_refused.append(lambda _, why: told.append(why))
        places = free_addresses(tmp_path, WAITING_MAX + 1)
        for number, place in enumerate(places[:WAITING_MAX]):
            key = KeyPair.generate().public  # nothing ever runs there
            await leader.change(Change(ChangeKind.ADD_NONVOTER, f"x{number}", place, key=key))
        servers = {**cluster.servers, "d": places[-1]}
        options = Options(join_timeout_s=0.6)
        with pytest.raises(NotReached) as caught:
            await serve("d", servers, Pairs(), tmp_path / "d", options, join=True)
        for word in ("3 non-voters", f"x0 at {places[0]}", "remove them with Change"):
            assert word in str(caught.value)
        assert leader.node.configuration.get("d") is None
        assert len([why for why in told if "it asks to join" in why]) == 1, "once, not each time"

        # What the message says helps; a member that has caught up does not count.
        await leader.change(Change(ChangeKind.REMOVE_SERVER, "x0"))
        joiner = await serve("d", servers, Pairs(), tmp_path / "d", join=True)
        await until(lambda: any(p.id == "d" and not p.behind for p in leader.peers()))
        await joiner.stop()
        await cluster.stop()

    asyncio.run(scenario())


def progress(server_id: str, **more: Any) -> PeerProgress:
    row: dict[str, Any] = {"match_index": 90, "behind": 10, "contact_s": 0.1, "mode": "pipeline"}
    return PeerProgress(id=server_id, **{**row, **more})


def test_who_has_caught_up_and_answers_does_not_wait() -> None:
    rows = {
        "fit": progress("fit"),
        "empty": progress("empty", match_index=0, behind=100),
        "behind": progress("behind", behind=65),
        "silent": progress("silent", contact_s=1.1),
    }
    servers = [Server(name, f"{name}:1", suffrage=Suffrage.NONVOTER) for name in (*rows, "new")]
    members = Configuration((Server("a", "a:1"), *servers))
    found = waiting(members, rows.values(), behind_max=64, silent_s=1.0)
    assert [server.id for server in found] == ["empty", "behind", "silent", "new"]
    assert "empty at empty:1, behind at behind:1, silent at silent:1" in too_many(found)
    assert not too_many(found[: WAITING_MAX - 1])


def test_changes_by_joiners_have_a_rate() -> None:
    now = 0.0
    joins = Joins(lambda: now)
    assert [joins.take() for _ in range(CHANGES_MAX)] == [""] * CHANGES_MAX
    assert "ask again in 5 s" in joins.take()
    now += 1 / CHANGES_PER_S
    assert joins.take() == ""
    assert joins.take()


def test_a_joiner_whose_leader_is_lost_meanwhile_asks_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        leader, (own,) = End("a"), free_addresses(tmp_path, 1)
        asked: list[str] = []

        async def answer(verb: str, _: bytes, peer: Peer) -> bytes:
            asked.append(verb)
            if verb == "who":
                return write_answer(
                    Introduction(
                        server_id="a",
                        cluster_id=CLUSTER,
                        members=(("a", leader.address),),
                        leader_id="a",
                        leader_address=leader.address,
                    )
                )
            assert peer.server_id == "d"
            match asked.count("join"):
                case 1:
                    raise ReplicaStopped("this replica was stopped", "start it again")
                case 2:
                    raise OSError("the connection ends without an answer")
            return write_answer(Joined(cluster_id=CLUSTER))

        leader.port.calls = lambda peer: CallConnection(peer, answer)
        await leader.listen()
        servers = {"a": leader.address, "d": own}
        joiner = await serve("d", servers, Pairs(), tmp_path / "d", join=True)
        assert asked.count("join") == 3
        await joiner.stop()
        await leader.close()

    asyncio.run(scenario())


def test_a_joiner_is_taken_in_by_the_next_leader(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        (own,) = free_addresses(tmp_path, 1)
        machine = Pairs()
        joining = asyncio.ensure_future(
            serve("d", {**cluster.servers, "d": own}, machine, tmp_path / "d", join=True)
        )
        # The change is in its log, and may or may not be on another disk.
        await until(lambda: leader.node.configuration.get("d") is not None)
        await cluster.stop(leader.server_id)
        joiner = await joining
        following = await cluster.leader()
        while True:
            try:
                await following.propose(b"k=1")
                break
            except QuorateError:
                following = await cluster.leader()
        await until(lambda: machine.values == {"k": "1"})
        await joiner.stop()
        await cluster.stop()

    asyncio.run(scenario())
