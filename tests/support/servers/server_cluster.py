"""Whole servers in one process, on loopback and real disks, without the agent around them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from patience import PATIENCE_S

from quorate.api.app import HttpApplication
from quorate.api.endpoints.table import TABLE
from quorate.api.http.limits import ListenerConfig
from quorate.api.http.listener import create_protocol_factory
from quorate.api.http.messages import Request, Response
from quorate.api.internal import RpcApplication
from quorate.api.parts import parts_of
from quorate.levels import LEVEL
from quorate.metrics import Metrics
from quorate.net.peer import Peer
from quorate.raft.values.identity import IdentityRecord, Start
from quorate.server.options import ServerOptions
from quorate.server.server import Server

T = TypeVar("T")


class ServerCluster:
    """Servers s0, s1, ... that found a cluster; `running` by number; `fatal` is what ended one."""

    def __init__(
        self,
        folder: Path,
        count: int = 3,
        *,
        now: Callable[[], float] | None = None,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.now = now  # of the servers that are started from now on
        self.addresses = tuple(f"127.0.0.1:{port}" for port in _free_ports(count))
        self.options = options
        self.running: dict[int, Server] = {}
        self.applications: dict[int, HttpApplication] = {}
        self.fatal: dict[int, BaseException] = {}

    table = TABLE
    """The endpoints of all of them."""

    async def start(self, *numbers: int) -> None:
        for number in numbers or range(len(self.addresses)):
            await self._start(number)

    async def _start(self, number: int) -> None:
        host, _, port = self.addresses[number].rpartition(":")
        options = ServerOptions(
            name=f"s{number}",
            region="global",
            datacenter="dc1",
            data_dir=self.folder / f"s{number}",
            rpc_bind=(host, int(port)),
            rpc_address=self.addresses[number],
            serf_port=4648,
            version="0",
            founders=self.addresses,
            **self.options,
        )

        def fatal(error: BaseException) -> None:
            self.fatal.setdefault(number, error)

        server = Server(options, on_fatal=fatal, now=self.now)
        await server.open()
        parts = parts_of(server)
        rpc = RpcApplication(
            parts, Metrics(), time.time, Random(), server.answers, table=self.table
        )
        listener = create_protocol_factory(rpc, ListenerConfig(max_conns_per_client=0))
        await server.start(lambda peer: listener.serving(rpc.of(peer)))
        self.running[number] = server
        application = HttpApplication(parts, Metrics(), time.time, Random(), self.table)
        self.applications[number] = application

    async def stop(self, *numbers: int) -> None:
        for number in numbers or tuple(self.running):
            await self.running.pop(number).stop()

    def peer(self, server_id: str, address: str, region: str = "global") -> Peer:
        """The connection of that server, one of these or a stranger, that has proven its ID."""
        for server in self.running.values():
            if server.replica.server_id == server_id:
                key, record = server.trust.key, server.folder.record
                return Peer(record=record, region=region, address=address, key=key)
        record = IdentityRecord(server_id=server_id, level=LEVEL, start=Start(1, b"12345678"))
        return Peer(record=record, region=region, address=address, key=bytes(32))

    async def ask(
        self, number: int, target: str, method: str = "GET", body: str = "", token: str = ""
    ) -> Response:
        """What a client of that server is answered, with the secret of a token."""
        headers = ((b"x-nomad-token", token.encode()),) if token else ()
        request = Request(method, target.encode(), headers, body.encode())
        answer = self.applications[number].handle(request)
        return answer if isinstance(answer, Response) else await answer

    async def leader(self) -> int:
        """The number of the server that leads and is followed by all that run."""

        def agreed() -> int:
            named = {server.leadership.leader_address() for server in self.running.values()}
            if len(named) != 1 or (address := named.pop()) not in self.addresses:
                return 0
            number = self.addresses.index(address)
            leads = number in self.running and self.running[number].leadership.lease_valid()
            return number + 1 if leads else 0

        return await until(agreed) - 1


@asynccontextmanager
async def cluster(folder: Path, count: int = 3, **options: Any) -> AsyncIterator[ServerCluster]:
    """A cluster with a leader; all of it is stopped afterwards."""
    servers = ServerCluster(folder, count, **options)
    await servers.start()
    try:
        await servers.leader()
        yield servers
    finally:
        await servers.stop()


async def until(condition: Callable[[], T], timeout_s: float = PATIENCE_S) -> T:
    """Wait for a true value; fails after the deadline."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"never came: {condition}"
        await asyncio.sleep(0.01)
    return value


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
