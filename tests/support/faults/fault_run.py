"""One run: faults in an order drawn from a seed, clients all along, and what it showed."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from fault_clients import Clients
from fault_cluster import FaultServers, log_tail, running, serves_everywhere
from fault_kinds import FAULTS, Fault, end

from quorate.testing.linearizability import check

RECOVERY_BOUND_S = 5.0
"""What docs/verification.md promises on a machine with processors to spare."""

RECOVERY_LIMIT_S = 20.0
"""What is asserted: five servers, their clients and other tests may share two processors."""

RESIDENT_GROWTH_MAX_BYTES = 64 << 20
SERVERS = 5
SMALL_DISK = 1
CLIENTS = 4


class Recovery(NamedTuple):
    """One fault that ended. Times in seconds; `during` is None where no majority was whole."""

    fault: str
    where: str
    during: float | None
    after: float


class Report(NamedTuple):
    """What a run showed."""

    seed: int
    recoveries: Sequence[Recovery]
    operations: int
    unanswered: int
    verdict: str
    resident_bytes: tuple[int, int]  # the largest server: after the start, and ever

    def __str__(self) -> str:
        by_fault: dict[str, list[Recovery]] = defaultdict(list)
        for recovery in self.recoveries:
            by_fault[recovery.fault].append(recovery)
        first, largest = (size >> 20 for size in self.resident_bytes)
        heads = ("first write during it", "served after its end")
        lines = [
            f"seed {self.seed}: {self.operations} operations, {self.unanswered} without an answer:",
            self.verdict,
            f"largest server: {first} MiB at first, {largest} MiB ever",
            f"{'fault':34}{'times':>6}  {heads[0]:>22}  {heads[1]:>22}",
        ]
        for name, found in sorted(by_fault.items()):
            during = _median_and_worst([r.during for r in found if r.during is not None])
            after = _median_and_worst([r.after for r in found])
            lines.append(f"{name:34}{len(found):6}  {during:>22}  {after:>22}")
        return "\n".join(lines)


def _median_and_worst(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} s / {max(times):.1f} s" if times else "-"


def schedule(seed: int, faults: Sequence[Fault]) -> list[Fault]:
    """All of the faults, shuffled, again and again: a long run meets each of them often."""
    rng = Random(seed)
    order: list[Fault] = []
    for _ in range(200):
        order += rng.sample(faults, len(faults))
    return order


def run(
    folder: Path,
    seed: int,
    seconds: float = math.inf,
    *,
    most: int | None = None,
    faults: Sequence[Fault] = FAULTS,
    hold_s: tuple[float, float] = (2.0, 10.0),
    tell: Callable[[str], None] = print,
) -> Report:
    """Run for `seconds`, or for `most` faults, each for a time within `hold_s`.

    Raises AssertionError.
    """
    rng = Random(f"{seed} in detail")
    keys = {"raft_snapshot_threshold": 500, "raft_snapshot_interval": "5s"}
    recoveries: list[Recovery] = []
    with running(folder, SERVERS, namespaces=True, small_disk=SMALL_DISK, **keys) as servers:
        first = largest = _largest_resident(servers)
        stop_at = time.monotonic() + seconds
        try:
            with Clients(servers, CLIENTS, seed) as clients:
                clients.more(20, 20)
                for fault in schedule(seed, faults)[:most]:
                    if time.monotonic() > stop_at:
                        break
                    hold = rng.uniform(*hold_s)
                    recovery = _one_fault(servers, clients, fault, hold, rng)
                    recoveries.append(recovery)
                    largest = max(largest, _largest_resident(servers))
                    tell(f"{recovery.fault} ({recovery.where}): {recovery.after:.2f} s")
                clients.more(20, RECOVERY_LIMIT_S)
            history = clients.recorder.history()
            result = check(history)
            assert result.ok, str(result)
            assert largest < first + RESIDENT_GROWTH_MAX_BYTES, (first, largest)
            for number in range(servers.count):
                _, _, traceback = servers.log(number).partition("Traceback")
                assert not traceback, f"s{number} reported an error: {traceback[:3000]}"
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n{log_tail(servers)}") from error
    unanswered = sum(operation.returned_at is None for operation in history)
    return Report(seed, recoveries, len(history), unanswered, str(result), (first, largest))


def _one_fault(
    servers: FaultServers, clients: Clients, fault: Fault, hold_s: float, rng: Random
) -> Recovery:
    leader = servers.leader()
    term = servers.term(leader)
    began = time.monotonic()
    where = fault.begin(servers, leader, rng)
    during = None
    try:
        if fault.majority_whole:
            clients.more(1, RECOVERY_LIMIT_S)
            during = time.monotonic() - began
        time.sleep(max(0.0, hold_s - (time.monotonic() - began)))
        if fault.majority_whole:
            clients.more(1, RECOVERY_LIMIT_S)
        if fault.keeps_leader:
            assert servers.term(leader) == term, f"{fault.name} ({where}): an election"
    except AssertionError as error:
        raise AssertionError(f"during {fault.name} ({where}): {error}") from error
    finally:
        end(servers)
    try:
        after = serves_everywhere(servers, RECOVERY_LIMIT_S)
    except AssertionError as error:
        raise AssertionError(f"after {fault.name} ({where}): {error}") from error
    return Recovery(fault.name, where, during, after)


def _largest_resident(servers: FaultServers) -> int:
    return max(servers.resident_bytes(number) for number in servers.processes)
