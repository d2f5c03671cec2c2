"""Requests for one server of several, asked at another one, between real servers."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

from api_running import asynchronous
from api_server import connected, get, serving
from server_cluster import ServerCluster, until

from quorate.api.endpoints.frames import PassedOn
from quorate.api.gate.ends import LOOK_S
from quorate.api.http.messages import Response, StreamResponse
from quorate.loglines import taps
from quorate.loglines.taps import TAPS
from quorate.server.options import AclOptions
from quorate.state.tables.acl.standing import ACL_LEVEL

BOSS = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"

LINES = 800

log = logging.getLogger("quorate.named")


async def machine(number: int) -> dict[str, Any]:
    return {"Machine": number}


async def started(folder: Path) -> ServerCluster:
    """Three servers with access control, each of which says another thing of its machine."""
    servers = ServerCluster(folder, acl=AclOptions(enabled=True))
    for number in range(3):
        servers.options["host_data"] = partial(machine, number)
        await servers.start(number)
    return servers


@asynchronous
async def test_another_server_is_asked_at_any_one(tmp_path: Path) -> None:
    servers = await started(tmp_path)
    try:
        leader = await servers.leader()
        asked, other = (leader + 1) % 3, (leader + 2) % 3
        running = servers.running.values()
        await until(lambda: all(each.machine.store.level >= ACL_LEVEL for each in running))
        await put(servers, asked, "/v1/acl/bootstrap", {"BootstrapSecret": BOSS}, "")
        await put(
            servers, asked, "/v1/acl/policy/a", {"Name": "a", "Rules": 'agent{policy="read"}'}
        )
        made = await put(servers, asked, "/v1/acl/token", {"Type": "client", "Policies": ["a"]})
        await machines(servers, asked, made["SecretID"])
        await logs(servers, asked, other, made["SecretID"])
        await slow_readers(servers, asked, other)
        await ended(servers, asked, other, made)
    finally:
        await servers.stop()


async def put(
    servers: ServerCluster, number: int, target: str, body: object, token: str = BOSS
) -> Any:
    answer = await servers.ask(number, target, "PUT", json.dumps(body), token)
    assert answer.status == 200, answer.body
    return json.loads(answer.body or b"null")


async def machines(servers: ServerCluster, asked: int, token: str) -> None:
    """By ID, by name, and by its office."""
    names = {f"s{number}.global": number for number in range(3)}
    ids = {server.replica.server_id: number for number, server in servers.running.items()}
    leader = {"leader": await servers.leader(), "": asked}
    for name, number in {**names, **ids, **leader}.items():
        answer = await servers.ask(asked, f"/v1/agent/host?server_id={name}", token=token)
        assert (answer.status, answer.body) == (200, b'{"Machine":%d}' % number), name
    answer = await servers.ask(asked, "/v1/agent/host?server_id=nosuch", token=token)
    assert (answer.status, answer.body) == (400, b"unknown Nomad server nosuch")
    answer = await servers.ask(asked, "/v1/agent/host?server_id=leader", token="")
    assert (answer.status, answer.body) == (403, b"Permission denied")


async def logs(servers: ServerCluster, asked: int, other: int, token: str) -> None:
    """Lines come while they are logged, until the caller goes."""
    target = f"/v1/agent/monitor?plain=true&server_id=s{other}.global"
    async with serving(servers.applications[asked]) as served, connected(served.port) as client:
        client.send(get(target, f"X-Nomad-Token: {token}"))
        await client.reader.readuntil(b"\r\n\r\n")
        await until(lambda: len(TAPS) == 1)
        log.info("said")
        await client.reader.readuntil(b"quorate.named: said\n")
        assert PassedOn.count() == 1
    await until(lambda: not len(TAPS))
    assert PassedOn.count() == 0


async def slow_readers(servers: ServerCluster, asked: int, other: int) -> None:
    """The one that writes loses lines and says so; nothing piles up on the way."""
    response = await watch(servers, asked, other, BOSS)
    first = asyncio.ensure_future(anext(response.pieces))
    await until(lambda: len(TAPS) == 1)
    log.info("the first")
    await first
    line = "x" * (taps.LINE_BYTES_MAX - 100)
    for _ in range(LINES // 8):  # more than sockets and both servers hold
        for _ in range(8):
            log.info(line)
        await asyncio.sleep(0.001)
    text, size = b"", 0
    while b"lines are missing here" not in text:
        text = text[-100:] + await anext(response.pieces)
        size += len(text)
    assert size < LINES * taps.LINE_BYTES_MAX
    await response.pieces.aclose()
    await until(lambda: not len(TAPS))


async def ended(servers: ServerCluster, asked: int, other: int, made: dict[str, Any]) -> None:
    """The stream ends within a second of the token's end."""
    response = await watch(servers, asked, other, made["SecretID"])
    reading = asyncio.ensure_future(_all(response))
    await until(lambda: len(TAPS) == 1)
    answer = await servers.ask(asked, f"/v1/acl/token/{made['AccessorID']}", "DELETE", token=BOSS)
    assert answer.status == 200
    async with asyncio.timeout(2 * LOOK_S + 1):  # and the time that a busy machine takes
        await reading
    await response.pieces.aclose()
    await until(lambda: not len(TAPS))


async def watch(servers: ServerCluster, asked: int, other: int, token: str) -> StreamResponse:
    server_id = servers.running[other].replica.server_id
    target = f"/v1/agent/monitor?plain=true&server_id={server_id}"
    response: Response = await servers.ask(asked, target, token=token)
    assert isinstance(response, StreamResponse), response.body
    return response


async def _all(response: StreamResponse) -> None:
    async for _ in response.pieces:
        pass
