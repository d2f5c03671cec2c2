"""Streams and queries that wait end with the right to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from api_running import asynchronous, until
from fake_access import MANAGEMENT, rights_of
from fake_server import NOW, FakeServer, answered

from quorate.acl.capability import Capability
from quorate.acl.rights import Rights
from quorate.acl.values import NamespaceRule, PathRule, PolicyRights
from quorate.api.app import HttpApplication
from quorate.api.gate.admission import Admission, Head
from quorate.api.gate.ends import LOOK_S, Ends
from quorate.api.http.messages import Request, Response, StreamResponse
from quorate.errors import PermissionDenied, TokenNotFound
from quorate.state.engine.commands import encode
from quorate.state.tables.variables import PutVariable

Ending = Callable[[FakeServer], None]


def guarded() -> tuple[FakeServer, HttpApplication]:
    server = FakeServer().write_defaults()
    server.access.turn_on()
    return server, server.application(control=False)


def get(target: bytes, token: str) -> Request:
    return Request("GET", target, ((b"x-nomad-token", token.encode()),))


def delete(server: FakeServer) -> None:
    server.access.tokens.clear()


def expire(server: FakeServer) -> None:
    server.access.give("t", rights_of(Capability.MANAGEMENT), int(NOW * 1000))


def narrow(server: FakeServer) -> None:
    server.access.give("t", rights_of(Capability.NODE_READ))


def silence(server: FakeServer) -> None:
    server.role, server.contact_ms = "follower", 31_000


async def rest_of(answer: Response) -> bytes:
    """All that still comes."""
    assert isinstance(answer, StreamResponse), answer.body
    return b"".join([piece async for piece in answer.pieces])


@pytest.mark.parametrize("ending", [delete, expire, narrow, silence])
@asynchronous
async def test_they_end_within_a_second(ending: Ending) -> None:
    server, app = guarded()
    token = server.access.give("t", rights_of(Capability.MANAGEMENT))
    loop = asyncio.get_running_loop()
    events = await answered(app, get(b"/v1/event/stream", token))
    log = await answered(app, get(b"/v1/agent/monitor?plain=true", token))
    waiting = get(b"/v1/namespace/default?index=1000&wait=60s&stale", token)
    work = [
        loop.create_task(rest_of(events)),
        loop.create_task(rest_of(log)),
        loop.create_task(answered(app, waiting)),
    ]
    await asyncio.sleep(0)
    await until(lambda: len(server.events) == 1)
    began = loop.time()
    ending(server)
    ends = await asyncio.gather(*work)
    assert loop.time() - began < 2 * LOOK_S + 1  # and the time that a busy machine takes
    assert isinstance(ends[2], Response)
    assert ends[2].status in {403, 503}
    assert len(server.events) == 0


@asynchronous
async def test_what_has_an_end_is_cut_before_it() -> None:
    """A file that only looks whole is worse than none."""
    server, _ = guarded()
    token = server.access.give("t", rights_of(Capability.SNAPSHOT_SAVE))

    class Judge:
        def caller(self, head: Head, *, proven: bool) -> object:
            del proven
            return server.access.caller(head.secret, NOW)

        def refused(self, error: PermissionDenied, caller: object, *, again: bool) -> object:
            del caller, again
            raise error

    judge: Any = Judge()
    admission = Admission(judge, Capability.SNAPSHOT_SAVE, Head(secret=token))
    ends, more = Ends(), asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"first"
        await more.wait()
        yield b"second"

    answer = ends.streamed(admission, StreamResponse(200, pieces(), length=11))
    assert answer.length == 11
    assert await anext(answer.pieces) == b"first"
    delete(server)
    with pytest.raises(TokenNotFound):
        await anext(answer.pieces)
    assert len(ends) == 0


@asynchronous
async def test_what_was_never_begun_is_closed() -> None:
    """The connection to another server that the pieces come from would stay open."""
    closed = []

    class Pieces:
        def __aiter__(self) -> Pieces:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            closed.append(self)

    judge: Any = None
    admission = Admission(judge, Capability.NONE, Head())
    ends, pieces = Ends(), Pieces()
    await ends.streamed(admission, StreamResponse(200, pieces)).pieces.aclose()
    assert closed == [pieces]
    assert len(ends) == 0


@asynchronous
async def test_what_is_over_is_not_looked_at_any_more() -> None:
    server, app = guarded()
    before = server.access.asked
    answer = await answered(app, get(b"/v1/operator/snapshot", MANAGEMENT))
    assert await rest_of(answer) == b"archive"
    blocked = get(b"/v1/namespaces?index=1000&wait=1ms", MANAGEMENT)
    assert (await answered(app, blocked)).status == 200
    asked = server.access.asked
    assert asked > before
    await asyncio.sleep(LOOK_S * 1.5)
    assert server.access.asked == asked


@asynchronous
async def test_a_stream_shows_what_its_reader_may_see_at_that_moment() -> None:
    server, app = guarded()

    def rights(*paths: str) -> Rights:
        given = tuple(PathRule(path, ("list",)) for path in paths)
        return Rights([PolicyRights(namespaces=(NamespaceRule("default", variables=given),))])

    token = server.access.give("t", rights("app/*"))
    answer = await answered(app, get(b"/v1/event/stream?topic=Variable", token))
    assert isinstance(answer, StreamResponse)

    def put(path: str) -> None:
        command = PutVariable(namespace="default", path=path, time_ns=1, data=b"", key_id="k")
        server.commit(encode(command))

    put("other/x")
    put("app/x")
    lines = b""
    while b"app/x" not in lines:
        lines += await anext(answer.pieces)
    server.access.give("t", rights("other/*"))
    await asyncio.sleep(2 * LOOK_S)
    put("app/y")
    put("other/y")
    while b"other/y" not in lines:
        lines += await anext(answer.pieces)
    assert b"other/x" not in lines
    assert b"app/y" not in lines
    await answer.pieces.aclose()


@pytest.mark.parametrize(
    ("topic", "capability", "status"),
    [
        (b"Nope", Capability.OPERATOR_WRITE, 403),
        (b"Nope", Capability.MANAGEMENT, 200),
        (b"*", Capability.OPERATOR_WRITE, 403),
        (b"Operator", Capability.OPERATOR_READ, 200),
        (b"Operator", Capability.NODE_READ, 403),
        (b"Namespace", Capability.NAMESPACE_ANY, 200),
        (b"Namespace", Capability.AGENT_WRITE, 403),
        (b"Variable", Capability.VARIABLES_LIST, 200),
        (b"Variable", Capability.VARIABLES_READ, 403),
        (b"Variable&topic=Operator", Capability.VARIABLES_LIST, 403),
        (b"ACLToken", Capability.OPERATOR_WRITE, 403),
        (b"ACLPolicy", Capability.MANAGEMENT, 200),
    ],
)
@asynchronous
async def test_topics_by_right(topic: bytes, capability: Capability, status: int) -> None:
    server, app = guarded()
    token = server.access.give("t", rights_of(capability))
    answer = await answered(app, get(b"/v1/event/stream?topic=" + topic, token))
    assert answer.status == status
    if isinstance(answer, StreamResponse):
        await answer.pieces.aclose()


@asynchronous
async def test_a_wait_that_goes_on_at_a_new_leader_ends_too() -> None:
    """It came to a follower, which leads before it has passed the request on."""
    server = FakeServer("s2", role="follower").write_defaults()
    server.access.turn_on()
    app = server.application(control=False)
    token = server.access.give("t", rights_of(Capability.MANAGEMENT))
    waiting = asyncio.ensure_future(
        answered(app, get(b"/v1/namespace/default?index=1000&wait=60s", token))
    )
    await until(lambda: bool(server.forwarded))
    server.role = "leader"
    await until(lambda: server.barriers > 0)
    delete(server)
    async with asyncio.timeout(10):
        assert (await waiting).status == 403
