"""`python -m bench.sealing`: the same puts of variables, sealed and in the clear.

One cluster does both in turns, so what else the machine does meets both alike. Prints a row of
docs/benchmarks.md: the medians, and by how much sealed puts are fewer.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.load import LoadFailed, Request, Work, measure
from bench.processes import ask
from bench.rival import KEYS, VARIABLE_BYTES, VARIABLE_PUT, VARIABLES, Cluster
from bench.run_quorate import QuorateCluster, start_with

CLEAR = KEYS.replace("bench", "clear")
"""Those that are put in the clear: no put of either kind makes a variable larger."""


class Found(NamedTuple):
    """Medians: puts per second, and microseconds of processor time of all servers for each put.

    The last two are by how many percent the sealed puts of a turn are fewer, and take more.
    """

    clients: int
    sealed_per_s: float
    clear_per_s: float
    sealed_us: float
    clear_us: float
    percent_fewer: float
    percent_more_time: float


class Turn(NamedTuple):
    """What one turn gave."""

    per_second: float
    processor_us: float


def measured(clients: int, turns: int, seconds: int) -> Found:
    """Both, `turns` times. Raises LoadFailed."""
    found: dict[str, list[Turn]] = {KEYS: [], CLEAR: []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        module = "bench.sealing.server"
        cluster = start_with(sys.executable, Path(folder), QuorateCluster, module)
        assert isinstance(cluster, QuorateCluster)
        try:
            leader = cluster.await_leader()
            works = {}
            sizes = [_state_bytes(cluster, leader)]
            for keys in found:
                cluster.fill(leader, keys, VARIABLES, VARIABLE_BYTES)
                works[keys] = _put(cluster, leader, keys)
                sizes.append(_state_bytes(cluster, leader))
                cluster.servers[leader].signal(signal.SIGUSR2)
            if sizes[2] - sizes[1] >= sizes[1] - sizes[0]:  # a sealed value is longer by its tag
                raise LoadFailed(f"nothing was in the clear: {sizes} bytes")
            for number in range(turns):
                # Sealed, clear, clear, sealed: what grows with time meets both alike.
                for keys in (KEYS, CLEAR) if number % 2 == 0 else (CLEAR, KEYS):
                    if keys == CLEAR:
                        cluster.servers[leader].signal(signal.SIGUSR2)
                    found[keys].append(_turn(cluster, works[keys], clients, seconds))
                    if keys == CLEAR:
                        cluster.servers[leader].signal(signal.SIGUSR2)
            if cluster.await_leader() != leader:
                raise LoadFailed("another server leads now")
        finally:
            cluster.stop()
    sealed, clear = found[KEYS], found[CLEAR]
    pairs = list(zip(sealed, clear, strict=True))
    return Found(
        clients,
        statistics.median(turn.per_second for turn in sealed),
        statistics.median(turn.per_second for turn in clear),
        statistics.median(turn.processor_us for turn in sealed),
        statistics.median(turn.processor_us for turn in clear),
        statistics.median(100 * (1 - a.per_second / b.per_second) for a, b in pairs),
        statistics.median(100 * (a.processor_us / b.processor_us - 1) for a, b in pairs),
    )


def _put(cluster: QuorateCluster, leader: int, keys: str) -> Request:
    """The put of these keys, of the same body as in the other rows."""
    work = cluster.variables(leader)[VARIABLE_PUT]
    assert isinstance(work, Request)
    return work._replace(url=work.url.replace(KEYS, keys))


def _state_bytes(cluster: QuorateCluster, leader: int) -> int:
    found = ask(Request(f"http://127.0.0.1:{cluster.port(leader)}/v1/operator/state"))
    if found is None:
        raise LoadFailed("the leader does not say how large its state is")
    return int(json.loads(found)["Bytes"])


def _turn(cluster: Cluster, work: Work, clients: int, seconds: int) -> Turn:
    before = sum(server.processor_s() for server in cluster.servers)
    per_second = measure(work, clients, seconds).per_second
    took = sum(server.processor_s() for server in cluster.servers) - before
    return Turn(per_second, 1e6 * took / (per_second * seconds))


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.sealing", description=__doc__)
    parser.add_argument("--clients", type=int, default=32, help="that put at once (default 32)")
    parser.add_argument("--turns", type=int, default=30, help="of each (default 30)")
    parser.add_argument("--seconds", type=int, default=1, help="of a turn (default 1)")
    arguments = parser.parse_args()
    if min(arguments.clients, arguments.turns, arguments.seconds) < 1:
        parser.error("--clients, --turns and --seconds are at least 1")
    try:
        found = measured(arguments.clients, arguments.turns, arguments.seconds)
    except LoadFailed as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    print(f"| {' | '.join(name.replace('_', ' ') for name in found._fields)} |")
    print(f"|{'---|' * len(found)}")
    print(f"| {' | '.join(f'{value:,.1f}' for value in found)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
