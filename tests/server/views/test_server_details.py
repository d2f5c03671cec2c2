"""`raft/views?details`: what servers tell of themselves to find out why none leads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.limits import ListenerConfig
from quorate.api.http.listener import create_protocol_factory
from quorate.diagnosis.asking.network import Place
from quorate.diagnosis.asking.servers import Gatherer, How
from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.values import Diagnosis, Outcome


async def facts(servers: ServerCluster, number: int) -> tuple[str, dict[str, Any]]:
    """Who gathered, and the facts by node's name; None: it tells none."""
    answer = await servers.ask(number, "/v1/operator/raft/views?details")
    value = msgspec.json.decode(answer.body)
    return value["Asked"], {each["Node"]: each["Details"] for each in value["Servers"]}


def test_each_server_tells_of_itself_and_of_the_others(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(tmp_path, 3) as servers:
            asked, told = await facts(servers, 0)
            assert asked == servers.running[0].replica.server_id
            assert set(told) == {"s0.global", "s1.global", "s2.global"}
            own = told["s0.global"]
            assert own["Expect"] == 3
            assert own["Initialised"] is True
            assert own["ClusterID"] == servers.running[0].replica.node.cluster_id
            assert own["Start"] == 1
            assert own["Epoch"] == "0"
            assert not own["Gossip"]["Enabled"]
            assert own["Problem"] == ""
            assert {peer["Node"] for peer in own["Peers"]} == {"s1.global", "s2.global"}
            assert own["Disk"]["Full"] is False
            assert own["Disk"]["FreeBytes"] > 0
            plain = await servers.ask(0, "/v1/operator/raft/views")
            value = msgspec.json.decode(plain.body)
            assert "Asked" not in value
            assert "Details" not in value["Servers"][0]

    uvloop.run(run())


def test_a_diagnosis_by_one_server_of_two(tmp_path: Path) -> None:
    """Over a real port: first both are there, then the other one is stopped."""

    async def diagnosed(address: str) -> Diagnosis:
        host, _, port = address.rpartition(":")
        place = Place(f"http://{address}", host, int(port))
        return diagnose(await Gatherer(How(lambda _: place, {})).gather([place.base]))

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(tmp_path, 2) as servers:
            make = create_protocol_factory(servers.applications[0], ListenerConfig())
            listener = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
            address = "{}:{}".format(*listener.sockets[0].getsockname())
            found = await diagnosed(address)
            assert (found.outcome, found.findings) == (Outcome.HEALTHY, ())
            await servers.stop(1)
            await until(lambda: not servers.running[0].replica.node.leader_id)
            found = await diagnosed(address)
            assert found.outcome is Outcome.CAUSE
            assert found.findings[0].cause == "quorum-unreachable"
            assert "no server runs there" in found.findings[0].shown_by[0]
            listener.close()

    uvloop.run(run())


def test_a_server_that_has_lost_the_others_tells_since_when(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(tmp_path, 2) as servers:
            await servers.stop(1)
            replica = servers.running[0].replica
            await until(lambda: not replica.node.leader_id)
            watch_s = 0.0
            while watch_s <= 0:
                _, told = await facts(servers, 0)
                watch_s = told["s0.global"]["LeaderlessS"]
            assert told["s1.global"] is None

    uvloop.run(run())
