"""Real servers that find each other by gossip, each at a place that may change between starts.

A place is a loopback host (127.0.0.x) with a port each for HTTP, RPC and gossip. A server that
moves gets another one in its configuration; its data folder is never touched by a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from patience import PATIENCE_S
from server_processes import Servers, free_ports, until

from quorate.raft.codec import configurations_in
from quorate.raft.values.configuration import Configuration
from quorate.storage.log.store import LogStore
from quorate.wire.raft import membership

CONFIGURATION = "/v1/operator/raft/configuration"
SCHEDULER = "/v1/operator/scheduler/configuration"

LEADER_S = 10.0
"""Within this time of a start there is a leader (docs/pains.md, 3 and 15)."""


class Place(NamedTuple):
    """Where a server is."""

    host: str
    http: int
    rpc: int
    serf: int


def new_place() -> Place:
    """A place on some loopback host where nobody is."""
    host = f"127.0.0.{random.SystemRandom().randrange(2, 250)}"
    return Place(host, *free_ports(3))


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class GossipingServers(Servers):
    """Servers s0, s1, ... by `names` in the pool; `keys` go into the configuration of each."""

    def __init__(
        self, folder: Path, count: int = 3, *, names: Sequence[str] = (), **keys: Any
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.count = count
        self.processes = {}
        self.names = list(names) or [f"s{number}" for number in range(count)]
        self.keys: list[dict[str, Any]] = [json.loads(json.dumps(keys)) for _ in range(count)]
        self.expect = count
        self.put([self.find_place(number) for number in range(count)])

    # -- configuration ---------------------------------------------------------------------------

    def find_place(self, number: int) -> Place:
        """Where that server shall be."""
        del number
        return new_place()

    def put(self, places: Sequence[Place]) -> None:
        """Every server is at its place from its next start on."""
        self.places = list(places)
        self.http = [place.http for place in places]
        self.rpc = [place.rpc for place in places]
        self.serf = [place.serf for place in places]
        self.configure()

    def move(self, *numbers: int) -> None:
        """These servers have another address from their next start on."""
        self.put([new_place() if n in numbers else p for n, p in enumerate(self.places)])

    def add(self, name: str, **keys: Any) -> int:
        """One more server, configured but not started; its number."""
        self.names.append(name)
        self.keys.append(keys)
        self.count += 1
        self.put([*self.places, new_place()])
        return self.count - 1

    def configure(self) -> None:
        """Write down what each server finds at its next start."""
        for number, place in enumerate(self.places):
            keys = dict(self.keys[number])
            server = {
                "enabled": True,
                "bootstrap_expect": self.expect,
                "retry_join": [self.serf_address(n) for n in range(self.count)],
                **keys.pop("server", {}),
            }
            config = {
                "name": self.names[number],
                "data_dir": str(self.data_dir(number)),
                "bind_addr": place.host,
                "ports": {"http": place.http, "rpc": place.rpc, "serf": place.serf},
                "advertise": {"http": place.host, "rpc": place.host, "serf": place.host},
                "autopilot": {"server_stabilization_time": "500ms"},
                "server": server,
                **keys,
            }
            self.config(number).write_text(json.dumps(config))

    def host(self, number: int) -> str:
        return self.places[number].host

    def serf_address(self, number: int) -> str:
        return f"{self.places[number].host}:{self.places[number].serf}"

    def node(self, number: int) -> str:
        """The name in the pool."""
        return f"{self.names[number]}.{self.keys[number].get('region', 'global')}"

    def server_id(self, number: int) -> str:
        return (self.data_dir(number) / "server" / "node-id").read_text().strip()

    # -- asking ----------------------------------------------------------------------------------

    def run(self, number: int, *words: str, timeout_s: float = 60.0) -> Said:
        """A command of the program, asked of that server."""
        url = f"http://{self.host(number)}:{self.http[number]}"
        done = subprocess.run(
            [sys.executable, "-m", "quorate", *words],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "QUORATE_ADDR": url, "QUORATE_CLI_SHOW_HINTS": "true"},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    def members(self, number: int) -> dict[str, str]:
        """Name and status of each member of the pool, as that server sees it."""
        found = self.ask(number, "/v1/agent/members").json["Members"]
        return {member["Name"]: member["Status"] for member in found}

    def rows(self, number: int) -> dict[str, dict[str, Any]]:
        """The Raft configuration as that server has it, by ID."""
        answer = self.ask(number, CONFIGURATION + "?stale")
        assert answer.status == 200, answer.text
        return {row["ID"]: row for row in answer.json["Servers"]}

    def own_stats(self, number: int) -> dict[str, dict[str, str]]:
        stats: dict[str, dict[str, str]] = self.ask(number, "/v1/agent/self").json["stats"]
        return stats

    def health(self, number: int) -> str:
        """`ok`, or what is wrong with that server."""
        message: str = self.ask(number, "/v1/agent/health").json["server"]["message"]
        return message

    def write(self, algorithm: str = "spread", *numbers: int) -> None:
        """Something that must not be lost; returns when these have it, all that run by default."""
        having = numbers or tuple(self.processes)
        body = {"SchedulerAlgorithm": algorithm}
        answer = self.ask(having[0], SCHEDULER, "PUT", body)
        assert answer.status == 200, answer.text
        until(lambda: {self.written(n) for n in having} == {algorithm}, "all to have the write")

    def written(self, number: int) -> str:
        """What was written last, as that server has it."""
        config = self.ask(number, SCHEDULER + "?stale").json["SchedulerConfig"]
        value: str = config["SchedulerAlgorithm"]
        return value

    # -- waiting ---------------------------------------------------------------------------------

    def all_vote(self, *numbers: int, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the configuration is just these servers, voters at the places where they are.

        All by default; every one of them has to know it.
        """
        chosen = numbers or tuple(range(self.count))
        expected = {self.server_id(n): (self.rpc_address(n), True) for n in chosen}
        seen: dict[int, Any] = {}

        def reached() -> bool:
            for n in chosen:
                rows = self.rows(n).values()
                seen[n] = {row["ID"]: (row["Address"], row["Voter"]) for row in rows}
            return all(seen[n] == expected for n in chosen)

        until(reached, lambda: f"these voters: {expected}; there are {seen}", timeout_s)

    def at_rest(self) -> None:
        """Wait until the leader's own first writes are done: nothing new in the log for 1 s."""
        leader = self.leader()
        newest, since = "", time.monotonic()

        def quiet() -> bool:
            nonlocal newest, since
            index = self.stats(leader)["last_log_index"]
            if index != newest:
                newest, since = index, time.monotonic()
            return time.monotonic() - since > 1.0

        until(quiet, "the leader to have nothing to do")

    def terminate(self, *numbers: int, timeout_s: float = PATIENCE_S) -> dict[int, int]:
        """SIGTERM to all of them at once; the exit code of each."""
        for number in numbers:
            self.signal(number, signal.SIGTERM)
        return {n: self.processes.pop(n).wait(timeout_s) for n in numbers}

    def logs(self) -> dict[str, str]:
        return {self.names[n]: self.log(n) for n in range(self.count) if self.was_started(n)}

    def was_started(self, number: int) -> bool:
        return (self.folder / f"s{number}.log").exists()

    def new_log(self, number: int) -> str:
        """What that server has logged since its newest start."""
        return self.log(number).rpartition("==> Starting Quorate agent")[2]

    def log_says(self, number: int, *texts: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the log of that server contains these texts."""
        missing = list(texts)

        def there() -> bool:
            log = self.log(number)
            missing[:] = [text for text in texts if text not in log]
            return not missing

        def tail() -> str:
            return f"{missing} in the log of {self.names[number]}:\n{self.log(number)[-4000:]}"

        until(there, tail, timeout_s)


@contextlib.contextmanager
def gossiping(servers: GossipingServers, *numbers: int) -> Iterator[GossipingServers]:
    """Start these servers (all by default); all processes are gone afterwards."""
    try:
        servers.start(*(numbers or range(servers.count)))
        yield servers
    finally:
        servers.stop_all()
    for name, log in servers.logs().items():
        assert "Traceback" not in log, f"{name}: {log}"


@contextlib.contextmanager
def cluster(folder: Path, count: int = 3, **keys: Any) -> Iterator[GossipingServers]:
    """A cluster in which all vote."""
    with gossiping(GossipingServers(folder, count, **keys)) as servers:
        servers.leader()
        servers.all_vote()
        yield servers


def measured(servers: Servers, what: str, condition: Callable[[], Any], bound_s: float) -> float:
    """Seconds until `condition` holds; fails above the bound, and prints the figure.

    The bounds are meant for servers that have the machine for themselves, as in `make pains`.
    Beside the tests of another worker twice the bound is allowed: a member that answers late makes
    the timers of gossip longer.
    """
    allowed_s = bound_s * (2 if "PYTEST_XDIST_WORKER" in os.environ else 1)
    watch = servers.stopwatch()
    until(condition, what)
    took = watch.seconds()
    print(f"{what}: {took:.2f} s (bound {bound_s:g} s)")
    assert took <= allowed_s, f"{what}: {took:.2f} s, and {allowed_s:g} s are allowed"
    return took


def log_dump(data_dir: Path, scratch: Path) -> list[Any]:
    """Term, vote and all entries in the log of a stopped server; the folder stays as it is."""
    copy = scratch / "copy"
    shutil.copytree(data_dir / "server" / "raft" / "log", copy)
    try:
        with contextlib.closing(LogStore.open(copy)) as store:
            entries = store.entries(store.first_index(), store.last_index() + 1, 1 << 30)
            return [store.hard_state(), *entries]
    finally:
        shutil.rmtree(copy)


def configurations(data_dir: Path, scratch: Path) -> list[Configuration]:
    """Every Raft configuration that a stopped server has in its log, oldest first."""
    found = configurations_in(log_dump(data_dir, scratch)[1:], membership)
    return [configuration for _, configuration in found]
