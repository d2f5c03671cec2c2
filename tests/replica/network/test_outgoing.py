"""A connection to a peer: whatever becomes of it, each request is answered or fails, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import uvloop
from replica_cluster import until

from quorate.raft.values.messages import AnyResponse, AppendEntriesRequest, AppendEntriesResponse
from quorate.replica.outgoing import Connection
from quorate.wire.raft.messages import encode_response
from quorate.wire.raft.stream import RequestReader

REQUEST = AppendEntriesRequest(term=2, leader="10.0.0.1:4647", prev_log_index=1)


class Peer:
    """A server that answers every request with its term; `made` are the connections to it."""

    def __init__(self) -> None:
        self.answers = True
        self.made: list[asyncio.Transport] = []

    async def listen(self) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Answering(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        self._server.close()
        for transport in self.made:
            transport.abort()


class _Answering(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._reader = RequestReader(1 << 20)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._peer.made.append(self._transport)

    def data_received(self, data: bytes) -> None:
        for _ in self._reader.feed(data):
            if self._peer.answers:
                self._transport.write(
                    encode_response(AppendEntriesResponse(term=2, last_log=1, success=True))
                )


class Heard:
    """What a connection tells of its requests."""

    def __init__(self, port: int) -> None:
        self.answered: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.connection = Connection(
            "127.0.0.1",
            port,
            b"",
            answered=self._answer,
            failed=lambda rpc_id, why: self.failed.append((rpc_id, why)),
            refused=lambda where, why: None,
        )

    def _answer(self, rpc_id: int, response: AnyResponse) -> None:
        assert isinstance(response, AppendEntriesResponse)
        self.answered.append(rpc_id)


class Dead:
    """What uvloop leaves of a connection that it has closed by itself."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        del data
        raise RuntimeError("the handler is closed")

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()


def in_uvloop(scenario: Callable[[Peer, Heard], Awaitable[None]]) -> None:
    async def run() -> None:
        peer = Peer()
        heard = Heard(await peer.listen())
        try:
            await scenario(peer, heard)
        finally:
            heard.connection.close()
            peer.stop()
            await asyncio.sleep(0.05)  # uvloop waits for ever for what is open when it is closed

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_a_connection_that_was_closed_without_a_word_is_made_anew() -> None:
    async def scenario(peer: Peer, heard: Heard) -> None:
        connection = heard.connection
        connection.send(1, REQUEST)
        await until(lambda: heard.answered == [1])
        assert connection._stream is not None
        dead: Any = Dead(connection._stream.transport)
        connection._stream.transport = dead
        connection.send(2, REQUEST)
        assert heard.failed == [(2, "the handler is closed")]
        connection.send(3, REQUEST)
        await until(lambda: heard.answered == [1, 3])
        assert len(peer.made) == 2

    in_uvloop(scenario)


def test_what_is_unanswered_fails_when_the_peer_goes_and_the_next_is_sent_anew() -> None:
    async def scenario(peer: Peer, heard: Heard) -> None:
        peer.answers = False
        heard.connection.send(1, REQUEST)
        heard.connection.send(2, REQUEST)
        await until(lambda: len(peer.made) == 1)
        peer.made[0].abort()
        await until(lambda: len(heard.failed) == 2)
        peer.answers = True
        heard.connection.send(3, REQUEST)
        await until(lambda: heard.answered == [3])

    in_uvloop(scenario)


def test_the_end_of_a_connection_given_up_says_nothing_of_the_next() -> None:
    async def scenario(peer: Peer, heard: Heard) -> None:
        connection = heard.connection
        for number in range(1, 30):
            connection.send(number, REQUEST)
            if number % 3 == 0:
                await asyncio.sleep(0)
            if number % 7 == 0:
                await until(lambda: connection._stream is None or connection._stream.transport)
            connection.close("given up")
        connection.send(30, REQUEST)
        await until(lambda: 30 in heard.answered)
        lost = [rpc_id for rpc_id, _ in heard.failed]
        assert sorted([*heard.answered, *lost]) == list(range(1, 31))

    in_uvloop(scenario)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_nobody_listens(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> None:
        heard = Heard(1)
        heard.connection.send(1, REQUEST)
        await until(lambda: bool(heard.failed))
        ((rpc_id, why),) = heard.failed
        assert rpc_id == 1
        assert why.startswith("dial tcp 127.0.0.1:1: ")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())
