"""Ends of connections for the tests: a server that is a key, a port and a trust, and no more."""

from __future__ import annotations

import asyncio
from typing import Any

from patience import PATIENCE_S

from quorate.net.dial import dial, greet
from quorate.net.key_pair import KeyPair
from quorate.net.peer import Peer
from quorate.net.port import RpcPort
from quorate.net.tls.keeper import TlsKeeper
from quorate.net.trust import StartsInMemory, Trust
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.identity import IdentityRecord, Start

CLUSTER = "00000000-0000-0000-0000-00000000000a"


class Echo(asyncio.Protocol):
    """`got` is all that came; with `answers` it goes back in capitals."""

    def __init__(self, peer: Peer | None, *, answers: bool = False) -> None:
        self.peer = peer
        self._answers = answers
        self.got = b""
        self.transport: Any = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self._answers:
            self.transport.write(data.upper())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)


class End:
    """One server: `said` are its refusals, `raft` and `http` what was opened to it."""

    def __init__(
        self,
        name: str,
        *,
        key: KeyPair | None = None,
        number: int = 1,
        cluster_id: str = CLUSTER,
        lenient: bool = False,
        unproven: tuple[str, ...] = (),
        bare: bool = False,
        tls: TlsKeeper | None = None,
        region: str = "global",
    ) -> None:
        self.name = name
        self.key = key or KeyPair.generate()
        self.address = ""
        self.configuration = Configuration()
        self.starts = StartsInMemory()
        self.said: list[str] = []
        self.raft: list[Echo] = []
        self.http: list[Echo] = []
        self.dialed: list[Echo] = []
        run = name.encode().ljust(8)[:7] + bytes((number,))
        self.record = IdentityRecord(
            server_id=name, cluster_id=cluster_id, level=1, start=Start(number, run)
        )
        self.trust = Trust(
            signer=self.key,
            me=lambda: (self.record, region, self.address),
            configuration=lambda: self.configuration,
            starts=self.starts,
            lenient=lambda: lenient,
            unproven_hosts=unproven,
            refused=lambda where, why: self.said.append(f"{where}: {why}"),
        )
        self.trust.tls = tls
        self.trust.probe = lambda address: greet(address, self.trust)
        self.port = RpcPort(
            trust=self.trust,
            raft=lambda peer: self._opened(self.raft, peer),
            http=lambda peer: self._opened(self.http, peer),
            refused=lambda where, why: self.said.append(f"{where}: {why}"),
            handshake_timeout_s=0.5,
            connections_max=0,
            bare=bare,
        )

    def _opened(self, kind: list[Echo], peer: Peer | None) -> Echo:
        kind.append(Echo(peer, answers=True))
        return kind[-1]

    async def listen(self, address: str = "127.0.0.1:0") -> None:
        host, _, port = address.rpartition(":")
        await self.port.listen(host, int(port))
        assert self.port.listening_on is not None
        self.address = "{}:{}".format(*self.port.listening_on[:2])

    def as_member(self) -> Server:
        return Server(self.name, self.address, key=self.key.public)

    async def dial(self, address: str, server_id: str = "") -> tuple[Echo, Peer | None]:
        connection, peer = await dial(address, lambda: Echo(None), self.trust, server_id=server_id)
        self.dialed.append(connection)
        return connection, peer

    async def close(self) -> None:
        for connection in self.dialed:
            connection.transport.abort()
        await self.port.close()
        for connection in self.dialed:
            await connection.lost


def members(*ends: End) -> None:
    """Let all of these know all of these."""
    for end in ends:
        end.configuration = Configuration(tuple(each.as_member() for each in ends))


async def until(condition: Any, timeout_s: float = PATIENCE_S) -> Any:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"never came: {condition}"
        await asyncio.sleep(0.005)
    return value
