"""Quorate, as installed for this interpreter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.processes import SERVERS, ServerProcess, free_ports
from bench.rival import Cluster, NomadApiCluster, agent_config
from quorate.version import __version__

NAME = "Quorate"


def version() -> str | None:
    """The version and the interpreter's."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{__version__} (Python {python})"


def start(folder: Path) -> Cluster:
    """Three servers with the default configuration."""
    return start_with(sys.executable, folder)


def start_with(interpreter: str, folder: Path) -> Cluster:
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
        argv = [interpreter, "-m", "quorate", "agent", "-config", str(path)]
        servers.append(ServerProcess(argv, folder / f"server-{n}.log"))
    return NomadApiCluster(servers, http, rpc)
