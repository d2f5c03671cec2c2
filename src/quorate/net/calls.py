"""One question and one answer over a proven connection, for replicas that speak no HTTP.

A frame is four bytes, big endian, for its length, then a msgpack array: verb and argument there,
error text and answer back. One call a connection: calls are rare, and nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, cast

import msgspec

from quorate.errors import BadFrame, NotReached, QuorateError
from quorate.net.dial import dial
from quorate.net.peer import Peer
from quorate.net.trust import Trust
from quorate.wire.first_byte import CALL_BYTE

FRAME_BYTES_MAX: Final = 64 << 10
"""A configuration of the largest cluster fits several times."""

CALL_TIMEOUT_S: Final = 3.0

T = TypeVar("T")

Answer = Callable[[str, bytes, Peer], Awaitable[bytes]]
"""Answers the verb with this argument for the proven server. Raises QuorateError to refuse."""


class _Call(msgspec.Struct, frozen=True, array_like=True):
    verb: str
    argument: bytes


class _Answered(msgspec.Struct, frozen=True, array_like=True):
    error: str
    answer: bytes


_encode = msgspec.msgpack.Encoder().encode

_NOT_UNDERSTOOD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a frame raises: not this kind, not UTF-8, or nested too deep."""


def _decode(data: bytes, kind: type[T]) -> T:
    return msgspec.msgpack.decode(data, type=kind)


def _frame(message: _Call | _Answered) -> bytes:
    body = _encode(message)
    return len(body).to_bytes(4, "big") + body


class _Frames(asyncio.Protocol):
    """Gathers one frame. `ended` gets it, or the reason why none came."""

    def __init__(self) -> None:
        self.frame: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.frame.done():
            return
        self._got += data
        if len(self._got) < 4:
            return
        size = int.from_bytes(self._got[:4], "big")
        if size > FRAME_BYTES_MAX:
            self.frame.set_exception(BadFrame(f"a call of {size} bytes"))
        elif len(self._got) >= 4 + size:
            self.frame.set_result(self._got[4 : 4 + size])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.frame.done():
            self.frame.set_exception(exc or ConnectionResetError("EOF"))


class CallConnection(_Frames):
    """The answering side of one call, by the server `peer`."""

    def __init__(self, peer: Peer, answer: Answer) -> None:
        super().__init__()
        self._peer = peer
        self._answer = answer
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, behind the mode byte."""
        super().connection_made(transport)
        self._work = asyncio.get_running_loop().create_task(self._serve())

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the answer any more."""
        super().connection_lost(exc)
        if self._work is not None and not self._work.done():
            self._work.cancel()

    async def _serve(self) -> None:
        assert self.transport is not None
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                frame = await self.frame
            call = _decode(frame, _Call)
            answered = _Answered("", await self._answer(call.verb, call.argument, self._peer))
        except QuorateError as error:
            next_step = f" ({error.next_step})" if error.next_step else ""
            answered = _Answered(f"{error.text}{next_step}"[:1000], b"")
        except (OSError, TimeoutError, *_NOT_UNDERSTOOD):
            self.transport.abort()
            return
        self.transport.write(_frame(answered))
        self.transport.close()


async def call(
    address: str,
    trust: Trust,
    verb: str,
    argument: object,
    answer: type[T],
    *,
    server_id: str = "",
    timeout_s: float = CALL_TIMEOUT_S,
) -> tuple[T, Peer]:
    """Ask the server at `address`, any one or that with `server_id`; its answer, and which it is.

    Raises NotReached when no server proves itself there, QuorateError with its refusal.
    """
    asked = _Call(verb, _encode(argument))
    try:
        async with asyncio.timeout(timeout_s):
            frames, peer = await dial(address, _Frames, trust, server_id=server_id)
            assert frames.transport is not None
            try:
                if peer is None:
                    raise NotReached(f"the server at {address} proves no server ID")
                frames.transport.write(bytes((CALL_BYTE,)) + _frame(asked))
                frame = await frames.frame
            finally:
                frames.transport.close()
        return read_answer(frame, address, verb, answer), peer
    except TimeoutError:
        raise NotReached(f"no answer from {address} within {timeout_s:g} s") from None
    except OSError as error:
        raise NotReached(f"{address} is not reached: {error}") from None


def read_answer(frame: bytes, address: str, verb: str, kind: type[T]) -> T:
    """The answer in a frame. Raises BadFrame when it is none, QuorateError with a refusal."""
    try:
        answered = _decode(frame, _Answered)
        if answered.error:
            raise QuorateError(answered.error[:1000])
        return _decode(answered.answer, kind)
    except _NOT_UNDERSTOOD as error:
        raise BadFrame(f"{address} answered {verb} with something else: {error}") from None


def read_argument(argument: bytes, kind: type[T]) -> T:
    """The argument of a call. Raises BadFrame when it is none of this kind."""
    try:
        return _decode(argument, kind)
    except _NOT_UNDERSTOOD as error:
        raise BadFrame(f"a call with another argument: {error}") from None


def write_answer(answer: object) -> bytes:
    """The bytes of an answer."""
    return _encode(answer)
