"""A survivor that runs is killed at each step of its recovery, and comes to the end of it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from gossiping_servers import GossipingServers, Said, gossiping
from patience import PATIENCE_S
from places import SUPPORT
from server_processes import until

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

PROGRAM = str(SUPPORT / "processes" / "killed_at.py")
LIVE = ("operator", "recover", "live")


class Armed(GossipingServers):
    """Servers that kill themselves at a step, once they are armed with it."""

    def command(self, number: int) -> list[str]:
        return [sys.executable, PROGRAM, "agent", "-config", str(self.config(number))]

    def environment(self, number: int) -> dict[str, str]:
        return {"KILLED_AT": str(self.folder / f"s{number}.step")}

    def arm(self, number: int, step: str) -> None:
        path = self.folder / f"s{number}.step"
        path.with_suffix(".new").write_text(step)
        path.with_suffix(".new").rename(path)

    def live(self, step: str, *words: str) -> Said:
        return self.run(0, *LIVE, step, *words, str(self.data_dir(0)))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Armed, Path]]:
    """Three servers that were killed, and the data folder of the first as it was then."""
    servers = Armed(tmp_path_factory.mktemp("live"), 3)
    with gossiping(servers):
        servers.leader()
        servers.all_vote()
        until(lambda: servers.run(0, "var", "put", "app/a", "k=v").code == 0, "a write")
        servers.at_rest()
        servers.kill(0, 1, 2)
        kept = servers.folder / "kept"
        (servers.data_dir(0) / "control.sock").unlink(missing_ok=True)
        shutil.copytree(servers.data_dir(0), kept)
        yield servers, kept


def survivor(lost: tuple[Armed, Path]) -> tuple[Armed, list[str]]:
    """The first server runs alone on what it had; the words of its preparation."""
    servers, kept = lost
    if 0 in servers.processes:
        servers.kill(0)
    shutil.rmtree(servers.data_dir(0))
    shutil.copytree(kept, servers.data_dir(0))
    servers.start(0)
    socket = servers.data_dir(0) / "control.sock"
    until(lambda: servers.processes[0].poll() is None and socket.exists(), "its control socket")
    address = f"http://{servers.host(0)}:{servers.http[0]}"
    plan = servers.folder / "plan.json"
    made = servers.run(0, "operator", "recover", "plan", f"-out={plan}", f"-address={address}")
    assert made.code == 0, made
    left = ",".join(each["id"] for each in json.loads(plan.read_text())["left_out"])
    return servers, ["-data-may-be-lost", f"-lost={left}", str(plan)]


def killed(servers: Armed) -> None:
    process = servers.processes[0]
    assert process.wait(PATIENCE_S) == -9
    servers.start(0)


def answers(servers: Armed) -> bool:
    return servers.live("status").code == 0


@pytest.mark.parametrize("step", ["mark begun", "mark written"])
def test_killed_as_it_is_prepared(lost: tuple[Armed, Path], step: str) -> None:
    servers, words = survivor(lost)
    servers.arm(0, step)
    assert servers.live("prepare", *words).code == 1
    killed(servers)
    until(lambda: answers(servers), "the server to run again")
    said = servers.live("status").out
    assert ("for no recovery" in said) is (step == "mark begun")
    assert servers.live("prepare", *words).code == 0
    assert servers.live("commit").code == 0
    goes_on(servers)


@pytest.mark.parametrize(
    "step",
    [
        "recovery begun",
        "folder kept",
        "new snapshot written",
        "log emptied",
        "epoch written",
        "recovered",
        "mark removed",
    ],
)
def test_killed_as_it_carries_the_plan_out(lost: tuple[Armed, Path], step: str) -> None:
    servers, words = survivor(lost)
    assert servers.live("prepare", *words).code == 0
    servers.arm(0, step)
    assert servers.live("commit").code == 1
    killed(servers)
    # It had begun, so it is finished at the start.
    goes_on(servers)
    assert "for no recovery" in servers.live("status").out
    assert not (servers.data_dir(0) / "server" / "prepared.json").exists()


def test_a_clients_connection_stays_up(lost: tuple[Armed, Path]) -> None:
    servers, words = survivor(lost)
    client = HTTPConnection(servers.host(0), servers.http[0], timeout=PATIENCE_S)

    def asked(path: str) -> tuple[int, bytes]:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()

    try:
        assert asked("/v1/agent/self")[0] == 200
        socket, process = client.sock, servers.processes[0]
        assert servers.live("prepare", *words).code == 0
        assert b"is prepared for a recovery" in asked("/v1/agent/health")[1]
        assert servers.live("commit").code == 0
        until(lambda: asked("/v1/var/app/a")[0] == 200, "a consistent read", 10.0)
        assert client.sock is socket
        assert process.poll() is None
        assert asked("/v1/agent/health")[0] == 200
    finally:
        client.close()
    goes_on(servers)
    # And back: what was written since would be lost, so it is said.
    servers.kill(0)
    refused = servers.run(0, "operator", "recover", "undo", str(servers.data_dir(0)))
    assert "an undo would lose them" in refused.err
    words = [f"-lose={refused.err.split('up to entry ')[1].split()[0]}", str(servers.data_dir(0))]
    assert servers.run(0, "operator", "recover", "undo", *words).code == 0


def goes_on(servers: Armed) -> None:
    until(lambda: servers.run(0, "var", "put", "app/b", "k=w").code == 0, "a write")
    listed = servers.run(0, "var", "list", "-out=terse", "app/")
    assert listed.out.split() == ["app/a", "app/b"]
    assert len(list((servers.data_dir(0) / "server").glob("recovered-1-*"))) == 1
