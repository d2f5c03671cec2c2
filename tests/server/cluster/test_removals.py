"""Two operators remove servers at the same moment: one removal is made, and a quorum remains."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from server_cluster import cluster, until

from quorate.api.http.messages import Response
from quorate.errors import ApplyTimeout, LeadershipLost, QuorateError
from quorate.replica.replica import Replica
from quorate.state.tables import servers


@pytest.mark.parametrize("pause_ms", [0, 3, 8, 20])
def test_two_removals_at_once_leave_a_quorum(tmp_path: Path, pause_ms: int) -> None:
    async def story() -> None:
        async with cluster(tmp_path, 4) as four:
            leader = await four.leader()
            server = four.running[leader]
            dead, first, second = (n for n in four.running if n != leader)
            await four.stop(dead)
            paths = [
                f"/v1/operator/raft/peer?address={four.addresses[number]}"
                for number in (first, second)
            ]

            async def later() -> Response:
                await asyncio.sleep(pause_ms / 1000)
                return await four.ask(leader, paths[1], "DELETE")

            answers = await asyncio.gather(four.ask(leader, paths[0], "DELETE"), later())
            assert sorted(answer.status for answer in answers) == [200, 409]
            refused = next(
                n for n, a in zip((first, second), answers, strict=True) if a.status == 409
            )
            text = next(answer.body for answer in answers if answer.status == 409).decode()
            assert text == (
                f"removing {four.addresses[refused]} would leave 1 live of 2 voters, and 2 are "
                "needed for a quorum; force=true removes it all the same"
            )
            # There is a leader, writes are taken, and the one that stays is marked no more.
            await until(server.replica.lease_valid)
            replica = server.replica
            assert len(replica.node.configuration.voters()) == 3
            kept = replica.node.configuration.by_address(four.addresses[refused])
            assert kept is not None
            assert not servers.removed_at(server.machine.store, kept.id)

    asyncio.run(story())


def test_by_force_it_is_made(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path, 3) as three:
            leader = await three.leader()
            dead, other = (n for n in three.running if n != leader)
            await three.stop(dead)
            path = f"/v1/operator/raft/peer?address={three.addresses[other]}"
            assert (await three.ask(leader, path, "DELETE")).status == 409
            # The one that is dead can always go, and then nothing is left to weigh.
            gone = f"/v1/operator/raft/peer?address={three.addresses[dead]}"
            assert (await three.ask(leader, gone, "DELETE")).status == 200
            assert (await three.ask(leader, path + "&force=true", "DELETE")).status == 200
            assert len(three.running[leader].replica.node.configuration.voters()) == 1

    asyncio.run(story())


@pytest.mark.parametrize("lost", [LeadershipLost(), ApplyTimeout()], ids=["leadership", "time"])
def test_a_member_whose_removal_never_came_is_marked_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: QuorateError
) -> None:
    async def story() -> None:
        async with cluster(tmp_path, 3) as three:
            leader = await three.leader()
            store = three.running[leader].machine.store
            other = next(n for n in three.running if n != leader)
            victim = three.running[other].replica.server_id
            marked = []

            async def change(*_: object, **__: object) -> None:
                marked.append(servers.removed_at(store, victim))
                raise lost

            with monkeypatch.context() as broken:
                broken.setattr(Replica, "change", change)
                path = f"/v1/operator/raft/peer?id={victim}"
                assert (await three.ask(leader, path, "DELETE")).status == 500
            assert marked[0] > 0
            await until(lambda: not servers.removed_at(store, victim))
            assert three.running[leader].replica.node.configuration.get(victim) is not None

    asyncio.run(story())
