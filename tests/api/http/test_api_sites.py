"""Web pages at the HTTP port: of other sites, and behind names that were turned to this server."""

from __future__ import annotations

import time

import pytest
from api_running import asynchronous
from api_server import Answer, RawClient, connected, message, serving
from fake_server import FakeServer

from quorate.api.http.sites import HOSTS_REMEMBERED, Sites
from quorate.state.tables import autopilot

AUTOPILOT = "/v1/operator/autopilot/configuration"
BODY = b'{"CleanupDeadServers":true,"MinQuorum":3}'
NAMES = ("s1", "nomad.corp")
TRUSTED = ("Proxy.Example.",)
BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"


def request(method: str, host: str, *headers: str) -> bytes:
    body = BODY if method in {"PUT", "POST"} else b""
    text = message(method, AUTOPILOT, *headers, body=body)
    return text.replace(b"Host: localhost", b"Host: " + host.encode("latin-1"))


async def answer(method: str, host: str, *headers: str) -> tuple[Answer, bool]:
    """The answer, and whether anything was written."""
    service = FakeServer().write_defaults()
    sites = Sites(NAMES, TRUSTED)
    async with (
        serving(service.application(), sites) as served,
        connected(served.port) as client,
    ):
        client.send(request(method, host, *headers))
        got = await client.answer()
    stored = autopilot.current(service.readable())
    assert stored is not None
    return got, stored.min_quorum == 3


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:4646", "http://evil.example"),
        ("localhost:4646", "http://localhost:3000"),  # another page of the same machine
        ("127.0.0.1:4646", "http://127.0.0.1"),
        ("127.0.0.1:4646", "http://6.6.6.6:4646"),  # its IP address names it, not this server
        ("nomad.corp", "https://nomad.corp.evil.example"),
        ("nomad.corp", "null"),  # a file, or a page in a sandbox
        ("nomad.corp", ""),
        ("nomad.corp", "nomad.corp"),
        ("nomad.corp", "http://[nomad.corp"),
        ("nomad.corp", "http://" + "x" * 9000),
    ],
)
@asynchronous
async def test_a_page_of_another_site_changes_nothing(host: str, origin: str) -> None:
    got, written = await answer("PUT", host, f"Origin: {origin}")
    assert (got.status, written) == (403, False)
    assert got.body.startswith(b"refused: a web page of ")
    assert b"http_hosts" in got.body
    assert len(got.body) < 500
    assert got.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x\x9b"])
@asynchronous
async def test_what_a_browser_says_of_the_site_is_enough(site: str) -> None:
    got, written = await answer("PUT", "localhost", f"Sec-Fetch-Site: {site}")
    assert (got.status, written) == (403, False)
    assert got.body.decode().isprintable()


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("127.0.0.1:4646", ()),
        ("rebound.example:4646", ()),  # no browser: a client may use any name
        ("rebound.example:4646", ("User-Agent: Go-http-client/1.1",)),
        ("127.0.0.1:4646", ("Origin: http://127.0.0.1:4646", BROWSER)),
        ("[::1]:4646", ("Origin: http://[::1]:4646", BROWSER)),
        ("LOCALHOST:4646", ("Origin: http://localhost:4646", BROWSER)),
        ("ui.localhost", ("Origin: http://ui.localhost:80", BROWSER)),
        ("S1.:4646", ("Origin: http://s1.:4646", BROWSER, "Sec-Fetch-Site: same-origin")),
        ("nomad.corp", ("Origin: https://nomad.corp", BROWSER)),
        ("proxy.example", ("Origin: https://proxy.example", BROWSER)),
        # A proxy that puts its own address into Host: the operator has named it.
        ("127.0.0.1:4646", ("Origin: https://proxy.example:8443", "Sec-Fetch-Site: cross-site")),
        ("localhost", ("Sec-Fetch-Site: none", BROWSER)),
    ],
)
@asynchronous
async def test_own_pages_and_other_clients_change_things(
    host: str, headers: tuple[str, ...]
) -> None:
    got, written = await answer("PUT", host, *headers)
    assert (got.status, got.body, written) == (200, b"true", True)


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
@pytest.mark.parametrize(
    "sign",
    [
        BROWSER,
        "Origin: http://rebound.example:4646",
        "Referer: http://rebound.example:4646/",
        "Sec-Fetch-Mode: cors",
        "Accept-Language: en",  # which no page can take away
    ],
)
@asynchronous
async def test_a_name_turned_to_this_server_opens_nothing(method: str, sign: str) -> None:
    got, written = await answer(method, "rebound.example:4646", sign)
    assert (got.status, written) == (403, False)
    assert got.body.startswith(b'refused: this server is not known by the name "rebound.example')
    assert b"http_hosts" in got.body


@pytest.mark.parametrize("host", ["", "x" * 9000, "127.0.0.1.evil.example", "a\xffb", "[nomad"])
@asynchronous
async def test_other_foreign_names(host: str) -> None:
    got, _ = await answer("GET", host, BROWSER)
    assert got.status == 403
    assert len(got.body) < 500


@asynchronous
async def test_pages_of_other_sites_get_the_answers_of_any_client() -> None:
    """A browser keeps what they may not read from them, and most answers are so (CORS)."""
    for method, status in (("GET", 200), ("OPTIONS", 404)):
        headers = ("Origin: http://example.com", "Access-Control-Request-Method: GET")
        got, _ = await answer(method, "localhost:4646", *headers)
        assert got.status == status
        assert not any(name.startswith("access-control-") for name in got.headers)


@asynchronous
async def test_one_connection_may_carry_both() -> None:
    """The judgement is one of each request, also where the same bytes come again."""
    service = FakeServer().write_defaults()
    async with serving(service.application(), Sites(NAMES)) as served:
        async with connected(served.port) as client:
            for _ in range(3):
                client.send(request("PUT", "localhost"))
                assert (await client.answer()).status == 200
            await refused(client)
        for _ in range(2):
            async with connected(served.port) as client:
                await refused(client)


async def refused(client: RawClient) -> None:
    client.send(request("PUT", "localhost", "Origin: http://evil.example"))
    assert (await client.answer()).status == 403
    assert await client.closed() == b""


def test_what_is_remembered_is_bounded_and_cheap() -> None:
    sites = Sites(NAMES)
    for number in range(4 * HOSTS_REMEMBERED):
        assert not sites.objection("PUT", {b"host": b"h%d" % number})
        assert sites.objection("PUT", {b"host": b"h%d" % number, b"origin": b"http://h"})
    headers = {b"host": b"10.0.0.1:4646", b"user-agent": b"x"}
    rounds = 20_000
    best = 1.0
    for _ in range(5):
        began = time.thread_time()
        for _ in range(rounds):
            sites.objection("GET", headers)
        best = min(best, time.thread_time() - began)
    assert best / rounds < 2e-6
