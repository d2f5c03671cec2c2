"""What an agent says of itself."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from api_running import asynchronous, until
from fake_server import FakeServer, answered
from golden_setups import leader, load

from quorate.api.http.messages import Request, Response


@pytest.mark.parametrize("name", ["r3-agent-self", "enc-agent-self-encrypted"])
def test_self_has_the_shape_of_real_servers(name: str) -> None:
    golden = load(name)
    service = leader(golden)
    service.options.name = service.pool[0].name.removesuffix(".global")
    response = service.application().handle(Request("GET", b"/v1/agent/self"))
    assert isinstance(response, Response)
    got = msgspec.json.decode(response.body)
    assert list(got) == ["config", "member", "stats"]
    if golden.json is not None:
        assert list(got) == list(golden.json)
        assert got["member"] == golden.json["member"]
        # The numbers themselves are the server's.
        assert set(got["stats"]) <= set(golden.json["stats"])
        assert set(got["config"]) <= set(golden.json["config"])


def test_self_without_a_place_in_the_pool() -> None:
    service = FakeServer()
    service.pool = []
    response = service.application().handle(Request("GET", b"/v1/agent/self?pretty"))
    assert isinstance(response, Response)
    assert msgspec.json.decode(response.body)["member"] is None


@asynchronous
async def test_health_waits_for_an_election() -> None:
    service = FakeServer("s1", role="lost")
    task = asyncio.ensure_future(
        answered(service.application(), Request("GET", b"/v1/agent/health"))
    )
    await until(lambda: service.waits > 0)
    service.leader_at = "127.0.0.2:4647"
    response = await task
    assert (response.status, response.body) == (200, b'{"server":{"message":"ok","ok":true}}')


@asynchronous
async def test_health_says_why_nobody_leads() -> None:
    service = FakeServer("s1", role="lost")
    service.reason = "no leader: 1 of 3 voters are here (s1.global), and 2 are needed"
    response = await answered(service.application(), Request("GET", b"/v1/agent/health"))
    assert response.status == 500
    message = msgspec.json.decode(response.body)["server"]["message"]
    assert message == f"No cluster leader; {service.reason}"


def test_health_of_a_client_is_known_without_a_leader() -> None:
    response = (
        FakeServer(role="lost")
        .application()
        .handle(Request("GET", b"/v1/agent/health?type=client"))
    )
    assert isinstance(response, Response)
    assert response.status == 500
    assert response.header(b"content-type") == b"text/plain; charset=utf-8"


@asynchronous
async def test_the_machine_is_shown_where_that_is_configured() -> None:
    service = FakeServer()
    request = Request("GET", b"/v1/agent/host?pretty")
    refused = await answered(service.application(), request)
    assert (refused.status, refused.body) == (403, b"Permission denied")

    async def data() -> dict[str, str]:
        return {"OS": "Linux"}

    service.options.host_data = data
    shown = await answered(service.application(), request)
    assert (shown.status, shown.body) == (200, b'{\n    "OS": "Linux"\n}\n')
