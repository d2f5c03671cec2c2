"""What the measurements need of a cluster; one module per rival provides it.

Each `run_<name>.py` has `start(folder)`, which returns a starting cluster of three; `version()` is
None where the rival is not installed.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence

from bench.load import Request, Work
from bench.processes import ServerProcess, ask, done, until

WRITE = "write"
READ_LEADER = "read, leader"
READ_FORWARDED = "read, follower, forwarded"
READ_STALE = "read, follower, stale"


class Cluster(ABC):
    """Three servers; numbers count from 0."""

    servers: Sequence[ServerProcess]

    @abstractmethod
    def leader(self) -> int | None:
        """Who leads as all running servers see it; None while they do not agree."""

    @abstractmethod
    def writes(self, server: int) -> dict[str, Work]:
        """The write, in each of the rival's ways to make it: label to request."""

    def reads(self, leader: int) -> dict[str, Request]:
        """Reads of the Raft configuration, by the names above; empty where there are none."""
        del leader
        return {}

    def await_leader(self) -> int:
        """The leader, once there is one and it accepts a write."""

        def look() -> int | None:
            leader = self.leader()
            if leader is None:
                return None
            accepted = all(done(work) for work in self.writes(leader).values())
            return leader if accepted else None

        return until("a leader that accepts writes", look, self.servers)

    def stop(self) -> None:
        """Kill them all."""
        for server in self.servers:
            server.kill()


class NomadApiCluster(Cluster):
    """What Quorate and Nomad have in common: the HTTP API and the form of the configuration."""

    def __init__(
        self, servers: Sequence[ServerProcess], http: Sequence[int], rpc: Sequence[int]
    ) -> None:
        self.servers = servers
        self._http = http
        self._rpc = rpc

    def _url(self, server: int, path: str) -> str:
        return f"http://127.0.0.1:{self._http[server]}/v1/{path}"

    def leader(self) -> int | None:
        """By `status/leader` of all three."""
        answers = [ask(Request(self._url(n, "status/leader"))) for n in range(len(self.servers))]
        known = {json.loads(answer) for answer in answers if answer is not None}
        addresses = {f"127.0.0.1:{port}": n for n, port in enumerate(self._rpc)}
        return addresses.get(known.pop()) if None not in answers and len(known) == 1 else None

    def writes(self, server: int) -> dict[str, Work]:
        """The whole scheduler configuration."""
        body = {
            "SchedulerAlgorithm": "binpack",
            "PreemptionConfig": {"SystemSchedulerEnabled": True},
        }
        url = self._url(server, "operator/scheduler/configuration")
        return {"": Request(url, "PUT", json.dumps(body))}

    def reads(self, leader: int) -> dict[str, Request]:
        """The Raft configuration."""
        path = "operator/raft/configuration"
        follower = (leader + 1) % len(self.servers)
        return {
            READ_LEADER: Request(self._url(leader, path)),
            READ_FORWARDED: Request(self._url(follower, path)),
            READ_STALE: Request(self._url(follower, path + "?stale")),
        }


def agent_config(
    number: int, folder: str, ports: dict[str, int], server: dict[str, object]
) -> dict[str, object]:
    """The agent configuration that both read, without limits on connections."""
    host = "127.0.0.1"
    return {
        "name": f"server-{number + 1}",
        "data_dir": folder,
        "bind_addr": host,
        "ports": ports,
        "advertise": {"http": host, "rpc": host, "serf": host},
        "limits": {"http_max_conns_per_client": 0, "rpc_max_conns_per_client": 0},
        "server": {"enabled": True, **server},
    }
