"""Pain 19: a command of a version to come reaches servers of today, and none of them ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import future_version
import pytest
from future_version import TYPE, VERSION
from patience import PATIENCE_S
from register_writers import PATH, body, read
from server_processes import Servers, until

from quorate.levels import LEVEL
from quorate.version import __version__

pytestmark = pytest.mark.process


class FutureServers(Servers):
    """Servers of which those in `future` are of the version to come."""

    future: set[int] = set()  # noqa: RUF012

    def command(self, number: int) -> list[str]:
        command = super().command(number)
        if number not in self.future:
            return command
        return [sys.executable, future_version.__file__, *command[command.index("agent") :]]

    def restart(self, number: int, *, future: bool) -> None:
        process = self.processes.pop(number)
        process.terminate()
        process.wait(PATIENCE_S)
        self.future = self.future | {number} if future else self.future - {number}
        self.start(number)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[FutureServers]:
    found = FutureServers(tmp_path, 3, raft_snapshot_threshold=8, raft_snapshot_interval="100ms")
    found.start()
    try:
        leader = found.leader()
        for value in range(1, 21):
            until(lambda v=value: found.ask(leader, PATH, "PUT", body(v)).status == 200, "a write")  # type: ignore[misc]
        yield found
    finally:
        found.stop_all()


def health(servers: Servers, number: int) -> Any:
    return servers.ask(number, "/v1/agent/health").json["server"]


def held(servers: Servers, number: int) -> bool:
    return f"a command of type {TYPE} cannot be read" in health(servers, number)["message"]


def test_servers_that_cannot_read_a_command_hold_and_go_on_after_an_upgrade(
    servers: FutureServers,
) -> None:
    newest = (servers.leader() + 1) % 3
    others = [number for number in range(3) if number != newest]
    servers.restart(newest, future=True)
    servers.move_leadership_to(newest)
    before = read(servers, newest)
    # Nothing that is acknowledged from here on is lost, although no other server can read it.
    for value in range(21, 41):
        assert servers.ask(newest, PATH, "PUT", body(value)).status == 200
    for number in others:
        until(lambda n=number: held(servers, n), f"s{number} to hold")  # type: ignore[misc]
        said = health(servers, number)["message"]
        assert f"by Quorate {__version__}, which knows level {LEVEL}" in said
        assert "upgrade this server to the version of the present leader" in said
        assert f"(s{newest}.global leads and runs Quorate {VERSION})" in said
        assert f"command of type {TYPE} cannot be read" in servers.log(number)
        # Its own state answers, as of before; the newest is the leader's.
        assert read(servers, number, "?stale") == before
        assert read(servers, number) == read(servers, newest) != before
        written = servers.ask(number, PATH, "PUT", body(40 + number))
        assert written.status == 200
    views = servers.ask(newest, "/v1/operator/raft/views").json["Servers"]
    assert {view["Node"] for view in views if f"type {TYPE}" in view["Held"]} == {
        f"s{number}.global" for number in others
    }

    # A restart forgets nothing of it, and a server that holds never leads.
    servers.kill(others[0])
    servers.start(others[0])
    until(lambda: held(servers, others[0]), "it to hold again")
    last = read(servers, newest)
    servers.kill(newest)
    until(lambda: not servers.ask(others[1], "/v1/status/leader?stale").json, "no leader")
    assert read(servers, others[0], "?stale") == before

    # The version that knows it goes on from there.
    for number in others:
        servers.restart(number, future=True)
    servers.start(newest)
    servers.leader()
    for number in range(3):
        until(lambda n=number: read(servers, n, "?stale") == last, f"s{number} to have it all")  # type: ignore[misc]
        until(lambda n=number: health(servers, n)["ok"], f"s{number} to be well")  # type: ignore[misc]
        assert "Traceback" not in servers.log(number)
