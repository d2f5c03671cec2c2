"""etcd 3.4 with both of its HTTP ways to write: the gateway to v3, and v2."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.load import Request, Work
from bench.processes import SERVERS, ServerProcess, ask, free_ports
from bench.rival import Cluster

NAME = "etcd"
# As many bytes as the body of the write of the others.
VALUE = "v" * 88


def version() -> str | None:
    """What `etcd --version` says in its first line."""
    if shutil.which("etcd") is None:
        return None
    done = subprocess.run(
        ["etcd", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.split()[2]


class EtcdCluster(Cluster):
    """What the ways to write have in common: who leads, by the gateway to v3."""

    def __init__(self, servers: Sequence[ServerProcess], client: Sequence[int]) -> None:
        self.servers = servers
        self.client_ports = client

    def _url(self, server: int, path: str) -> str:
        return f"http://127.0.0.1:{self.client_ports[server]}{path}"

    def _status(self, server: int) -> dict[str, Any] | None:
        answer = ask(Request(self._url(server, "/v3/maintenance/status"), "POST", "{}"))
        return None if answer is None else json.loads(answer)

    def leader(self) -> int | None:
        """By `maintenance/status` of all three."""
        statuses = [self._status(n) for n in range(len(self.servers))]
        known = [status for status in statuses if status is not None]
        ids = [status["header"]["member_id"] for status in known]
        leaders = {status.get("leader", "0") for status in known}
        if len(known) < len(self.servers) or len(leaders) != 1:
            return None
        (leader,) = leaders
        return ids.index(leader) if leader in ids else None

    def writes(self, server: int) -> dict[str, Work]:
        """One key, over the gateway to v3 and over v2."""
        coded = {
            "key": base64.b64encode(b"benchmark").decode(),
            "value": base64.b64encode(VALUE.encode()).decode(),
        }
        return {
            "v3": Request(self._url(server, "/v3/kv/put"), "POST", json.dumps(coded)),
            "v2": Request(
                self._url(server, "/v2/keys/benchmark"),
                "PUT",
                f"value={VALUE}",
                "application/x-www-form-urlencoded",
            ),
        }


def start(folder: Path) -> Cluster:
    """Three servers with the default configuration, and v2 enabled."""
    return start_with("etcd", folder, EtcdCluster, {"enable-v2": "true"})


def start_with(
    program: str,
    folder: Path,
    cluster: Callable[[Sequence[ServerProcess], Sequence[int]], Cluster],
    extra: Mapping[str, str],
) -> Cluster:
    """Three servers of that etcd; `cluster` gets the processes and their client ports."""
    ports = free_ports(2 * SERVERS)
    client, peer = ports[::2], ports[1::2]
    initial = ",".join(f"s{n}=http://127.0.0.1:{port}" for n, port in enumerate(peer))
    servers = []
    for n in range(SERVERS):
        options = {
            "name": f"s{n}",
            "data-dir": str(folder / f"data-{n}"),
            "listen-peer-urls": f"http://127.0.0.1:{peer[n]}",
            "initial-advertise-peer-urls": f"http://127.0.0.1:{peer[n]}",
            "listen-client-urls": f"http://127.0.0.1:{client[n]}",
            "advertise-client-urls": f"http://127.0.0.1:{client[n]}",
            "initial-cluster": initial,
            "log-level": "error",
            **extra,
        }
        argv = [program, *(f"--{name}={value}" for name, value in options.items())]
        servers.append(ServerProcess(argv, folder / f"server-{n}.log"))
    return cluster(servers, client)
