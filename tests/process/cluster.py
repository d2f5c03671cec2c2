"""Real server processes on loopback, to be killed, stopped, wiped and started again.

Ports lie below the range from which the kernel takes ports for outgoing connections, so that
nobody gets one while its server is down, and each worker of pytest-xdist has a range of its own.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx

HOST = "127.0.0.1"
DEADLINE_S = 30.0
POLL_S = 0.02
_LOWEST_PORT = 10_000
_HIGHEST_PORT = 32_000
_WORKERS = 4

T = TypeVar("T")


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    text: str
    headers: httpx.Headers

    def json(self) -> Any:
        return json.loads(self.text)


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, out of this worker's range."""
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))))
    width = (_HIGHEST_PORT - _LOWEST_PORT) // _WORKERS
    first = _LOWEST_PORT + width * (worker % _WORKERS)
    shuffled = random.sample(range(first, first + width), width)
    found = [port for _, port in zip(range(count), filter(_can_bind, shuffled), strict=False)]
    assert len(found) == count
    return found


def wait_until(what: str, look: Callable[[], T | None], deadline_s: float = DEADLINE_S) -> T:
    """What `look` gives, once it gives something true; a failure names `what`."""
    end = time.monotonic() + deadline_s
    last: object = None
    while time.monotonic() < end:
        try:
            found = look()
        except httpx.HTTPError as error:
            last = error
        else:
            if found:
                return found
            last = found
        _pause()
    raise AssertionError(f"not within {deadline_s:.0f} s: {what} (last seen: {last!r})")


def _pause() -> None:
    # Between two looks at a process of its own there is nothing to wait on but time.
    signal.sigtimedwait([], POLL_S)


class Node:
    """One server: its ports, its folder, its log and, while it runs, its process."""

    def __init__(self, name: str, folder: Path, ports: Sequence[int]) -> None:
        self.name = name
        self.http, self.rpc, self.serf = ports
        self.rpc_address = f"{HOST}:{self.rpc}"
        self.data_dir = folder / name
        self.config_path = folder / f"{name}.json"
        self.log_path = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(
            base_url=f"http://{HOST}:{self.http}",
            trust_env=False,
            timeout=15.0,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def configure(self, **config: Any) -> None:
        """Write the agent configuration; `config` replaces whole keys of the usual one."""
        usual = {
            "name": self.name,
            "data_dir": str(self.data_dir),
            "bind_addr": HOST,
            "ports": {"http": self.http, "rpc": self.rpc, "serf": self.serf},
            "advertise": {"http": HOST, "rpc": HOST, "serf": HOST},
        }
        self.config_path.write_text(json.dumps({**usual, **config}))

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", "quorate", "agent", "-config", str(self.config_path)]

    # -- the process -----------------------------------------------------------------------------

    def start(self) -> None:
        assert not self.running
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def run_to_end(self, timeout_s: float = DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """Start it where it is expected to end by itself."""
        return subprocess.run(
            self.argv, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE_S)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wipe(self) -> None:
        """Remove everything that it kept."""
        assert not self.running
        shutil.rmtree(self.data_dir)

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # -- its API ---------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, timeout_s: float = 15.0) -> Answer:
        """One request. Raises httpx.HTTPError when there is no answer."""
        got = self._client.request(method, f"/v1/{path}", json=body, timeout=timeout_s)
        return Answer(got.status_code, got.text, got.headers)

    def get(self, path: str, timeout_s: float = 15.0) -> Answer:
        return self.ask("GET", path, timeout_s=timeout_s)

    def put(self, path: str, body: Any, timeout_s: float = 15.0) -> Answer:
        return self.ask("PUT", path, body, timeout_s)

    def raft(self) -> dict[str, str]:
        """The section `raft` of its inner figures."""
        stats: dict[str, str] = self.get("agent/self", 3.0).json()["stats"]["raft"]
        return stats

    def term(self) -> int:
        return int(self.raft()["term"])

    def peers(self) -> list[dict[str, Any]]:
        """The servers of the Raft configuration as it knows it itself."""
        servers: list[dict[str, Any]] = self.get(
            "operator/raft/configuration?stale", 3.0
        ).json()["Servers"]
        return servers

    def close(self) -> None:
        if self.running:
            self.resume()
        self.kill()
        self._client.close()


class Cluster:
    """`count` servers that found a cluster. `server` goes into the block of that name."""

    def __init__(self, folder: Path, count: int = 3, **server: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(3 * count)
        self.nodes = [
            Node(f"server-{n + 1}", folder, ports[3 * n : 3 * n + 3]) for n in range(count)
        ]
        founders = [node.rpc_address for node in self.nodes]
        block = {"enabled": True, "initial_servers": founders, **server}
        for node in self.nodes:
            node.configure(
                server=block,
                limits={"http_max_conns_per_client": 0, "rpc_max_conns_per_client": 0},
                autopilot={"server_stabilization_time": "500ms"},
            )

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        self.settled()

    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.running]

    def others(self, *nodes: Node) -> list[Node]:
        return [node for node in self.nodes if node not in nodes]

    def leader(self, among: Sequence[Node] | None = None) -> Node:
        """Who leads, once all of `among` (all that run) say the same and it is one of them."""
        asked = list(among or self.running())

        def look() -> Node | None:
            said = {node.get("status/leader", 3.0).text.strip() for node in asked}
            if len(said) != 1:
                return None
            address = json.loads(said.pop())
            return next((node for node in asked if node.rpc_address == address), None)

        return wait_until("one leader that all agree on", look)

    def settled(self, count: int | None = None) -> Node:
        """The leader, once all running servers are voters in the configuration of each."""
        voters = count or len(self.nodes)

        def look() -> bool:
            seen = [node.peers() for node in self.running()]
            return all(sum(peer["Voter"] for peer in peers) == voters for peers in seen)

        leader = self.leader()
        wait_until(f"{voters} voters", look)
        configuration = "operator/scheduler/configuration"
        wait_until("first writes", lambda: leader.get(configuration, 3.0).status == 200)
        return leader

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def report(self) -> str:
        """The end of every log, for a failed test."""
        parts = []
        for node in self.nodes:
            state = "runs" if node.running else "is down"
            lines = "\n".join(node.log().splitlines()[-30:])
            parts.append(f"---- {node.name} ({node.rpc_address}) {state}\n{lines}")
        return "\n".join(parts)


@contextmanager
def cluster(folder: Path, count: int = 3, *, start: bool = True, **server: Any) -> Iterator[Cluster]:
    """A cluster for one test; a failure shows its logs, and no process outlives it."""
    made = Cluster(folder, count, **server)
    try:
        if start:
            made.start()
        yield made
    except Exception:
        print(made.report())
        raise
    finally:
        made.close()
