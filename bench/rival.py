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

VARIABLE_PUT = "variable put"
VARIABLE_GET = "variable get, linearizable, 32 clients"
VARIABLE_LIST = "list of 100 variables by prefix, 1 client"
HANDOVER = "lock released until the next holder has it"

VARIABLES = 10_000
VARIABLE_BYTES = 256
KEYS = "bench/%06d"
LISTED_BYTES = 16
LISTED_KEYS = "many/%06d"  # of which each prefix of four digits has 100
LISTED_PREFIX = "many/%04d"
LOCK = "bench-lock"


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

    def fill(self, leader: int, keys: str, count: int, size: int) -> bool:
        """Write `count` variables of `size` bytes; False where there are none."""
        del leader, keys, count, size
        return False

    def variables(self, leader: int) -> dict[str, Work]:
        """Put and get, by the names above, over the keys that were filled; empty where none are."""
        del leader
        return {}

    def lists(self, leader: int, count: int) -> Work | None:
        """Lists of 100 of `count` variables that were filled."""
        del leader, count
        return None

    def handover_ms(self, leader: int) -> float | None:
        """Milliseconds from the release of a lock until a waiting client has it; the median."""
        del leader
        return None

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
