"""Whole servers with ACL: tokens count on all of them, and those that are gone on none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from api_running import asynchronous
from archive_builders import members_of
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.messages import Request, Response, StreamResponse
from quorate.archive.meta import STATE
from quorate.levels import LEVEL
from quorate.server.options import AclOptions
from quorate.state.engine.commands import encode
from quorate.state.tables import root_keys
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.standing import ENFORCED, SetAclPhase

BOSS = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
SNAPSHOT = "/v1/operator/snapshot"
READ = "/v1/operator/autopilot/configuration"
ON = AclOptions(enabled=True)


async def at_the_level(servers: ServerCluster) -> int:
    await until(lambda: all(s.machine.store.level == LEVEL for s in servers.running.values()))
    return await servers.leader()


async def alike(servers: ServerCluster) -> None:
    """All servers come to one state."""

    def same() -> bool:
        stores = [server.machine.store for server in servers.running.values()]
        at = {store.applied_index for store in stores}
        return len(at) == 1 and len({store.digest() for store in stores}) == 1

    await until(same)


async def body_of(response: Response) -> bytes:
    if not isinstance(response, StreamResponse):  # it was passed on
        return response.body
    return b"".join([piece async for piece in response.pieces])


async def ask(
    servers: ServerCluster,
    number: int,
    target: str,
    method: str = "GET",
    body: Any = None,
    *,
    token: str = BOSS,
) -> Response:
    headers = ((b"x-nomad-token", token.encode()),) if token else ()
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    request = Request(method, target.encode(), headers, data)
    answer = servers.applications[number].handle(request)
    return answer if isinstance(answer, Response) else await answer


async def bootstrapped(servers: ServerCluster) -> int:
    """A server that does not lead, asked for all that follows."""
    leader = await at_the_level(servers)
    follower = (leader + 1) % 3
    body = {"BootstrapSecret": BOSS}
    made = await ask(servers, follower, "/v1/acl/bootstrap", "PUT", body, token="")
    assert made.status == 200, made.body
    rules = {"Name": "read", "Rules": 'operator { policy = "read" }'}
    assert (await ask(servers, follower, "/v1/acl/policy/read", "PUT", rules)).status == 200
    return follower


async def token(servers: ServerCluster, number: int, **fields: Any) -> dict[str, Any]:
    body = {"Type": "client", "Policies": ["read"], **fields}
    answer = await ask(servers, number, "/v1/acl/token", "PUT", body)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = json.loads(answer.body)
    return made


@asynchronous
async def test_a_token_counts_everywhere_at_once_and_nowhere_once_it_is_deleted(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, acl=ON) as servers:
        number = await bootstrapped(servers)
        made = await token(servers, number)
        secret, path = made["SecretID"], f"/v1/acl/token/{made['AccessorID']}"
        for each in range(3):
            for target in (READ, READ + "?stale"):
                assert (await ask(servers, each, target, token=secret)).status == 200
            assert (await ask(servers, each, "/v1/acl/tokens", token=secret)).status == 403
        answer = await ask(servers, number, path, "DELETE")
        assert (answer.status, answer.header(b"X-Quorate-Behind")) == (200, b"")
        for each in range(3):
            for target in (READ, READ + "?stale"):
                found = await ask(servers, each, target, token=secret)
                assert (found.status, found.body) == (403, b"ACL token not found")
        # A server that was down hears of it before it answers.
        kept = await token(servers, number)
        await servers.stop(number)
        await servers.leader()
        await servers.start(number)
        await servers.leader()
        answer = await ask(servers, number, "/v1/acl/token/self", token=kept["SecretID"])
        assert json.loads(answer.body)["AccessorID"] == kept["AccessorID"]
        assert not servers.fatal


@asynchronous
async def test_a_restore_leaves_deleted_tokens_dead_and_keeps_acl_if_asked(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, acl=ON) as servers:
        number = await bootstrapped(servers)
        gone, stays = await token(servers, number), await token(servers, number)
        archive = await body_of(await ask(servers, number, SNAPSHOT))
        for secret in (BOSS, gone["SecretID"]):
            assert secret.encode() not in members_of(archive)[STATE]
        path = f"/v1/acl/token/{gone['AccessorID']}"
        assert (await ask(servers, number, path, "DELETE")).status == 200
        later = await token(servers, number)
        rules = {"Name": "read", "Rules": 'operator { policy = "deny" }'}
        assert (await ask(servers, number, "/v1/acl/policy/read", "PUT", rules)).status == 200
        told = await ask(servers, number, SNAPSHOT + "?keep-acl&details", "PUT", archive)
        changes = {each["Table"]: each for each in json.loads(told.body)["Tables"]}
        assert {changes[name]["Rule"] for name in tokens.ALL_TABLES} == {"kept"}
        await alike(servers)
        for each in range(3):
            for secret, status in ((stays, 403), (later, 403), (gone, 403)):
                assert (await ask(servers, each, READ, token=secret["SecretID"])).status == status
            own = await ask(servers, each, "/v1/acl/token/self", token=later["SecretID"])
            assert own.status == 200
        assert (await ask(servers, number, SNAPSHOT, "PUT", archive)).status == 200
        await alike(servers)
        for each in range(3):
            assert (await ask(servers, each, READ, token=stays["SecretID"])).status == 200
            for secret in (gone, later):
                found = await ask(servers, each, READ, token=secret["SecretID"])
                assert (found.status, found.body) == (403, b"ACL token not found")


@asynchronous
async def test_a_transition_ends_by_a_replicated_setting(tmp_path: Path) -> None:
    options = AclOptions(enabled=True, transition=True)
    async with cluster(tmp_path, 1, acl=options) as servers:
        await at_the_level(servers)
        server = servers.running[0]
        assert (await ask(servers, 0, READ, token="")).status == 200
        await server.writes.apply(encode(SetAclPhase(phase=ENFORCED)))
        assert (await ask(servers, 0, READ, token="")).status == 403


@pytest.mark.parametrize("secret", ["", BOSS])
@asynchronous
async def test_the_leader_keeps_secrets_sealed_and_expires_by_its_clock(
    tmp_path: Path, secret: str
) -> None:
    async with cluster(tmp_path, 1, acl=ON) as servers:
        await at_the_level(servers)
        server = servers.running[0]
        await until(lambda: root_keys.active(server.machine.store) is not None)
        made = await server.acl.bootstrap(secret)
        row = server.machine.store.rows(tokens.TABLE)[made.accessor]
        assert made.secret.encode() not in row.data
        assert row.key_id
        caller = server.access.caller(made.secret, time.time())
        assert (caller.accessor, caller.rights.everything) == (made.accessor, True)
