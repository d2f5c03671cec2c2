"""Real server processes on loopback: start, kill, stop, wipe, ask; waits have deadlines."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from patience import PATIENCE_S
from stopwatch import Stopwatch

T = TypeVar("T")

LOOK_AGAIN_S = 0.05
"""Between two looks at a condition: most ask servers, which have their own work."""


def until(
    condition: Callable[[], T], what: str | Callable[[], str], timeout_s: float = PATIENCE_S
) -> T:
    """The first true value of `condition`; fails naming `what` after the deadline.

    A condition may raise for what is not there yet: no answer, no JSON, a row that is missing.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        last = ""
        try:
            if value := condition():
                return value
        except (OSError, ValueError, LookupError) as error:
            last = f"; at last {error!r}"
        if time.monotonic() >= deadline:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {timeout_s:g} s: {text}{last}")
        threading.Event().wait(LOOK_AGAIN_S)


class Answer(tuple[int, bytes]):
    """Status and body."""

    __slots__ = ()

    @property
    def status(self) -> int:
        return self[0]

    @property
    def text(self) -> str:
        return self[1].decode()

    @property
    def json(self) -> Any:
        return json.loads(self[1])


class Servers:
    """Servers s0, s1, ...; all of them founders of one cluster.

    `tls` is how they are asked, if their HTTP port speaks TLS.
    """

    tls: ssl.SSLContext | None = None

    def __init__(self, folder: Path, count: int = 3, **server_keys: Any) -> None:
        self.folder = folder
        self.count = count
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        ports = free_ports(3 * count)
        self.http, self.rpc, self.serf = ports[:count], ports[count : 2 * count], ports[2 * count :]
        for number in range(count):
            self._configure(number, server_keys)

    def _configure(self, number: int, server_keys: dict[str, Any]) -> None:
        host = self.host(number)
        config = {
            "name": f"s{number}",
            "data_dir": str(self.data_dir(number)),
            "bind_addr": host,
            "ports": {
                "http": self.http[number],
                "rpc": self.rpc[number],
                "serf": self.serf[number],
            },
            "advertise": {"http": host, "rpc": host, "serf": host},
            "autopilot": {"server_stabilization_time": "500ms"},
            "server": {
                "enabled": True,
                "initial_servers": [self.rpc_address(n) for n in range(self.count)],
                **server_keys,
            },
        }
        self.config(number).write_text(json.dumps(config))

    def host(self, number: int) -> str:
        """Where a server listens; where every server has a network of its own, this differs."""
        del number
        return "127.0.0.1"

    def command(self, number: int) -> list[str]:
        """What starts a server."""
        return [sys.executable, "-m", "quorate", "agent", "-config", str(self.config(number))]

    def environment(self, number: int) -> dict[str, str]:
        """What its process finds in the environment, beside what we have."""
        del number
        return {}

    def rpc_address(self, number: int) -> str:
        return f"{self.host(number)}:{self.rpc[number]}"

    def data_dir(self, number: int) -> Path:
        return self.folder / f"s{number}"

    def config(self, number: int) -> Path:
        return self.folder / f"s{number}.json"

    def log(self, number: int) -> str:
        return (self.folder / f"s{number}.log").read_text(errors="replace")

    def start(self, *numbers: int) -> None:
        for number in numbers or range(self.count):
            with (self.folder / f"s{number}.log").open("ab") as log:
                self.processes[number] = subprocess.Popen(
                    self.command(number),
                    env={**os.environ, **self.environment(number)},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                )

    def kill(self, *numbers: int) -> None:
        for number in numbers:
            process = self.processes.pop(number)
            process.kill()
            process.wait(PATIENCE_S)

    def signal(self, number: int, which: signal.Signals) -> None:
        os.kill(self.processes[number].pid, which)

    def wipe(self, number: int) -> None:
        shutil.rmtree(self.data_dir(number))

    def stop_all(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(PATIENCE_S)
        self.processes.clear()

    def ask(
        self, number: int, path: str, method: str = "GET", body: Any = None, timeout_s: float = 12.0
    ) -> Answer:
        """An answer of any status; OSError when there is none."""
        scheme = "https" if self.tls else "http"
        url = f"{scheme}://{self.host(number)}:{self.http[number]}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s, context=self.tls) as answer:
                return Answer((answer.status, answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer((error.code, error.read()))

    def stopwatch(self) -> Stopwatch:
        """What is measured with it bounds the servers, not what else the machine does."""
        return Stopwatch(lambda: [process.pid for process in self.processes.values()])

    def stats(self, number: int) -> dict[str, str]:
        """The section `raft` of one server's own view."""
        section: dict[str, str] = self.ask(number, "/v1/agent/self").json["stats"]["raft"]
        return section

    def leader(self, timeout_s: float = PATIENCE_S) -> int:
        """The server that leads, once all that run agree on it."""

        found = -1
        said: dict[int, str] = {}

        def agreed() -> bool:
            nonlocal found
            for n in list(self.processes):
                said[n] = "no answer"
                said[n] = self.ask(n, "/v1/status/leader?stale", timeout_s=3).json
            leaders = {said[n] for n in self.processes}
            addresses = [self.rpc_address(n) for n in range(self.count)]
            if len(leaders) != 1 or (leader := leaders.pop()) not in addresses:
                return False
            found = addresses.index(leader)
            return found in self.processes and self.stats(found)["state"] == "Leader"

        until(agreed, lambda: f"a leader on whom all agree; they say {said}", timeout_s)
        return found

    def move_leadership_to(self, number: int) -> None:
        """Make that server the leader."""

        def moved() -> bool:
            leader = self.leader()
            if leader == number:
                return True
            rows = self.ask(leader, "/v1/operator/raft/configuration").json["Servers"]
            address = self.rpc_address(number)
            target = next(row["ID"] for row in rows if row["Address"] == address)
            self.ask(leader, f"/v1/operator/raft/transfer-leadership?id={target}", "PUT")
            return False

        until(moved, f"server {number} to lead")

    def voters(self) -> int:
        """How many voters the configuration has, as any server knows it."""
        number = next(iter(self.processes))
        rows = self.ask(number, "/v1/operator/raft/configuration?stale").json["Servers"]
        return sum(row["Voter"] for row in rows)


@contextlib.contextmanager
def running(folder: Path, count: int = 3, **server_keys: Any) -> Iterator[Servers]:
    """A cluster with a leader; all its processes are gone afterwards."""
    servers = Servers(folder, count, **server_keys)
    servers.start()
    try:
        servers.leader()
        yield servers
    finally:
        servers.stop_all()
    for number in range(count):
        assert "Traceback" not in servers.log(number), servers.log(number)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below the range from which the kernel takes its own."""
    ports: list[int] = []
    rng = random.SystemRandom()
    while len(ports) < count:
        port = rng.randrange(15000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports:
                ports.append(port)
    return ports
