"""Nomad, where a `nomad` is on the PATH."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from bench.processes import SERVERS, ServerProcess, free_ports
from bench.rival import Cluster, NomadApiCluster, agent_config

NAME = "Nomad"


def version() -> str | None:
    """What `nomad version` says."""
    if shutil.which("nomad") is None:
        return None
    done = subprocess.run(
        ["nomad", "version"], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.split()[1].removeprefix("v")


def start(folder: Path) -> Cluster:
    """Three servers with the default configuration and Raft protocol 3."""
    ports = free_ports(3 * SERVERS)
    http, rpc, serf = ports[::3], ports[1::3], ports[2::3]
    servers = []
    for n in range(SERVERS):
        ports_of_one = {"http": http[n], "rpc": rpc[n], "serf": serf[n]}
        others = {
            "bootstrap_expect": SERVERS,
            "raft_protocol": 3,
            "server_join": {"retry_join": [f"127.0.0.1:{port}" for port in serf]},
        }
        config = agent_config(n, str(folder / f"data-{n}"), ports_of_one, others)
        path = folder / f"server-{n}.json"
        path.write_text(json.dumps(config))
        argv = ["nomad", "agent", "-config", str(path)]
        servers.append(ServerProcess(argv, folder / f"server-{n}.log"))
    return NomadApiCluster(servers, http, rpc)
