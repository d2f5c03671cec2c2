"""A peer that does not finish what it says, or does not read what it hears, costs little."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from quorate.raft.values.messages import AnyRequest, RequestVoteRequest, RequestVoteResponse
from quorate.replica import incoming
from quorate.replica.incoming import Held, IncomingConnection, Slot
from quorate.wire.raft.messages import encode_request

VOTE = encode_request(
    RequestVoteRequest(sender_id="b", sender_address="b:1", term=1, candidate="b:1")
)


class Transport:
    """What a connection is written to."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.reading = True
        self.written = b""

    @property
    def aborted(self) -> bool:
        return self.ended.is_set()

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return ("10.0.0.9", 1)

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.ended.set()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Handler:
    """Answers everything."""

    def __init__(self) -> None:
        self.why: list[str] = []

    def request_received(self, slot: Slot, _request: AnyRequest) -> None:
        slot.answer(RequestVoteResponse(term=1, granted=False))

    def peer_gone(self, _peer_id: str) -> None:
        """Nothing."""

    def refused(self, _where: str, why: str) -> None:
        self.why.append(why)

    def accepts(self, _request: AnyRequest, _connection: IncomingConnection) -> str:
        return ""


def connect(handler: Handler, held: Held) -> tuple[IncomingConnection, Transport]:
    connection, transport = IncomingConnection(handler, None, held), Transport()
    connection.connection_made(cast("Any", transport))
    return connection, transport


def reading(transport: Transport) -> bool:
    return transport.reading


UNFINISHED = VOTE[:1] + b"\x81\xa4Data\xdb\x03\xff\xff\xff"
"""The head of a request with 60 MB of data."""


def test_all_peers_without_proof_have_one_budget() -> None:
    async def scenario() -> None:
        handler, held = Handler(), Held()
        transports = []
        for _ in range(90):
            connection, transport = connect(handler, held)
            connection.data_received(UNFINISHED)
            for _ in range(4):
                if not transport.aborted:
                    connection.data_received(bytes(1 << 20))
            if transport.aborted:
                connection.connection_lost(None)
            transports.append(transport)
            assert held.bytes <= incoming.UNPROVEN_BYTES_MAX
        assert sum(not transport.aborted for transport in transports) < 17
        assert "too many unfinished requests" in handler.why[0]

    asyncio.run(scenario())


def test_a_connection_that_ends_gives_its_part_back() -> None:
    async def scenario() -> None:
        handler, held = Handler(), Held()
        connection, _ = connect(handler, held)
        connection.data_received(UNFINISHED + bytes(1000))
        assert held.bytes > 1000
        connection.connection_lost(None)
        assert held.bytes == 0
        whole, transport = connect(handler, held)
        whole.data_received(VOTE[:9])
        whole.data_received(VOTE[9:])
        assert (held.bytes, bool(transport.written)) == (0, True)

    asyncio.run(scenario())


def test_an_unfinished_request_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(incoming, "REQUEST_TIMEOUT_S", 0.01)
        handler = Handler()
        connection, transport = connect(handler, Held())
        connection.data_received(VOTE + VOTE[:9])
        await asyncio.wait_for(transport.ended.wait(), 10)
        assert "without an end" in handler.why[0]

    asyncio.run(scenario())


def test_a_peer_that_reads_no_answers_is_not_read_either(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        handler = Handler()
        connection, transport = connect(handler, Held())
        connection.pause_writing()
        assert reading(transport) is False
        connection.resume()  # a disk that has room changes nothing
        assert reading(transport) is False
        connection.resume_writing()
        assert reading(transport)
        monkeypatch.setattr(incoming, "REQUEST_TIMEOUT_S", 0.01)
        connection.pause_writing()
        await asyncio.wait_for(transport.ended.wait(), 10)
        assert "read no answer" in handler.why[0]

    asyncio.run(scenario())
