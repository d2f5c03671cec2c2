"""Names are looked up side by side: a good one does not wait behind those that hang."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from net_servers import End, members
from patience import PATIENCE_S
from pool_cluster import Pools, living, until, where

from quorate.levels import LEVEL
from quorate.net.names import LOOKUPS_MAX, connect, lookup, open_stream, unanswered
from quorate.server.rpc.calls import Callers
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.views.raft import Target, gather

SLOW = ".slow.example"
GOOD = "good.example"
MANY = 40
"""Slow names: more than the loop's default threads, of which there are at most 32."""


class Resolver:
    """A resolver that knows `GOOD` at once, and says nothing of slow names until it is told to."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers = threading.Event()
        self.addresses = ["127.0.0.1"]

    def __call__(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.asked[host] += 1
        if host.endswith(SLOW):
            self.answers.wait(60)
        if host != GOOD:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in self.addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    fake = Resolver()
    real = socket.getaddrinfo

    def patched(host: Any, *rest: Any, **more: Any) -> Any:
        named = str(host).endswith(".example")
        return fake(str(host), *rest, **more) if named else real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", patched)
    yield fake
    fake.answers.set()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scenario

    asyncio.run(bounded())


def hang(work: list[Coroutine[Any, Any, Any]]) -> asyncio.Future[list[Any]]:
    return asyncio.gather(*work, return_exceptions=True)


async def all_ask(resolver: Resolver, names: int) -> None:
    await until(lambda: len([n for n in resolver.asked if n.endswith(SLOW)]) == names)


def test_a_good_name_is_found_while_others_hang(resolver: Resolver) -> None:
    async def scenario() -> None:
        slow = hang([lookup(f"{n}{SLOW}") for n in range(MANY)])
        await all_ask(resolver, MANY)
        assert await lookup(GOOD) == ["127.0.0.1"]
        assert not slow.done()
        resolver.answers.set()
        assert all(isinstance(e, socket.gaierror) for e in await slow)

    run(scenario())


def test_a_name_that_hangs_has_one_thread_whatever_number_asks(resolver: Resolver) -> None:
    async def scenario() -> None:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await lookup(f"a{SLOW}")
        slow = hang([lookup(f"a{SLOW}") for _ in range(50)])
        await all_ask(resolver, 1)
        resolver.answers.set()
        await slow
        assert resolver.asked[f"a{SLOW}"] == 1
        with pytest.raises(socket.gaierror):
            await lookup(f"a{SLOW}")
        assert resolver.asked[f"a{SLOW}"] == 2, "what was answered is not kept"

    run(scenario())


def test_lookups_at_one_time_are_bounded(resolver: Resolver) -> None:
    async def scenario() -> None:
        slow = hang([lookup(f"{n}{SLOW}") for n in range(LOOKUPS_MAX + 7)])
        await all_ask(resolver, LOOKUPS_MAX)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(resolver.asked) == LOOKUPS_MAX
        resolver.answers.set()
        await slow
        assert len(resolver.asked) == LOOKUPS_MAX + 7

    run(scenario())


def test_an_address_asks_no_resolver(resolver: Resolver) -> None:
    async def scenario() -> None:
        assert await lookup("10.0.0.1") == ["10.0.0.1"]
        assert await lookup("::1") == ["::1"]
        assert not resolver.asked

    run(scenario())


def test_each_address_of_a_name_is_tried(resolver: Resolver) -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        resolver.addresses = ["127.0.0.9", "127.0.0.1"]
        reader, writer = await open_stream(GOOD, port)
        assert await reader.read() == b""
        writer.close()
        resolver.addresses = ["127.0.0.8", "127.0.0.9"]
        with pytest.raises(OSError, match=r"127\.0\.0\.8.*127\.0\.0\.9"):
            await connect(asyncio.Protocol, GOOD, port)
        server.close()

    run(scenario())


def test_a_server_is_dialed_by_its_name_while_other_names_hang(resolver: Resolver) -> None:
    async def scenario() -> None:
        one, other = End("a"), End("b")
        await one.listen()
        await other.listen()
        members(one, other)
        port = other.address.rpartition(":")[2]
        slow = hang([one.dial(f"{n}{SLOW}:{port}") for n in range(MANY)])
        await all_ask(resolver, MANY)
        _, peer = await one.dial(f"{GOOD}:{port}")
        assert peer is not None
        assert not slow.done()
        resolver.answers.set()
        await slow
        await other.close()
        await one.close()

    run(scenario())


def test_a_pool_is_joined_by_a_good_name_while_others_hang(resolver: Resolver) -> None:
    async def scenario() -> None:
        pools = Pools()
        a, b = await pools.start("a"), await pools.start("b")
        port = where(a).rpartition(":")[2]
        names = [f"{n}{SLOW}:{port}" for n in range(MANY)]
        joining = asyncio.ensure_future(b.join([*names, f"{GOOD}:{port}"]))
        await until(lambda: len(living(b)) == 2)
        assert not joining.done()
        resolver.answers.set()
        done = await joining
        assert (done.count, len(done.failures)) == (1, MANY)
        await pools.stop()

    run(scenario())


def test_a_time_out_tells_whether_the_dns_has_answered(resolver: Resolver) -> None:
    """A server that cannot be looked up is no server that hangs."""

    async def scenario() -> None:
        pool = HttpPool(End("a").trust)
        try:
            places = [f"b{SLOW}:1", "127.0.0.1:1"]
            targets = [Target("b", "s2.global", place) for place in places]
            callers = Callers(pool, lambda: LEVEL)
            views = await gather(callers, targets, deadline_s=0.2)
        finally:
            pool.close()
        assert views[0].error.startswith(f"lookup b{SLOW}: i/o timeout: no DNS server answers")
        assert "lookup" not in views[1].error
        assert unanswered(f"b{SLOW}")
        resolver.answers.set()
        with pytest.raises(OSError, match="no such name"):
            await lookup(f"b{SLOW}")
        assert not unanswered(f"b{SLOW}")

    run(scenario())
