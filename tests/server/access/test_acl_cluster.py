"""Access control of three servers: the first token, revocation, the transition."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from api_running import asynchronous
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.messages import StreamResponse
from quorate.server.options import AclOptions
from quorate.state.tables.acl.standing import ACL_LEVEL

BOSS = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
ON = AclOptions(enabled=True, ttl_min_s=1.0)


async def ask(
    servers: ServerCluster,
    number: int,
    method: str,
    target: str,
    body: Any = None,
    token: str = BOSS,
) -> tuple[int, str]:
    text = "" if body is None else json.dumps(body)
    answer = await servers.ask(number, target, method, text, token)
    if isinstance(answer, StreamResponse):
        await answer.pieces.aclose()
    return answer.status, answer.body.decode()


async def bootstrapped(servers: ServerCluster, number: int) -> None:
    await until(
        lambda: all(each.machine.store.level >= ACL_LEVEL for each in servers.running.values())
    )
    status, text = await ask(
        servers, number, "PUT", "/v1/acl/bootstrap", {"BootstrapSecret": BOSS}, ""
    )
    assert status == 200, text


async def make_token(servers: ServerCluster, number: int, **fields: Any) -> dict[str, Any]:
    status, text = await ask(servers, number, "PUT", "/v1/acl/token", fields)
    assert status == 200, text
    made: dict[str, Any] = json.loads(text)
    return made


@asynchronous
async def test_the_first_token_and_one_of_a_policy(tmp_path: Path) -> None:
    async with cluster(tmp_path, acl=ON) as servers:
        leader = await servers.leader()
        follower = (leader + 1) % 3
        await until(lambda: servers.running[follower].machine.store.level >= ACL_LEVEL)
        assert (await ask(servers, follower, "GET", "/v1/agent/self", token=""))[0] == 403
        status, text = await ask(servers, follower, "PUT", "/v1/acl/bootstrap", token="")
        assert (status, "BootstrapSecret" in text) == (403, True)
        await bootstrapped(servers, follower)
        body = {"Name": "reader", "Rules": 'operator { policy = "read" }'}
        assert (await ask(servers, follower, "PUT", "/v1/acl/policy/reader", body))[0] == 200
        made = await make_token(servers, follower, Type="client", Policies=["reader"])
        secret = made["SecretID"]
        for number in range(3):
            for target, status in (
                ("/v1/operator/autopilot/configuration", 200),
                ("/v1/operator/autopilot/configuration?stale", 200),
                ("/v1/operator/state", 200),
                ("/v1/operator/raft/configuration", 403),
                ("/v1/agent/self", 403),
            ):
                found = await ask(servers, number, "GET", target, token=secret)
                assert found[0] == status, f"{target} at s{number}: {found}"


@asynchronous
async def test_a_deleted_token_counts_nowhere_any_more(tmp_path: Path) -> None:
    async with cluster(tmp_path, acl=ON) as servers:
        leader = await servers.leader()
        await bootstrapped(servers, leader)
        secrets = []
        for number in range(3):
            made = await make_token(servers, number, Type="management", Name=f"of {number}")
            secrets.append((made["AccessorID"], made["SecretID"]))
            # It counts at once wherever it is shown: the one that was asked may be behind.
            for other in range(3):
                for target in ("/v1/agent/self", "/v1/operator/raft/configuration"):
                    found = await ask(servers, other, "GET", target, token=made["SecretID"])
                    assert found[0] == 200, found
        follower = (leader + 1) % 3
        for accessor, secret in secrets:
            told = await servers.ask(follower, f"/v1/acl/token/{accessor}", "DELETE", token=BOSS)
            assert told.status == 200
            assert told.header(b"X-Quorate-Behind") == b""
            for number in range(3):
                # A follower takes a moment to refuse by what it knows itself: once is enough.
                here = ("/v1/agent/self", "/v1/vars?stale") if secret is secrets[0][1] else ()
                asked = (
                    ("GET", "/v1/vars"),
                    ("PUT", "/v1/var/a"),
                    *(("GET", each) for each in here),
                )
                for method, target in asked:
                    found = await ask(
                        servers, number, method, target, {"Items": {"k": "v"}}, secret
                    )
                    assert found == (403, "ACL token not found")


class Writer:
    """A client that writes one variable after the other, at whichever server takes it."""

    def __init__(self, servers: ServerCluster) -> None:
        self._servers = servers
        self.token = ""
        self.written = 0  # all up to this one were confirmed
        self.stop = False
        self.refused: list[str] = []

    async def run(self) -> None:
        while not self.stop:
            number = self.written + 1
            for server in sorted(self._servers.running):
                if await self._write(number, server):
                    self.written = number
                    break
            await asyncio.sleep(0.002)

    async def _write(self, number: int, server: int) -> bool:
        items = {"Items": {"n": str(number)}}
        try:
            target = f"/v1/var/n/{number}"
            found = await ask(self._servers, server, "PUT", target, items, self.token)
        except Exception as error:  # noqa: BLE001  of a server that stops meanwhile
            found = (500, repr(error))
        if found[0] == 403:
            self.refused.append(f"{number} at s{server}: {found}")
        return found[0] == 200

    async def writes(self, count: int) -> None:
        """Wait for so many more."""
        wanted = self.written + count
        await until(lambda: self.written >= wanted)


def _enforces(servers: ServerCluster, number: int) -> bool:
    return not servers.running[number].access.transition


@pytest.mark.long
@asynchronous
async def test_from_no_access_control_to_it_with_writes_all_along(tmp_path: Path) -> None:
    """Each server is restarted twice at most, nothing is lost, and nobody is shut out."""
    async with cluster(tmp_path) as servers:
        writer = Writer(servers)
        work = asyncio.ensure_future(writer.run())
        servers.options["acl"] = AclOptions(enabled=True, transition=True, ttl_min_s=1.0)
        for number in range(3):
            await writer.writes(3)
            await servers.stop(number)
            await servers.start(number)
            await servers.leader()
        leader = await servers.leader()
        await bootstrapped(servers, leader)
        body = {
            "Name": "writer",
            "Rules": 'namespace "*" { variables { path "*" { capabilities = ["write"] } } }',
        }
        assert (await ask(servers, leader, "PUT", "/v1/acl/policy/writer", body))[0] == 200
        made = await make_token(servers, leader, Type="client", Policies=["writer"])
        # What a stranger may do in passing does not outlive it.
        found = await ask(servers, leader, "PUT", "/v1/acl/token", {"Type": "management"}, "")
        assert found == (403, "Permission denied")
        await until(lambda: servers.running[leader].access.refusals.count > 0)
        status, text = await ask(servers, leader, "GET", "/v1/acl/transition")
        assert (status, json.loads(text)["InForce"]) == (200, True)
        assert json.loads(text)["Callers"]["anonymous"] > 0
        told = (await ask(servers, leader, "GET", "/v1/agent/health", token=""))[1]
        assert "acl.transition lets all requests pass" in told
        writer.token = made["SecretID"]
        await writer.writes(20)
        assert (await ask(servers, leader, "PUT", "/v1/acl/transition", {"Ended": True}))[0] == 200
        for number in range(3):
            await until(partial(_enforces, servers, number))
            assert (await ask(servers, number, "PUT", "/v1/var/x", {"Items": {"k": "v"}}, ""))[
                0
            ] == 403
        await writer.writes(20)
        writer.stop = True
        await work
        assert not writer.refused, writer.refused[:5]
        for number in range(1, writer.written + 1):
            found = await ask(servers, leader, "GET", f"/v1/var/n/{number}")
            assert json.loads(found[1])["Items"] == {"n": str(number)}
