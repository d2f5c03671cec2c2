"""Streams of a pool over TCP: those that we open, and those that others open here.

One exchange each, under a deadline. What is large is put together and taken apart in a thread, so
that the loop goes on. From outside at most so many streams at a time are served, half of them from
one address, and all together may hold so many bytes; one more is closed at once.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from quorate.errors import BadFrame
from quorate.gossip.effects import StreamRequest
from quorate.gossip.messages import Address, Message, PushPull, RemoteError, SerfPushPull
from quorate.metrics import Metrics
from quorate.pool.addresses import ip_text, join_text
from quorate.pool.keys import Keys
from quorate.pool.refusals import Refusals
from quorate.wire.gossip import decode_serf, encode
from quorate.wire.memberlist.keyring import NONCE_BYTES
from quorate.wire.memberlist.layers import Layers
from quorate.wire.memberlist.stream import StreamReader, encode_stream

THREAD_BYTES: Final = 16 * 1024
"""Messages above this size are worked on in a thread, and all that come compressed."""

HELD_BYTES_MAX: Final = 32 << 20
"""Most bytes that all streams from outside together may hold."""

_PIECE: Final = 16 * 1024  # what is in it is taken apart at once, in some 3 ms
_NEXT_TIMER_S: Final = 1e-6
_NODE_BYTES: Final = 256  # about what one member takes in a full exchange
_OUTGOING_MAX: Final = 64
_LINGER_S: Final = 1.0

Result = TypeVar("Result")

Exchange = Callable[[Address, Message], "asyncio.Future[Message | None]"]
"""What answers a first message from an address; None: no answer."""


class Streams:
    """See the module."""

    def __init__(
        self,
        *,
        keys: Keys,
        metrics: Metrics,
        refusals: Refusals,
        answer: Exchange,
        timeout_s: float,
        streams_max: int,
    ) -> None:
        self._keys = keys
        self._metrics = metrics
        self._refusals = refusals
        self._answer = answer
        self._timeout_s = timeout_s
        self._streams_max = streams_max
        self._open: Counter[str] = Counter()
        self._held = 0
        self._outgoing = asyncio.Semaphore(_OUTGOING_MAX)
        self._server: asyncio.Server | None = None
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="gossip")
        self._tasks: set[asyncio.Task[Any]] = set()

    async def listen(self, sock: socket.socket) -> None:
        """Serve streams on this socket."""
        self._server = await asyncio.start_server(self._accepted, sock=sock, limit=_PIECE)

    async def stop(self) -> None:
        """Take no more streams, and end those that are open."""
        if self._server is not None:
            # A timer fires behind all accepts of its turn: asyncio fails to make the transport of
            # a connection that it has accepted just before `close`, and leaves its socket open.
            await asyncio.sleep(_NEXT_TIMER_S)
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        self._threads.shutdown(wait=False)

    # -- ours -----------------------------------------------------------------------------------

    async def exchange(self, request: StreamRequest) -> Message | str:
        """The answer to a request, or why there is none, in the words of Go's network errors."""
        where = join_text(request.to)
        async with self._outgoing:
            try:
                async with asyncio.timeout(request.timeout_s):
                    return await self._exchange(request, where)
            except TimeoutError:
                return f"dial tcp {where}: i/o timeout"
            except OSError as error:
                return f"dial tcp {where}: {_go_words(error)}"
            except BadFrame as error:
                self._refusals.count("answer", request.to.host, error.text)
                return error.text

    async def _exchange(self, request: StreamRequest, where: str) -> Message | str:
        self._metrics.incr("nomad.memberlist.tcp.connect")
        reader, writer = await asyncio.open_connection(
            request.to.host, request.to.port, limit=_PIECE
        )
        try:
            layers = self._keys.layers
            await self._write(writer, request.message, layers, dialler=True)
            incoming = StreamReader(layers, from_dialler=False)
            while piece := await reader.read(_PIECE):
                if incoming.feed(piece):
                    return await self._message(incoming)
                await asyncio.sleep(0)
            return f"read tcp {where}: EOF"
        finally:
            writer.close()

    async def _write(
        self, writer: asyncio.StreamWriter, message: Message, layers: Layers, *, dialler: bool
    ) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)

        def put_together() -> bytes:
            return encode_stream(encode(message), layers, nonce=nonce, dialler=dialler)

        data = await self._in_thread_if(_about(message) > THREAD_BYTES, put_together)
        self._metrics.incr("nomad.memberlist.tcp.sent", len(data))
        writer.write(data)
        await writer.drain()

    async def _message(self, incoming: StreamReader) -> Message:
        large = incoming.fed > THREAD_BYTES or incoming.takes_time
        if not large:
            return incoming.message()
        return await self._in_thread_if(True, partial(_read, incoming))

    async def _in_thread_if(self, large: bool, work: Callable[[], Result]) -> Result:
        if not large:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # -- others' --------------------------------------------------------------------------------

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername") or ("", 0)
        source = Address(ip_text(str(peer[0])) or str(peer[0]), int(peer[1]))
        full = self._open.total() >= self._streams_max
        if full or self._open[source.host] >= max(1, self._streams_max // 2):
            self._refusals.count("streams_full", source.host, "too many streams at a time")
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open[source.host] += 1
        self._metrics.incr("nomad.memberlist.tcp.accept")
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._serve(reader, writer, source)
        except TimeoutError:
            self._refusals.count("stream", source.host, "a stream that took too long")
            writer.transport.abort()
        except OSError:
            writer.transport.abort()  # it went away
        finally:
            writer.close()
            self._open[source.host] -= 1
            if not self._open[source.host]:
                del self._open[source.host]
            self._tasks.discard(task)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: Address
    ) -> None:
        incoming = StreamReader(self._keys.layers, from_dialler=True)
        try:
            message = await self._read(reader, incoming)
            if message is None:
                return
            await asyncio.sleep(0)  # reading, merging and answering have a callback each
            answer = await self._answer(source, message)
        except BadFrame as error:
            self._refusals.count("stream", source.host, error.text)
            # To another pool we say nothing.
            answer = RemoteError(error.text) if incoming.label_matches else None
        if answer is not None:
            await asyncio.sleep(0)
            await self._write(writer, answer, self._keys.layers, dialler=False)
            await self._linger(reader, writer)

    async def _read(self, reader: asyncio.StreamReader, incoming: StreamReader) -> Message | None:
        """The first message; None if the other side closes before a byte of it."""
        held = 0
        try:
            while piece := await reader.read(_PIECE):
                held += len(piece)
                self._held += len(piece)
                if self._held > HELD_BYTES_MAX:
                    raise BadFrame("too much data in all streams together; try again")
                if incoming.feed(piece):
                    return await self._message(incoming)
                await asyncio.sleep(0)  # more may be here already, and other work waits
        finally:
            self._held -= held
        if incoming.fed:
            raise BadFrame("a stream that ends in its message")
        return None

    async def _linger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let the answer arrive: closing with unread bytes would take it back."""
        if writer.can_write_eof():
            writer.write_eof()
        try:
            async with asyncio.timeout(_LINGER_S):
                for _ in range(16):
                    if not await reader.read(_PIECE):
                        return
        except TimeoutError:
            return


def _read(incoming: StreamReader) -> Message:
    """The message, and in it Serf's, which may be as large."""
    message = incoming.message()
    if isinstance(message, PushPull) and message.user_state:
        serf = decode_serf(message.user_state)
        if not isinstance(serf, SerfPushPull):
            raise BadFrame("a push-pull with another message of Serf than its state")
        return msgspec.structs.replace(message, serf=serf)
    return message


def _about(message: Message) -> int:
    """Roughly how large a message is when it is encoded."""
    if isinstance(message, PushPull):
        return len(message.nodes) * _NODE_BYTES + len(message.user_state)
    return 0


def _go_words(error: OSError) -> str:
    """What Go calls a failure to connect: people search for these words."""
    if error.errno in {errno.ECONNRESET, errno.EPIPE}:
        return f"write: {os.strerror(error.errno).lower()}"
    if error.errno == errno.ETIMEDOUT:
        return "i/o timeout"
    if error.errno is None:
        return str(error) or "connection lost"
    return f"connect: {os.strerror(error.errno).lower()}"
