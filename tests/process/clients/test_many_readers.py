"""A thousand readers of one server's events, and a thousand watches: they cost no election."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from bench.watches.waiting import measured
from server_processes import Servers, until

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(240)]

READERS = 1000
WRITES = 300
SLOW = 20
"""Readers that read nothing."""


class Reader(asyncio.Protocol):
    """Reads a stream; `seen` are the keys of its events."""

    def __init__(self, *, slow: bool) -> None:
        self.seen: list[str] = []
        self.lost = asyncio.get_running_loop().create_future()
        self._slow = slow
        self._news = asyncio.Event()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"GET /v1/event/stream?topic=Namespace HTTP/1.1\r\nHost: x\r\n\r\n")
        if self._slow:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            if line.startswith(b'{"Events"'):
                for event in json.loads(line)["Events"]:
                    if event["Topic"] == "Namespace":
                        self.seen.append(event["Key"])
                        self._news.set()

    async def all_seen(self, last: str) -> None:
        """Return when the event of that key has come."""
        while self.seen[-1:] != [last]:
            self._news.clear()
            await self._news.wait()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def close(self) -> None:
        self._transport.close()


@contextmanager
def closing_all(servers: Servers) -> Iterator[None]:
    try:
        yield
    finally:
        servers.stop_all()


def elections(servers: Servers, number: int) -> str:
    return servers.stats(number)["term"]


def test_a_thousand_readers_cost_no_election(tmp_path: Path) -> None:
    # Each of them is a client of this one address.
    servers = Servers(tmp_path)
    for number in range(servers.count):
        config = json.loads(servers.config(number).read_text())
        config["limits"] = {"http_max_conns_per_client": 0}
        servers.config(number).write_text(json.dumps(config))
    servers.start()
    with closing_all(servers):
        leader = servers.leader()
        first = {"Name": "first"}
        until(
            lambda: servers.ask(leader, "/v1/namespace", "PUT", first).status == 200, "a first one"
        )
        term = elections(servers, leader)
        wanted = [f"team-{number}" for number in range(WRITES)]

        async def read() -> list[Reader]:
            loop = asyncio.get_running_loop()
            readers = []
            for number in range(READERS):
                slow = number < SLOW
                _, reader = await loop.create_connection(
                    lambda slow=slow: Reader(slow=slow),  # type: ignore[misc]
                    "127.0.0.1",
                    servers.http[leader],
                )
                readers.append(reader)
            for name in wanted:
                body = {"Name": name, "Description": "d" * 200}
                answer = await asyncio.to_thread(servers.ask, leader, "/v1/namespace", "PUT", body)
                assert answer.status == 200, answer.text
            async with asyncio.timeout(60):
                await asyncio.gather(*(reader.all_seen(wanted[-1]) for reader in readers[SLOW:]))
            for reader in readers:
                reader.close()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.lost, 5)
            return readers

        readers = asyncio.run(read())
        for reader in readers[SLOW:]:
            assert reader.seen[-WRITES:] == wanted
        assert servers.leader() == leader
        assert elections(servers, leader) == term
        assert servers.ask(leader, "/v1/agent/health").status == 200


def test_a_tenth_of_the_watches_that_are_measured() -> None:
    """Times are not judged: others run beside it."""
    found = measured(1000, 20, 300)
    assert found.watches == 1000
    assert 0 < found.bytes_each < 100_000
    assert found.writes_per_second > 30
    assert found.written_median_ms > 0
    assert 0 < found.woken_median_ms < 1000
