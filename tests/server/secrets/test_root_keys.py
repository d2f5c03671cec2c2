"""Root keys of real servers: the first one, rotations over a leader change, and disks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.state.tables import root_keys
from quorate.state.tables.root_keys import ACTIVE, INACTIVE, REKEYING, RootKey

KEYRING = "/v1/operator/keyring"

Scenario = Callable[[ServerCluster], Awaitable[None]]


def with_servers(**options: Any) -> Callable[[Scenario], Callable[[Path], None]]:
    """Run the scenario as a test, with three servers."""

    def decorate(scenario: Scenario) -> Callable[[Path], None]:
        def test(tmp_path: Path) -> None:
            async def run() -> None:
                async with asyncio.timeout(4 * PATIENCE_S), cluster(tmp_path, **options) as servers:
                    await scenario(servers)
                    assert not servers.fatal

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())

        test.__doc__ = scenario.__doc__
        return test

    return decorate


def keys(servers: ServerCluster, number: int) -> dict[str, RootKey]:
    return dict(servers.running[number].machine.store.rows(root_keys.TABLE))


def states(servers: ServerCluster, number: int) -> list[tuple[str, str]]:
    return sorted((row.state, row.phase) for row in keys(servers, number).values())


def all_say(servers: ServerCluster, *wanted: tuple[str, str]) -> bool:
    return all(states(servers, number) == sorted(wanted) for number in servers.running)


async def rotate(servers: ServerCluster, number: int, query: str = "") -> str:
    answer = await servers.ask(number, f"{KEYRING}/rotate{query}", "PUT")
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["Key"]["KeyID"])


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; the test's own deadline ends it."""
    for _ in range(4000):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(condition)


@with_servers()
async def test_the_leader_makes_the_first_key_and_all_servers_have_it(
    servers: ServerCluster,
) -> None:
    await until(lambda: all_say(servers, (ACTIVE, "")))
    (first,) = keys(servers, 0).items()
    assert all(tuple(keys(servers, number).items()) == (first,) for number in servers.running)
    assert len(first[1].key) == 32


@with_servers()
async def test_a_rotation_asked_of_a_follower_outlives_leaders(servers: ServerCluster) -> None:
    await until(lambda: all_say(servers, (ACTIVE, "")))
    (older,) = keys(servers, 0)
    leader = await servers.leader()
    newer = await rotate(servers, (leader + 1) % 3)
    await servers.stop(leader)
    left = await servers.leader()
    await until(lambda: all_say(servers, (ACTIVE, ""), (INACTIVE, "")))
    assert keys(servers, left)[newer].state == ACTIVE
    # The server that is away may have anything on its disk.
    removal = f"{KEYRING}/key/{older}"
    refused = await servers.ask(left, removal, "DELETE")
    assert refused.status == 409
    assert servers.addresses[leader].encode() in refused.body
    assert (await servers.ask(left, removal + "?force=true", "DELETE")).status == 200
    await until(lambda: all_say(servers, (ACTIVE, "")))


@with_servers()
async def test_a_full_rotation_ends_when_no_disk_has_older_text(servers: ServerCluster) -> None:
    await until(lambda: all_say(servers, (ACTIVE, "")))
    (older,) = keys(servers, 0)
    leader = await servers.leader()
    away = (leader + 1) % 3
    await servers.stop(away)
    await rotate(servers, leader, "?full")
    await until(lambda: all_say(servers, (ACTIVE, "disks"), (REKEYING, "")))
    for server in servers.running.values():
        await until(lambda: server.machine.store.rows(root_keys.TABLE)[older].unused_index)  # noqa: B023
    unused = keys(servers, leader)[older].unused_index
    others = [server.replica for server in servers.running.values()]

    async def clean() -> bool:
        return min([await replica.oldest_on_disk() for replica in others]) > unused

    await eventually(clean)
    assert all_say(servers, (ACTIVE, "disks"), (REKEYING, ""))  # one is away
    await servers.start(away)
    await until(lambda: all_say(servers, (ACTIVE, ""), (INACTIVE, "")), timeout_s=30)
    assert await servers.running[away].replica.oldest_on_disk() > unused
    assert (await servers.ask(leader, f"{KEYRING}/key/{older}", "DELETE")).status == 200
    assert servers.running[leader].agent.stats()["quorate"]["older_text_on_disk"] == ""
