"""The wires between peers: a proxy before each, which knows who dials and can be cut by pair.

Peers advertise their proxy's port. Who is at the other end of an accepted connection is found by
its socket in /proc, so that no peer has to take part in being cut off. A cut wire loses nothing
openly: connections stay open and silent, new ones as well, as when packets are dropped; when it is
mended, what was held is reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from quorate.net.listening import stop_accepting

T = TypeVar("T")

_PIECE = 1 << 16
_BEGUN_TURNS = 3
"""Of the loop, from the transport of a connection to the first step of its task; 2 in asyncio."""


class _Held:
    """One connection: `passes` is clear while its wire is cut."""

    def __init__(self, source: str, target: str) -> None:
        self.wire = (source, target)
        self.passes = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    def reset(self) -> None:
        for writer in self.writers:
            transport = writer.transport
            transport.abort()


class Wires:
    """See the module. Usable from any thread; `stop` ends it."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self._cut: set[tuple[str, str]] = set()
        self._held: set[_Held] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._thread.start()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def lead_to(self, name: str, port: int) -> int:
        """Begin a proxy before the peer `name` that listens on `port`; the proxy's port."""

        async def begin() -> int:
            async def accepted(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
                with contextlib.suppress(asyncio.CancelledError):  # by `stop`
                    await self._carry(name, port, r, w)

            server = await asyncio.start_server(accepted, "127.0.0.1", 0, backlog=256)
            self._servers.append(server)
            own: int = server.sockets[0].getsockname()[1]
            return own

        return self._do(begin())

    def cut(self, *pairs: tuple[str, str]) -> None:
        """Let nothing pass on what the first of a pair dials to the second."""

        async def work() -> None:
            self._cut.update(pairs)
            for held in self._held:
                if held.wire in self._cut:
                    held.passes.clear()

        self._do(work())

    def part(self, one: list[str], other: list[str]) -> None:
        """Cut every wire between the two sides, both ways."""
        self.cut(*((a, b) for a in one for b in other), *((b, a) for a in one for b in other))

    def mend(self) -> None:
        """All wires are whole again; what was held is reset."""

        async def work() -> None:
            self._cut.clear()
            for held in list(self._held):
                if not held.passes.is_set():
                    held.reset()

        self._do(work())

    def stop(self) -> None:
        """End all connections and the thread."""

        async def work() -> None:
            for server in self._servers:
                await stop_accepting(server)
            # What was accepted just before begins first: a task that is cancelled before its first
            # step would leave its connection open.
            for _ in range(_BEGUN_TURNS):
                await asyncio.sleep(0)
            own = asyncio.current_task()
            while others := asyncio.all_tasks() - {own}:
                for held in list(self._held):
                    held.reset()
                for task in others:
                    task.cancel()
                await asyncio.wait(others)
            await asyncio.sleep(0)  # in which the last transports close

        self._do(work())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _carry(
        self, target: str, port: int, r: asyncio.StreamReader, w: asyncio.StreamWriter
    ) -> None:
        own, dialled_from = w.get_extra_info("sockname")[1], w.get_extra_info("peername")[1]
        held = _Held(_owner(dialled_from, own, self.pids), target)
        held.writers.append(w)
        if held.wire not in self._cut:
            held.passes.set()
        self._held.add(held)
        try:
            await held.passes.wait()
            with contextlib.suppress(OSError):
                to_r, to_w = await asyncio.open_connection("127.0.0.1", port)
                held.writers.append(to_w)
                await asyncio.gather(_pump(held, r, to_w), _pump(held, to_r, w))
        finally:
            self._held.discard(held)
            held.reset()


async def _pump(held: _Held, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes of one direction; its end is the end of both."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE):
            await held.passes.wait()
            writer.write(data)
            await writer.drain()
    held.reset()


def _owner(port: int, to: int, pids: dict[str, int]) -> str:
    """The peer whose socket is at `port` (dialled to `to`), or "?"."""
    inode = _inode(port, to)
    for name, pid in list(pids.items()):
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if inode and str(link.readlink()) == f"socket:[{inode}]":
                        return name
    return "?"


def _inode(port: int, to: int) -> str:
    ends = (f"0100007F:{port:04X}", f"0100007F:{to:04X}")
    with Path("/proc/net/tcp").open(encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if (fields[1], fields[2]) == ends:
                return fields[9]
    return ""
