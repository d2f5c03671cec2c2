"""Replicas of a small key-value machine in one process, on loopback and real disks."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from patience import PATIENCE_S

from quorate.errors import NotLeader
from quorate.raft import Settings
from quorate.replica import Options, Replica, serve
from quorate.runtime.ports import Read, Write


class Pairs:
    """Commands are `key=value`; the result is the value that was there before."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def apply(self, index: int, command: bytes) -> str | None:
        del index
        key, _, value = command.decode().partition("=")
        before = self.values.get(key)
        self.values[key] = value
        return before

    def snapshot(self) -> Callable[[Write], object]:
        data = json.dumps(self.values).encode()
        return lambda write: write(data)

    def decode_snapshot(self, read: Read) -> Any:
        return json.loads(b"".join(iter(lambda: read(65536), b"")))

    def restore(self, image: Any) -> None:
        self.values = image


class Replicas:
    """Named a, b, c ...; `machines` and `running` by name."""

    def __init__(
        self, folder: Path, count: int, *, machine: type[Any] = Pairs, **options: Any
    ) -> None:
        self.machine = machine  # of the replicas that are started from now on
        self.folder = folder
        self.servers = {name: f"127.0.0.1:{port}" for name, port in _ports(count).items()}
        self.machines: dict[str, Any] = {}
        self.running: dict[str, Replica[Any]] = {}
        self.options = Options(**options)

    async def start(self, *names: str) -> None:
        for name in names or tuple(self.servers):
            self.machines[name] = self.machine()
            self.running[name] = await serve(
                name, self.servers, self.machines[name], self.folder / name, self.options
            )

    async def stop(self, *names: str) -> None:
        for name in names or tuple(self.running):
            await self.running.pop(name).stop()

    async def propose(self, command: bytes) -> Any:
        """Propose it where there is a leader, as soon as there is one."""
        while True:
            leader = await self.leader()
            with suppress(NotLeader):
                return await leader.propose(command)

    async def leader(self) -> Replica[Any]:
        """The one that leads and is followed by all that run."""

        def agreed() -> Replica[Any] | None:
            named = {replica.node.leader_id for replica in self.running.values()}
            if len(named) == 1 and (found := self.running.get(named.pop())) is not None:
                return found if found.lease_valid() else None
            return None

        await until(agreed)
        found = agreed()
        assert found is not None
        return found


async def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Wait for a true value; fails with the condition's name after the deadline."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"never came: {condition}"
        await asyncio.sleep(0.01)
    return value


def _ports(count: int) -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = {chr(ord("a") + i): s.getsockname()[1] for i, s in enumerate(sockets)}
    for each in sockets:
        each.close()
    return ports


FAST = Settings(trailing_logs=5)
