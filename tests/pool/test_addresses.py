"""Addresses to join, as people write them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from quorate.gossip.messages import Address
from quorate.pool.addresses import ip_text, join_text, parse_target, resolve


@pytest.mark.parametrize(
    ("text", "name", "host", "port"),
    [
        ("10.0.0.1", "", "10.0.0.1", 4648),
        ("10.0.0.1:7946", "", "10.0.0.1", 7946),
        ("server.example", "", "server.example", 4648),
        ("server.example:1", "", "server.example", 1),
        ("::1", "", "::1", 4648),
        ("[::1]", "", "::1", 4648),
        ("[2001:db8::1]:65535", "", "2001:db8::1", 65535),
        ("a.global/10.0.0.1:5", "a.global", "10.0.0.1", 5),
        ("a.global/[::1]:5", "a.global", "::1", 5),
        (" 10.0.0.1:5 ", "", "10.0.0.1", 5),
    ],
)
def test_forms(text: str, name: str, host: str, port: int) -> None:
    assert parse_target(text, 4648)[1:] == (name, host, port)


@pytest.mark.parametrize(
    "text", ["", "a/", ":5", "[::1", "[::1]5", "[]:5", "a:", "a:0", "a:65536", "a:-1", "a:http"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r'"'):
        parse_target(text, 4648)


def test_resolving() -> None:
    async def found(text: str) -> list[Address]:
        return await resolve(parse_target(text, 4648))

    assert asyncio.run(found("127.0.0.1")) == [Address("127.0.0.1", 4648)]
    assert asyncio.run(found("[0:0::1]:7")) == [Address("::1", 7)]
    assert asyncio.run(found("[::ffff:10.0.0.1]:7")) == [Address("10.0.0.1", 7)]
    assert Address("127.0.0.1", 9) in asyncio.run(found("localhost:9"))
    for text in ("no.such.host.invalid", "x" * 300 + ":1", "a b"):
        with pytest.raises(ValueError, match=r"lookup .*: (no such host|.*: no DNS server)"):
            asyncio.run(found(text))


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL])
def test_that_no_dns_server_answers_is_named(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolver(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(
        ValueError, match=r"lookup s1\.example: temporary failure .*: no DNS server"
    ):
        asyncio.run(resolve(parse_target("s1.example", 4648)))


def test_as_text() -> None:
    assert join_text(Address("10.0.0.1", 1)) == "10.0.0.1:1"
    assert join_text(Address("::1", 1)) == "[::1]:1"
    assert ip_text("server.example") is None
