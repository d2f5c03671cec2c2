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
    writes = [work_of(rival.WRITE, clients) for clients in WRITERS]
    puts = [work_of(rival.VARIABLE_PUT, clients) for clients in WRITERS]
    variables = (rival.VARIABLE_GET, rival.VARIABLE_LIST, rival.HANDOVER)
    return (*writes, *reads, *puts, *variables, FAILOVER, MEMORY)


def work_of(kind: str, connections: int) -> str:
    """The name of a write by so many clients."""
    return f"{kind}, {connections} {'client' if connections == 1 else 'clients'}"


def run(
    rivals: Sequence[Rival],
    wanted: Sequence[str],
    *,
    rounds: int,
    seconds: int,
    kills: int,
    listed: int,
) -> Samples:
    """`rounds` times each rival; `kills` leaders are killed in each. Raises LoadFailed.

    `listed` variables are there when lists of them are asked for, in the first round alone: to
    write them takes minutes.
    """
    samples: Samples = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        shift = number % len(rivals)
        for one in (*rivals[shift:], *rivals[:shift]):
            print(f"round {number + 1} of {rounds}: {one.NAME}", flush=True)
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                cluster = one.start(Path(folder))
                try:
                    _measure(cluster, one.NAME, wanted, seconds, kills, samples)
                    if number == 0 and rival.VARIABLE_LIST in wanted:
                        _lists(cluster, one.NAME, seconds, listed, samples)
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
            work = work_of(rival.WRITE, connections)
            if work in wanted:
                found = measure(request, connections, seconds)
                samples[work][f"{name} {label}".strip()].append(Sample(*found))
    for work, request in cluster.reads(leader).items():
        if work in wanted:
            samples[work][name].append(Sample(*measure(request, READERS, seconds)))
    _variables(cluster, name, wanted, seconds, samples)
    if FAILOVER in wanted:
        for _ in range(kills):
            samples[FAILOVER][name].append(Sample(failover(cluster)))


def _variables(
    cluster: Cluster, name: str, wanted: Sequence[str], seconds: int, samples: Samples
) -> None:
    leader = cluster.await_leader()
    puts = {work_of(rival.VARIABLE_PUT, connections): connections for connections in WRITERS}
    if not {*puts, rival.VARIABLE_GET}.isdisjoint(wanted) and cluster.fill(
        leader, rival.KEYS, rival.VARIABLES, rival.VARIABLE_BYTES
    ):
        works = cluster.variables(leader)
        for work, connections in puts.items():
            if work in wanted:
                found = measure(works[rival.VARIABLE_PUT], connections, seconds)
                samples[work][name].append(Sample(*found))
        if rival.VARIABLE_GET in wanted:
            found = measure(works[rival.VARIABLE_GET], READERS, seconds)
            samples[rival.VARIABLE_GET][name].append(Sample(*found))
    if rival.HANDOVER in wanted and (took_ms := cluster.handover_ms(leader)) is not None:
        samples[rival.HANDOVER][name].append(Sample(took_ms))


def _lists(cluster: Cluster, name: str, seconds: int, listed: int, samples: Samples) -> None:
    leader = cluster.await_leader()
    if cluster.fill(leader, rival.LISTED_KEYS, listed, rival.LISTED_BYTES):
        work = cluster.lists(leader, listed)
        assert work is not None
        samples[rival.VARIABLE_LIST][name].append(Sample(*measure(work, 1, seconds)))


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
