"""Real server processes on loopback: start, kill, stop, wipe, ask; waits have deadlines."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, timeout_s: float = 20.0) -> T:
    """The first true value of `condition`; fails naming `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError, ValueError):
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        threading.Event().wait(0.02)


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
    """Servers s0, s1, ...; all of them founders of one cluster."""

    def __init__(self, folder: Path, count: int = 3, **server_keys: Any) -> None:
        self.folder = folder
        self.count = count
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        ports = free_ports(3 * count)
        self.http, self.rpc, self.serf = ports[:count], ports[count : 2 * count], ports[2 * count :]
        for number in range(count):
            self._configure(number, server_keys)

    def _configure(self, number: int, server_keys: dict[str, Any]) -> None:
        loopback = "127.0.0.1"
        config = {
            "name": f"s{number}",
            "data_dir": str(self.data_dir(number)),
            "bind_addr": loopback,
            "ports": {
                "http": self.http[number],
                "rpc": self.rpc[number],
                "serf": self.serf[number],
            },
            "advertise": {"http": loopback, "rpc": loopback, "serf": loopback},
            "autopilot": {"server_stabilization_time": "500ms"},
            "server": {
                "enabled": True,
                "initial_servers": [f"{loopback}:{port}" for port in self.rpc],
                **server_keys,
            },
        }
        self.config(number).write_text(json.dumps(config))

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
                    [sys.executable, "-m", "quorate", "agent", "-config", str(self.config(number))],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                )

    def kill(self, *numbers: int) -> None:
        for number in numbers:
            process = self.processes.pop(number)
            process.kill()
            process.wait(10)

    def signal(self, number: int, which: signal.Signals) -> None:
        os.kill(self.processes[number].pid, which)

    def wipe(self, number: int) -> None:
        shutil.rmtree(self.data_dir(number))

    def stop_all(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)
        self.processes.clear()

    def ask(
        self, number: int, path: str, method: str = "GET", body: Any = None, timeout_s: float = 12.0
    ) -> Answer:
        """An answer of any status; OSError when there is none."""
        url = f"http://127.0.0.1:{self.http[number]}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer((answer.status, answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer((error.code, error.read()))

    def stats(self, number: int) -> dict[str, str]:
        """The section `raft` of one server's own view."""
        section: dict[str, str] = self.ask(number, "/v1/agent/self").json["stats"]["raft"]
        return section

    def leader(self) -> int:
        """The server that leads, once all that run agree on it."""

        found = -1

        def agreed() -> bool:
            nonlocal found
            said = {self.ask(n, "/v1/status/leader?stale").json for n in self.processes}
            if len(said) != 1:
                return False
            found = self.rpc.index(int(said.pop().rpartition(":")[2]))
            return found in self.processes and self.stats(found)["state"] == "Leader"

        until(agreed, "a leader on whom all agree")
        return found

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
