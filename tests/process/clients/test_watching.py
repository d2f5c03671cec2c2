"""Watches on three processes: over lost leaders, a server that comes back, and a restore."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from server_processes import Servers, running, until

from quorate.client import AsyncClient, Change, Client, ClientError, Gap

pytestmark = [pytest.mark.long, pytest.mark.process]


def address(servers: Servers, number: int) -> str:
    return f"http://127.0.0.1:{servers.http[number]}"


class Followed:
    """What a program knows that does as it is told."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.gaps: list[str] = []
        self.error: ClientError | None = None

    def take(self, told: Change | Gap) -> None:
        if isinstance(told, Gap):
            self.gaps.append(told.why)
            self.values = {}
        elif told.variable is None:
            self.values.pop(told.path, None)
        else:
            self.values[told.path] = (told.variable.items or {})["v"]


def by_thread(where: str, followed: Followed) -> None:
    """A client that waits."""

    def follow() -> None:
        try:
            for told in Client(where).variables.watch("app/"):
                followed.take(told)
        except ClientError as error:
            followed.error = error

    threading.Thread(target=follow, daemon=True).start()


def by_loop(where: str, followed: Followed) -> None:
    """One of an event loop."""

    async def follow() -> None:
        try:
            async with (
                AsyncClient(where) as client,
                aclosing(client.variables.watch("app/")) as watch,
            ):
                async for told in watch:
                    followed.take(told)
        except ClientError as error:
            followed.error = error

    threading.Thread(target=lambda: asyncio.run(follow()), daemon=True).start()


def written(servers: Servers, number: int, change: Callable[[Client], object]) -> None:
    """The change, once it is taken: there may be no leader yet."""

    def done() -> bool:
        try:
            change(client)
        except ClientError:
            return False
        return True

    with Client(address(servers, number)) as client:
        until(done, "a write")


def test_watches_go_on_over_kills_and_a_restore(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        asked, other = (leader + 1) % 3, (leader + 2) % 3
        wanted = {"app/a": "1", "app/b": "1"}
        for path, value in wanted.items():
            written(servers, other, lambda c: c.variables.put(path, {"v": value}))  # noqa: B023
        one, two = Followed(), Followed()
        by_thread(address(servers, asked), one)
        by_loop(address(servers, asked), two)

        def all_know(values: dict[str, str]) -> None:
            until(
                lambda: one.values == two.values == values and not (one.error or two.error),
                lambda: f"{values}; {one.values} {one.error}; {two.values} {two.error}",
                timeout_s=30.0,
            )

        all_know(wanted)
        servers.kill(leader)
        written(servers, other, lambda c: c.variables.put("app/a", {"v": "2"}))
        written(servers, other, lambda c: c.variables.delete("app/b"))
        all_know({"app/a": "2"})

        # The server that they ask is away while all changes.
        servers.start(leader)
        servers.leader()
        servers.kill(asked)
        written(servers, other, lambda c: c.variables.put("app/c", {"v": "3"}))
        written(servers, other, lambda c: c.variables.delete("app/a"))
        servers.start(asked)
        all_know({"app/c": "3"})
        assert one.gaps == two.gaps == ["the watch begins"]

        archive = bytearray()
        with Client(address(servers, other)) as client:
            client.save_snapshot(archive.extend)
            client.variables.put("app/c", {"v": "4"})
            client.variables.put("app/d", {"v": "4"})
            all_know({"app/c": "4", "app/d": "4"})
            client.restore_snapshot(iter([bytes(archive)]), len(archive))
        all_know({"app/c": "3"})
        assert len(one.gaps) == len(two.gaps) == 2
        assert one.gaps[1].startswith("a snapshot was restored")
        began = time.monotonic()
        written(servers, other, lambda c: c.variables.put("app/c", {"v": "5"}))
        all_know({"app/c": "5"})
        assert time.monotonic() - began < 30
