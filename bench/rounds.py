"""The measurements, in rounds: each round gives every rival a fresh cluster, in turn.

What disturbs the machine for a minute then disturbs all rivals alike, and the median of the rounds
forgets it.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from bench import (
    rival,
    run_etcd,
    run_etcd_grpc,
    run_nomad,
    run_quorate,
    run_quorate_before,
)
from bench.load import LoadFailed, measure
from bench.processes import done
from bench.rival import Cluster

WRITERS = (1, 32, 128)
READERS = 32
FAILOVER = "leader killed until the next accepted write"
MEMORY = "resident memory of a fresh server"
FAILOVER_TIMEOUT_S = 20.0
ATTEMPT_TIMEOUT_S = 1.0


class Rival(Protocol):
    """A module `run_<name>`."""

    NAME: str

    def version(self) -> str | None:
        """The version, or None where it is not installed."""

    def start(self, folder: Path) -> Cluster:
        """A starting cluster of three."""


RIVALS: tuple[Rival, ...] = (run_quorate, run_quorate_before, run_etcd_grpc, run_etcd, run_nomad)


class Sample(NamedTuple):
    """One figure of one round; `median_ms` is there for loads."""

    value: float
    median_ms: float | None = None


Samples = dict[str, dict[str, list[Sample]]]
"""Work, then rival (with the way to write), to what the rounds gave."""


def works() -> tuple[str, ...]:
    """All kinds of work, in the order of the table."""
    reads = (rival.READ_LEADER, rival.READ_FORWARDED, rival.READ_STALE)
    return (*map(write_work, WRITERS), *reads, FAILOVER, MEMORY)


def write_work(connections: int) -> str:
    """The name of the write by so many clients."""
    return f"{rival.WRITE}, {connections} {'client' if connections == 1 else 'clients'}"


def run(
    rivals: Sequence[Rival], wanted: Sequence[str], *, rounds: int, seconds: int, kills: int
) -> Samples:
    """`rounds` times each rival; `kills` leaders are killed in each. Raises LoadFailed."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        shift = number % len(rivals)
        for one in (*rivals[shift:], *rivals[:shift]):
            print(f"round {number + 1} of {rounds}: {one.NAME}", flush=True)
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                cluster = one.start(Path(folder))
                try:
                    _measure(cluster, one.NAME, wanted, seconds, kills, samples)
                finally:
                    cluster.stop()
    return samples


def _measure(
    cluster: Cluster,
    name: str,
    wanted: Sequence[str],
    seconds: int,
    kills: int,
    samples: Samples,
) -> None:
    leader = cluster.await_leader()
    if MEMORY in wanted:
        weights = [server.resident_mb() for server in cluster.servers]
        samples[MEMORY][name].append(Sample(statistics.median(weights)))
    for label, request in cluster.writes(leader).items():
        for connections in WRITERS:
            work = write_work(connections)
            if work in wanted:
                found = measure(request, connections, seconds)
                samples[work][f"{name} {label}".strip()].append(Sample(*found))
    for work, request in cluster.reads(leader).items():
        if work in wanted:
            samples[work][name].append(Sample(*measure(request, READERS, seconds)))
    if FAILOVER in wanted:
        for _ in range(kills):
            samples[FAILOVER][name].append(Sample(failover(cluster)))


def failover(cluster: Cluster) -> float:
    """Seconds from SIGKILL to the leader until one of the others has accepted a write."""
    leader = cluster.await_leader()
    rest = [n for n in range(len(cluster.servers)) if n != leader]
    accepted = threading.Event()
    killed_at = time.monotonic()

    def write(server: int) -> None:
        request = next(iter(cluster.writes(server).values()))
        while not accepted.is_set() and time.monotonic() < killed_at + FAILOVER_TIMEOUT_S:
            if done(request, ATTEMPT_TIMEOUT_S):
                accepted.set()
            else:
                accepted.wait(0.005)

    cluster.servers[leader].kill()
    threads = [threading.Thread(target=write, args=(server,)) for server in rest]
    for thread in threads:
        thread.start()
    if not accepted.wait(FAILOVER_TIMEOUT_S):
        raise LoadFailed(f"no write was accepted within {FAILOVER_TIMEOUT_S:.0f} s")
    took = time.monotonic() - killed_at
    for thread in threads:
        thread.join()
    cluster.servers[leader].start()
    cluster.await_leader()
    return took
