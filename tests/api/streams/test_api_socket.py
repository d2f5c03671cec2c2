"""Real connections: order, bodies, ends of connections, and both ways through the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import httpx
import msgspec
import pytest
from api_running import asynchronous, until
from api_server import Answer, RawClient, Served, connected, get, message, serving
from fake_server import FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.api.app import HttpApplication
from quorate.state.tables import autopilot

LEADER = "/v1/status/leader"
REGIONS = "/v1/regions"
AUTOPILOT = "/v1/operator/autopilot/configuration"
BODY = b'{"CleanupDeadServers":true,"MinQuorum":3}'


def application() -> HttpApplication:
    return FakeServer().write_defaults().application()


@asynchronous
async def test_an_ordinary_client() -> None:
    async with serving(application()) as served, httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.get(LEADER)).json() == "127.0.0.3:4647"
        assert (await client.put(AUTOPILOT, content=BODY)).json() is True
        response = await client.get(AUTOPILOT, params={"pretty": "true"})
        assert response.json()["MinQuorum"] == 3
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["content-type"] == "application/json"
        assert response.headers["date"] == "Mon, 23 Nov 2026 14:40:00 GMT"
        assert (await client.get("/", follow_redirects=True)).headers["content-type"] == (
            "text/html; charset=utf-8"
        )
        assert (await client.head(LEADER)).status_code == 405
        assert (await client.get(LEADER)).status_code == 200
        assert served.listener.connections == 1


@asynchronous
async def test_the_same_request_again_and_again_among_others() -> None:
    """Bytes that come again are not parsed again; the answers must be those of the moment."""
    service = FakeServer().write_defaults()
    async with serving(service.application()) as served, connected(served.port) as client:
        for index in (22, 23):
            service.view = type(service.view)(index=index, servers=service.view.servers)
            for _ in range(3):
                answer = await client.get("/v1/operator/raft/configuration")
                assert msgspec.json.decode(answer.body)["Index"] == index
            assert (await client.get(REGIONS)).body == b'["global"]'
        client.send(message("HEAD", LEADER))
        assert (await client.answer(head=True)).headers["content-length"] == "14"
        client.send(message("HEAD", LEADER))
        assert (await client.answer(head=True)).headers["content-length"] == "14"
        client.send(get(LEADER, "Accept-Encoding: gzip"))
        assert "content-encoding" in (await client.answer()).headers
        assert "content-encoding" not in (await client.get(LEADER)).headers
        client.send(get(LEADER, "Connection: close"))
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.closed() == b""


# -- order ---------------------------------------------------------------------------------------

SCRIPT: list[tuple[bytes, int, bytes]] = [
    (get(LEADER), 200, b'"127.0.0.3:4647"'),
    (message("PUT", AUTOPILOT, body=BODY), 200, b"true"),
    (get("/v1/nosuch"), 404, b""),
    (get("/v1/namespaces?index=1&wait=10ms&prefix=zz"), 200, b"[]"),
    (message("PUT", AUTOPILOT, body=b"{"), 400, b"Error parsing autopilot config"),
    (get(REGIONS), 200, b'["global"]'),
    (
        message("PUT", AUTOPILOT, "Transfer-Encoding: chunked")
        + b"5\r\n"
        + BODY[:5]
        + b"\r\n"
        + f"{len(BODY) - 5:x}\r\n".encode()
        + BODY[5:]
        + b"\r\n0\r\n\r\n",
        200,
        b"true",
    ),
    (message("DELETE", "/v1/operator/raft/peer?id=x"), 500, b'id "x" was not found'),
    (get(LEADER, "Content-Length: 3") + b"abc", 200, b'"127.0.0.3:4647"'),
    (message("POST", "/v1/operator/raft/configuration", body=b"xyz"), 405, b""),
    (get("/v1/%zz"), 400, b"the request target is no valid path"),
]


async def check_script(client: RawClient) -> None:
    for _, status, start in SCRIPT:
        answer = await client.answer()
        assert (answer.status, answer.body[: len(start)]) == (status, start)


@pytest.mark.parametrize("times", [1, 5])
@asynchronous
async def test_requests_sent_ahead_are_answered_in_order(times: int) -> None:
    async with serving(application()) as served, connected(served.port) as client:
        client.send(b"".join(step[0] for step in SCRIPT) * times)
        for _ in range(times):
            await check_script(client)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_it_does_not_matter_how_the_bytes_are_cut(sizes: list[int]) -> None:
    @asynchronous
    async def test() -> None:
        data = b"".join(step[0] for step in SCRIPT)
        async with serving(application()) as served, connected(served.port) as client:
            for size in sizes:
                client.send(data[:size])
                data = data[size:]
                await asyncio.sleep(0)
            client.send(data)
            await check_script(client)

    test()


@asynchronous
async def test_head_in_the_midst_has_a_length_and_no_body() -> None:
    async with serving(application()) as served, connected(served.port) as client:
        for sent_ahead in (False, True):
            ahead = get("/v1/namespaces?index=1&wait=10ms") if sent_ahead else b""
            client.send(ahead + message("HEAD", LEADER) + get(LEADER))
            if sent_ahead:
                assert (await client.answer()).status == 200
            answer = await client.answer(head=True)
            assert (answer.status, answer.headers["content-length"]) == (405, "14")
            assert (await client.answer()).body == b'"127.0.0.3:4647"'


# -- the ways a connection ends ------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        get(LEADER, "Connection: close"),
        b"GET /v1/status/leader HTTP/1.0\r\n\r\n",
        get(LEADER, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"),
        get("/v1/namespaces?index=1&wait=10ms", "Connection: close"),
    ],
    ids=["close", "1.0", "upgrade", "later"],
)
@asynchronous
async def test_a_connection_that_is_to_be_closed_is_closed(request_: bytes) -> None:
    async with serving(application()) as served, connected(served.port) as client:
        client.send(request_ + get(REGIONS))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.closed() == b""


@asynchronous
async def test_a_reader_that_goes_away_leaves_nothing_behind() -> None:
    service = FakeServer()
    async with serving(service.application()) as served:
        async with connected(served.port) as client:
            client.send(get("/v1/namespaces?index=1&wait=5m"))
            await until(lambda: service.store.watching == 1)
        await until(lambda: service.store.watching == 0)
        assert served.listener.connections == 0


@asynchronous
async def test_a_write_goes_on_when_its_client_goes_away() -> None:
    service = FakeServer(role="lost").write_defaults()
    async with serving(service.application()) as served:
        async with connected(served.port) as client:
            client.send(message("PUT", AUTOPILOT, body=BODY))
            await until(lambda: service.waits > 0)
        await until(lambda: served.listener.connections == 0)
        service.role = service.leader_at = "leader"

        def written() -> bool:
            configuration = autopilot.current(service.store)
            return configuration is not None and configuration.min_quorum == 3

        await until(written)


@asynchronous
async def test_expect_continue_gets_its_interim_answer() -> None:
    async with serving(application()) as served, connected(served.port) as client:
        head, _, _ = message("PUT", AUTOPILOT, "Expect: 100-continue", body=BODY).partition(BODY)
        client.send(head)
        assert (await client.answer()).status == 100
        client.send(BODY)
        assert (await client.answer()).body == b"true"
        assert (await client.get(LEADER)).status == 200


# -- closing the listener ------------------------------------------------------------------------


async def closing(
    use: Callable[[RawClient, Served], Awaitable[Answer | None]], grace_s: float
) -> Answer | None:
    async with serving(application()) as served, connected(served.port) as client:
        task = asyncio.ensure_future(use(client, served))
        await until(lambda: served.listener.connections == 1)
        await asyncio.sleep(0.02)
        await served.listener.close(grace_s)
        assert served.listener.connections == 0
        return await task


@asynchronous
async def test_an_idle_connection_is_closed_at_once() -> None:
    async def use(client: RawClient, _: Served) -> None:
        assert await client.closed() == b""

    await closing(use, 60.0)


@asynchronous
async def test_a_request_in_hand_is_answered_before_its_connection_is_closed() -> None:
    async def use(client: RawClient, _: Served) -> Answer:
        answer = await client.get("/v1/namespaces?index=1&wait=100ms")
        assert await client.closed() == b""
        return answer

    answer = await closing(use, 60.0)
    assert answer is not None
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("ahead", [b"", get("/v1/namespaces?index=1&wait=5m")])
@asynchronous
async def test_a_request_that_takes_too_long_is_cut_off_after_the_grace(ahead: bytes) -> None:
    async def use(client: RawClient, _: Served) -> None:
        client.send(get("/v1/namespaces?index=1&wait=5m") + ahead)
        assert await client.closed() == b""

    await closing(use, 0.05)


@asynchronous
async def test_a_connection_is_handed_over_with_its_first_bytes() -> None:
    """As the RPC port does when the first byte is that of HTTP."""
    async with serving(application()) as served:
        loop = asyncio.get_running_loop()

        class FirstByte(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.Transport", transport)

            def data_received(self, data: bytes) -> None:
                protocol = served.listener()
                self.transport.set_protocol(protocol)
                protocol.connection_made(self.transport)
                protocol.data_received(data)

        server = await loop.create_server(FirstByte, "127.0.0.1", 0)
        async with connected(server.sockets[0].getsockname()[1]) as client:
            client.send(b"G")
            await asyncio.sleep(0.01)
            client.send(get(LEADER)[1:])
            assert (await client.answer()).body == b'"127.0.0.3:4647"'
            assert (await client.get(REGIONS)).body == b'["global"]'
        server.close()
