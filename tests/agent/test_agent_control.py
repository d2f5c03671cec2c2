"""The control socket: what only the agent's own user reaches, and no network."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest
from agent_process import one_agent
from api_running import asynchronous
from api_server import RawClient, connected, get, serving
from fake_server import NOW, FakeServer

from quorate.acl.capability import Capability
from quorate.agent.control import NAME, PATH_BYTES_MAX, ControlSocket, open_control
from quorate.api.app import HttpApplication
from quorate.api.endpoint import Consistency, Endpoint, Forwarding
from quorate.api.endpoints.cluster import ClusterEndpoint
from quorate.api.endpoints.table import TABLE
from quorate.api.http.listener import HttpListener, ListenerConfig, create_protocol_factory
from quorate.api.internal import RpcApplication
from quorate.metrics import Metrics

SECRET = "/v1/control/regions"
ROW = Endpoint(
    path=SECRET,
    methods=("GET",),
    made_of=ClusterEndpoint,
    handler=ClusterEndpoint.get_regions,
    capability=Capability.OPERATOR_WRITE,
    consistency=Consistency.LOCAL,
    forwarding=Forwarding.NONE,
    does="a test",
    control_only=True,
)
PARTS = (Metrics(), lambda: NOW, Random(1))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="q") as name:
        yield Path(name)


def control_listener() -> HttpListener:
    server = FakeServer().write_defaults()
    application = HttpApplication(server.parts(), *PARTS, (*TABLE, ROW), control=True)
    return create_protocol_factory(application, ListenerConfig())


async def opened(folder: Path) -> ControlSocket:
    control = await open_control(folder, control_listener())
    assert control is not None
    return control


@asynccontextmanager
async def on_socket(path: Path) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@asynchronous
async def test_no_port_serves_what_is_for_the_control_socket_only() -> None:
    parts = FakeServer().write_defaults().parts()

    class Members:
        """Whoever asks is taken for a member."""

        async def answer(self, verb: str, body: bytes, peer: object) -> bytes:
            raise AssertionError(verb, body, peer)

        def door(self, peer: object) -> Members:
            del peer
            return self

        def problem(self) -> str:
            return ""

        def call_bytes_max(self, peer: object) -> int:
            del peer
            return 1024

        def is_member(self, peer: object) -> bool:
            del peer
            return True

    for application in (
        HttpApplication(parts, *PARTS, (*TABLE, ROW)),
        RpcApplication(parts, *PARTS, Members()),
    ):
        async with serving(application) as served, connected(served.port) as client:
            for target in (SECRET, SECRET + "?region=west", "/v1/control/../control/regions"):
                client.send(get(target, "X-Quorate-Forwarded: leader"))
                assert (await client.answer()).status in {301, 404}
    with tempfile.TemporaryDirectory(prefix="q") as name:
        control = await opened(Path(name))
        async with on_socket(Path(name, NAME)) as client:
            assert (await client.get(SECRET)).body == b'["global"]'
            assert (await client.get("/v1/status/leader")).body == b'"127.0.0.3:4647"'
        await control.close(grace_s=0.0)


def test_what_is_for_the_control_socket_is_not_forwarded() -> None:
    with pytest.raises(ValueError, match="not forwarded"):
        msgspec.structs.replace(ROW, forwarding=Forwarding.REGION)


def test_only_the_owner_may_connect(folder: Path) -> None:
    folder.chmod(0o755)

    @asynchronous
    async def scenario() -> None:
        control = await opened(folder)
        assert mode(folder / NAME) == 0o600
        await control.close(grace_s=0.0)

    scenario()
    assert list(folder.iterdir()) == []


def test_a_folder_to_which_others_may_write_goes_without(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.chmod(0o777)

    @asynchronous
    async def scenario() -> None:
        assert await open_control(folder, control_listener()) is None

    scenario()
    assert "other users may write to its folder" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_socket_that_a_killed_agent_left_is_replaced(folder: Path) -> None:
    @asynchronous
    async def scenario() -> None:
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(folder / NAME))
        left.close()
        control = await opened(folder)
        async with on_socket(folder / NAME) as client:
            assert (await client.get(SECRET)).status == 200
        await control.close(grace_s=0.0)

    scenario()


def test_the_socket_of_another_is_not_removed(folder: Path) -> None:
    @asynchronous
    async def scenario() -> None:
        first = await opened(folder)
        second = await opened(folder)
        await first.close(grace_s=0.0)
        async with on_socket(folder / NAME) as client:
            assert (await client.get(SECRET)).status == 200
        await second.close(grace_s=0.0)

    scenario()


def test_a_folder_with_too_long_a_path_goes_without(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @asynchronous
    async def scenario() -> None:
        longest = folder / ("x" * (PATH_BYTES_MAX - len(str(folder)) - len(NAME) - 2))
        too_long = folder / ("x" * (PATH_BYTES_MAX - len(str(folder)) - len(NAME) - 1))
        for path in (longest, too_long):
            path.mkdir()
        control = await opened(longest)
        async with on_socket(longest / NAME) as client:
            assert (await client.get(SECRET)).status == 200
        await control.close(grace_s=0.0)
        assert await open_control(too_long, control_listener()) is None
        assert "set a shorter data_dir" in caplog.text
        assert await open_control(folder / "missing", control_listener()) is None
        assert "No such file" in caplog.text

    scenario()


# -- real agents -----------------------------------------------------------------------------------


@pytest.mark.process
def test_every_agent_has_one_and_the_command_line_uses_it(folder: Path) -> None:
    with one_agent(folder) as agent:
        agent.run()
        agent.serves()
        path = agent.data_dir(0) / NAME
        assert mode(path) == 0o600
        assert mode(path.parent) == 0o700  # as an agent makes it
        option = f"-address=unix://{path}"
        assert "s0.global" in quorate(Path("/nowhere"), "operator", "raft", "list-peers", option)
        shown = quorate(path, "operator", "api", "/v1/agent/self")
        assert json.loads(shown)["member"]["Name"] == "s0.global"
        # A second agent on the same folder is refused, and leaves the first one's socket.
        second = subprocess.run(agent.command(0), capture_output=True, timeout=30, check=False)
        assert second.returncode == 1
        assert "s0.global" in quorate(path, "server", "members")
        # A killed one leaves it behind; the next replaces it, and removes it when it stops.
        agent.process.send_signal(signal.SIGKILL)
        agent.process.wait()
        assert path.exists()
        agent.run()
        agent.serves()
        assert "s0.global" in quorate(path, "server", "members")
        agent.process.send_signal(signal.SIGINT)
        agent.process.wait(timeout=20)
        assert not path.exists()


def quorate(path: Path, *words: str) -> str:
    """What this command prints, asked through the socket."""
    environment = {**os.environ, "NOMAD_ADDR": f"unix://{path}"}
    line = [sys.executable, "-m", "quorate", *words]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=30, check=True, env=environment
    ).stdout
