"""Quorate, as installed for this interpreter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench import variables
from bench.load import Request, Work
from bench.processes import SERVERS, ServerProcess, done, free_ports, until
from bench.rival import (
    KEYS,
    LISTED_PREFIX,
    VARIABLE_BYTES,
    VARIABLE_GET,
    VARIABLE_PUT,
    VARIABLES,
    Cluster,
    NomadApiCluster,
    agent_config,
)
from quorate.version import __version__

NAME = "Quorate"


def version() -> str | None:
    """The version and the interpreter's."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{__version__} (Python {python})"


class QuorateCluster(NomadApiCluster):
    """Beside what Nomad has too: variables, whose values are sealed."""

    def port(self, server: int) -> int:
        """That of its HTTP API."""
        return self._http[server]

    def fill(self, leader: int, keys: str, count: int, size: int) -> bool:
        """Several in one write."""
        self._await_level(leader)
        variables.fill(self._http[leader], keys, count, size)
        return True

    def variables(self, leader: int) -> dict[str, Work]:
        """Asked of the leader."""
        url = self._url(leader, f"var/{KEYS}")
        body = json.dumps({"Items": {"v": "v" * VARIABLE_BYTES}})
        return {
            VARIABLE_PUT: Request(url, "PUT", body, keys=VARIABLES),
            VARIABLE_GET: Request(url, keys=VARIABLES),
        }

    def lists(self, leader: int, count: int) -> Work | None:
        """Metadata without items, asked of the leader."""
        return Request(self._url(leader, f"vars?prefix={LISTED_PREFIX}"), keys=count // 100)

    def handover_ms(self, leader: int) -> float | None:
        """Between two clients of Python."""
        self._await_level(leader)
        return variables.handover_ms(self._http[leader])

    def _await_level(self, leader: int) -> None:
        """A cluster that is founded comes to its feature level within a second."""
        first = Request(self._url(leader, "var/bench-level"), "PUT", '{"Items": {"k": "v"}}')
        until("variables", lambda: done(first) or None, self.servers)


def start(folder: Path) -> Cluster:
    """Three servers with the default configuration."""
    return start_with(sys.executable, folder, QuorateCluster)


def start_with(
    interpreter: str,
    folder: Path,
    cluster: type[NomadApiCluster] = NomadApiCluster,
    module: str = "quorate",
) -> Cluster:
    """Three servers of the Quorate that is installed for this interpreter."""
    ports = free_ports(3 * SERVERS)
    http, rpc, serf = ports[::3], ports[1::3], ports[2::3]
    founders = [f"127.0.0.1:{port}" for port in rpc]
    servers = []
    for n in range(SERVERS):
        ports_of_one = {"http": http[n], "rpc": rpc[n], "serf": serf[n]}
        config = agent_config(
            n, str(folder / f"data-{n}"), ports_of_one, {"initial_servers": founders}
        )
        path = folder / f"server-{n}.json"
        path.write_text(json.dumps(config))
        argv = [interpreter, "-m", module, "agent", "-config", str(path)]
        servers.append(ServerProcess(argv, folder / f"server-{n}.log"))
    return cluster(servers, http, rpc)
