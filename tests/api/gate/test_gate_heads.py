"""A head that a connection repeats is resolved once, and still counts no longer than its token."""

from __future__ import annotations

from datetime import datetime
from random import Random

import pytest
from acl_server import BOSS, AclServer
from api_running import asynchronous
from fake_server import answered

from quorate.api.app import HttpApplication
from quorate.api.gate import gate
from quorate.api.http.messages import Request
from quorate.metrics import Metrics

AUTOPILOT = b"/v1/operator/autopilot/configuration"


class Connection:
    """One that sends the same head again and again: the same list of headers."""

    def __init__(self, server: AclServer, secret: str) -> None:
        self._server = server
        self._headers = [(b"host", b"localhost"), (b"x-nomad-token", secret.encode())]

    async def status(self, target: bytes = AUTOPILOT) -> int:
        request = Request("GET", target, self._headers)
        return (await answered(self._server.app, request)).status


async def served() -> tuple[AclServer, dict[str, str]]:
    server = AclServer()
    await server.bootstrap()
    await server.make_policy("reader")
    made = await server.make_token(Policies=["reader"])
    return server, made


@asynchronous
async def test_a_deleted_token_is_refused_by_the_next_request() -> None:
    server, made = await served()
    one, other = Connection(server, made["SecretID"]), Connection(server, BOSS)
    for _ in range(3):
        assert (await one.status(), await other.status()) == (200, 200)
    await server.ask("DELETE", f"token/{made['AccessorID']}")
    assert (await one.status(), await other.status()) == (403, 200)


@asynchronous
async def test_a_right_that_was_taken_away_is_gone_at_once_and_one_given_there() -> None:
    server, made = await served()
    one = Connection(server, made["SecretID"])
    assert await one.status() == 200
    await server.make_policy("reader", 'node { policy = "read" }')
    assert (await one.status(), await one.status(b"/v1/agent/members")) == (403, 200)
    await server.ask("DELETE", "policy/reader")
    assert await one.status(b"/v1/agent/members") == 403
    nobody = Connection(server, "")
    assert await nobody.status() == 403
    await server.make_policy("anonymous")
    assert await nobody.status() == 200


@asynchronous
async def test_a_token_ends_on_time() -> None:
    server, _ = await served()
    made = await server.make_token(Policies=["reader"], ExpirationTTL="1h")
    end = datetime.fromisoformat(made["ExpirationTime"]).timestamp()
    clock = [end - 1]
    server.app = HttpApplication(server.parts(), Metrics(), lambda: clock[0], Random(1))
    one = Connection(server, made["SecretID"])
    for _ in range(2):
        assert await one.status() == 200
    clock[0] = end + 0.001
    assert await one.status() == 403
    assert await one.status() == 403


@asynchronous
async def test_more_connections_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HEADS_MAX", 2)
    server, made = await served()
    known = [Connection(server, secret) for secret in (BOSS, made["SecretID"], "x", "", BOSS)]
    for _ in range(3):
        assert [await each.status() for each in known] == [200, 200, 403, 403, 200]
