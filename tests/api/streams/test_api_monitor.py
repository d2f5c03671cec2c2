"""`/v1/agent/monitor`: lines stream while the log goes on."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64decode
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest
from api_running import asynchronous, until
from api_server import RawClient, connected, get, serving
from fake_server import IDS, FakeServer, answered, member, three_peers
from golden_setups import load
from patience import PATIENCE_S

from quorate.api.endpoints.frames import FRAME_BYTES_MAX, PassedOn, framed
from quorate.api.endpoints.monitor import MONITORS_MAX
from quorate.api.http.messages import Request, Response, StreamResponse
from quorate.errors import QuorateError
from quorate.loglines import taps
from quorate.loglines.formats import TextFormatter
from quorate.loglines.taps import TAPS, Tap

log = logging.getLogger("quorate.monitored")


@pytest.fixture(autouse=True)
def own_level() -> Iterator[None]:
    before = logging.getLogger("quorate").level
    TAPS.set_level(logging.INFO)
    yield
    logging.getLogger("quorate").setLevel(before)
    assert not len(TAPS), "somebody still listens"


@asynccontextmanager
async def watching(target: str) -> AsyncGenerator[RawClient, None]:
    """A client that watches the log: its head is read, and it listens."""
    async with (
        serving(FakeServer().write_defaults().application()) as served,
        connected(served.port) as client,
    ):
        client.send(get(target))
        await until(lambda: len(TAPS) == 1)
        yield client
    await until(lambda: not len(TAPS))


async def lines_of(client: RawClient, *, plain: bool, wanted: str) -> str:
    """What the stream says up to the wanted text; its head comes first."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    kind = b"text/plain" if plain else b"application/json"
    assert b"content-type: " + kind + b"\r\n" in head.lower()
    text = ""
    async with asyncio.timeout(PATIENCE_S):
        while wanted not in text:
            size = int(await client.reader.readuntil(b"\r\n"), 16)
            piece = (await client.reader.readexactly(size + 2))[:-2]
            if plain:
                text += piece.decode()
                continue
            frame = json.loads(piece)
            assert frame == {} or frame["FileEvent"] == "log"
            text += b64decode(frame.get("Data", "")).decode()
    return text


@pytest.mark.parametrize("plain", [True, False])
@asynchronous
async def test_lines_come_while_the_log_goes_on(plain: bool) -> None:
    async with watching("/v1/agent/monitor" + "?plain=true" * plain) as client:
        log.debug("not asked for")
        log.info("the first")
        log.error("the last")
        text = await lines_of(client, plain=plain, wanted="the last\n")
    assert "[INFO]  quorate.monitored: the first\n" in text
    assert "not asked for" not in text


@asynchronous
async def test_a_client_may_see_more_than_the_agent_writes() -> None:
    written: list[str] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(record.getMessage())

    own = Own()
    own.addFilter(TAPS.is_own)
    logging.getLogger().addHandler(own)
    try:
        async with watching("/v1/agent/monitor?log_level=debug&log_json=true&plain=1") as client:
            log.debug("in detail")
            log.info("as ever")
            text = await lines_of(client, plain=True, wanted="as ever")
        log.debug("nobody wants it")
    finally:
        logging.getLogger().removeHandler(own)
    first = json.loads(text.splitlines()[0])
    assert (first["@level"], first["@message"]) == ("debug", "in detail")
    assert "as ever" in written
    assert not {"in detail", "nobody wants it"} & set(written)
    assert not log.isEnabledFor(logging.DEBUG)


@asynchronous
async def test_a_slow_reader_loses_lines_and_is_told() -> None:
    tap = Tap(logging.INFO, TextFormatter())
    TAPS.open(tap)
    try:
        for number in range(taps.LINES_MAX + 7):
            log.info("line %d", number)
        text = await tap.read(5.0)
        lines = text.splitlines()
        assert len(lines) == taps.LINES_MAX + 1
        assert lines[-1].endswith("7 lines are missing here: they were read too slowly")
        log.info("x" * (2 * taps.LINE_BYTES_MAX))
        assert len(await tap.read(5.0)) == taps.LINE_BYTES_MAX + 1
        for _ in range(2 * taps.BYTES_MAX // taps.LINE_BYTES_MAX):
            log.info("x" * taps.LINE_BYTES_MAX)
        text = await tap.read(5.0)
        assert len(text) <= taps.BYTES_MAX + 200
        assert "lines are missing here" in text
        assert await tap.read(0.01) == ""
    finally:
        TAPS.close(tap)


@asynchronous
async def test_a_quiet_stream_shows_that_it_lives() -> None:
    response = await ask("/v1/agent/monitor")
    assert isinstance(response, StreamResponse)
    assert not len(TAPS), "nothing is held before the stream is begun"
    assert await anext(response.pieces) == b"{}"
    await response.pieces.aclose()


@asynchronous
async def test_only_so_many_watch_at_one_time() -> None:
    open_ones = [Tap(logging.INFO, TextFormatter()) for _ in range(MONITORS_MAX)]
    for tap in open_ones:
        TAPS.open(tap)
    try:
        answer = await ask("/v1/agent/monitor")
        assert (answer.status, answer.body[:3]) == (503, b"16 ")
    finally:
        for tap in open_ones:
            TAPS.close(tap)


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("server_id=nosuch", 400, load("r3-agent-monitor-unknown-server").body),
        ("server_id=s3.global&node_id=x", 400, load("r3-agent-monitor-both").body),
        ("node_id=x", 501, "this server has no clients: give server_id"),
        ("log_level=" + "x" * 999, 400, "Unknown log level: " + "x" * 64),
        (
            "log_json=maybe",
            400,
            'Unknown option for log json: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
)
@asynchronous
async def test_what_cannot_be_watched(target: str, status: int, text: str) -> None:
    answer = await ask(f"/v1/agent/monitor?{target}")
    assert (answer.status, answer.body.decode()) == (status, text)


@pytest.mark.parametrize("name", ["s3.global", IDS["s3"], "leader"])
@asynchronous
async def test_the_server_asked_may_be_named(name: str) -> None:
    assert (await ask(f"/v1/agent/monitor?server_id={name}")).status == 200


def passing(name: str = "s3", role: str = "leader", asked: str = "s2") -> FakeServer:
    """A server that can reach another one, or one of the region west."""
    server = FakeServer(name, role=role)
    server.member_applications[IDS[asked]] = FakeServer(asked).application()
    server.region_applications["west"] = FakeServer("s9", "west").application()
    return server


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("name", ["s2.global", IDS["s2"]])
@asynchronous
async def test_the_log_of_another_server_is_passed_on(name: str, plain: bool) -> None:
    server = passing()
    target = f"/v1/agent/monitor?plain={plain}&server_id={name}&log_json=true"
    response = await ask(target, server)
    assert isinstance(response, StreamResponse)
    kind = b"text/plain" if plain else b"application/json"
    assert response.header(b"content-type") == kind
    first = asyncio.ensure_future(anext(response.pieces))
    await until(lambda: len(TAPS) == 1)
    log.info("said there }")
    piece = await first
    if not plain:
        piece = b64decode(json.loads(piece)["Data"])
    assert json.loads(piece)["@message"] == "said there }"
    [sent] = server.forwarded
    assert sent.target == f"/v1/agent/monitor?server_id={name}&log_json=true"
    assert sent.to_member
    assert PassedOn.count() == 1
    await response.pieces.aclose()
    assert (PassedOn.count(), len(TAPS)) == (0, 0)


@asynchronous
async def test_the_leader_is_another_one() -> None:
    server = passing("s2", "follower", "s3")
    response = await ask("/v1/agent/monitor?server_id=leader", server)
    assert isinstance(response, StreamResponse)
    await response.pieces.aclose()
    assert len(server.forwarded) == 1
    assert PassedOn.count() == 0, "also one that was never begun"
    server.view = three_peers(leader="")
    assert (await ask("/v1/agent/monitor?server_id=leader", server)).body == b"No cluster leader"


@asynchronous
async def test_a_server_of_another_region_is_asked_through_its_region() -> None:
    server = passing()
    server.pool = [*server.pool, member("s9", "west", "127.0.0.9:4647")]
    for target in ("server_id=s9.west", "server_id=s9.west&region=west", "region=west"):
        server.forwarded.clear()
        response = await ask(f"/v1/agent/monitor?plain=true&{target}", server)
        assert isinstance(response, StreamResponse), response.body
        await response.pieces.aclose()
        assert (b"x-quorate-forwarded", b"region") in server.forwarded[0].headers
        assert not server.forwarded[0].to_member
    assert PassedOn.count() == 0


@asynchronous
async def test_a_request_is_passed_on_once() -> None:
    server = passing()
    marked = [(b"x-quorate-forwarded", b"server")]
    target = b"/v1/agent/monitor?server_id=s2.global"
    answer = await answered(server.application(), Request("GET", target, marked))
    assert (answer.status, server.forwarded) == (500, [])
    assert b"not the one that is asked for now" in answer.body


@asynchronous
async def test_only_so_many_are_passed_on_at_one_time() -> None:
    server = passing()
    target = "/v1/agent/monitor?server_id=s2.global"
    responses = [await ask(target, server) for _ in range(MONITORS_MAX)]
    assert (await ask(target, server)).status == 503
    refused = await ask("/v1/agent/monitor?region=west", server)
    assert (refused.status, refused.body[:3]) == (503, b"16 ")
    for response in responses:
        assert isinstance(response, StreamResponse)
        await response.pieces.aclose()
    assert PassedOn.count() == 0


@asynchronous
async def test_what_the_other_server_refuses_is_refused() -> None:
    server = passing()
    other = FakeServer("s2")
    other.access.turn_on()
    server.member_applications[IDS["s2"]] = other.application(control=False)
    answer = await ask("/v1/agent/monitor?server_id=s2.global", server)
    assert (answer.status, answer.body) == (403, b"Permission denied")
    assert PassedOn.count() == 0


async def pieces_of(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("size", [1, 7, 1000])
@asynchronous
async def test_frames_come_in_pieces_of_any_size(size: int) -> None:
    stream = framed(b"one\n") + framed(b"") + framed(b"two }\n") + b"\n" + framed(b"three\n")
    passed = PassedOn(plain=True)
    cut = (stream[at : at + size] for at in range(0, len(stream), size))
    passed.pieces = pieces_of(*cut)
    assert b"".join([piece async for piece in passed]) == b"one\ntwo }\nthree\n"
    await passed.aclose()


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        (b"lines as they are }", "no frames of a log"),
        (b'{"Data":"!"}', "no frames of a log"),
        (b'{"Data":"' + b"A" * FRAME_BYTES_MAX, "without an end"),
    ],
)
@asynchronous
async def test_what_is_no_frame_ends_the_stream(piece: bytes, text: str) -> None:
    passed = PassedOn(plain=True)
    passed.pieces = pieces_of(piece)
    with pytest.raises(QuorateError, match=text):
        await anext(passed)
    await passed.aclose()


async def ask(target: str, server: FakeServer | None = None) -> Response:
    application = (server or FakeServer()).application()
    return await answered(application, Request("GET", target.encode()))
