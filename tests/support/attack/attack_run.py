"""`make attack`: every attack on a real cluster, beside a run of as many valid bytes; a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from attack_cluster import AttackedServers, Peaks, attacked
from attack_honest import Honest
from attack_list import ATTACKS
from attack_table import Row, write
from attack_values import Attack
from attack_worker import Worker
from server_processes import until

MEBI = 1 << 20
_LEFT_DESCRIPTORS = 12  # that may be open after an attack and were not before: of honest clients


class Figures(NamedTuple):
    """Of one attack; sizes are of the server with the most."""

    sent: int
    callback_ms: float
    callback: str
    leader_changes: int
    memory_mb: float
    descriptors: int
    log_bytes: int
    answered: int
    failed: dict[str, int]
    gap_s: float
    control_gap_s: float = 0.0

    def problems(self, attack: Attack) -> list[str]:
        """What is over the bounds of that attack."""
        found = []
        if self.callback_ms > attack.callback_ms:
            found.append(f"{self.callback} held the loop for {self.callback_ms:.1f} ms")
        if self.leader_changes:
            found.append(f"{self.leader_changes} changes of the leader")
        if self.memory_mb > attack.memory_mb:
            found.append(f"{self.memory_mb:.0f} MB more in memory")
        if self.descriptors > attack.descriptors:
            found.append(f"{self.descriptors} descriptors more")
        if self.log_bytes > attack.log_bytes:
            found.append(f"{self.log_bytes} bytes in the log")
        if self.failed or not self.answered:
            found.append(f"honest clients were answered {self.failed or 'nothing'}")
        return found


def measure(
    servers: AttackedServers, worker: Worker, attack: Attack, seconds: float, sent: int = -1
) -> Figures:
    """One attack, or with `sent` as many valid bytes. Raises AssertionError if a server ended."""
    targets = servers.targets()
    terms, logs = servers.terms(), servers.log_bytes()
    memory, descriptors = servers.memory(), servers.descriptors()
    for loop in servers.loops:
        loop.restart()
    peaks, honest = Peaks(servers), Honest(targets)
    try:
        out = worker.run(attack.name, seconds, targets, sent)
    finally:
        honest.end()
        peaks.end()
    ended = {number: process.poll() for number, process in servers.processes.items()}
    assert set(ended.values()) == {None}, f"{attack.name}: servers ended: {ended}"
    longest = max(loop.longest for loop in servers.loops)
    until(
        lambda: all(
            now <= before + _LEFT_DESCRIPTORS
            for now, before in zip(servers.descriptors(), descriptors, strict=True)
        ),
        lambda: f"{attack.name}: descriptors to be closed: {descriptors} {servers.descriptors()}",
    )
    return Figures(
        sent=out,
        callback_ms=longest[0],
        callback=longest[1],
        leader_changes=servers.terms() - terms,
        memory_mb=_most(peaks.memory, memory) / MEBI,
        descriptors=_most(peaks.descriptors, descriptors),
        log_bytes=_most(servers.log_bytes(), logs),
        answered=honest.answers["200"],
        failed=honest.failed,
        gap_s=honest.longest,
    )


def _most(after: list[int], before: list[int]) -> int:
    return max(now - then for now, then in zip(after, before, strict=True))


def row(attack: Attack, figures: Figures) -> Row:
    """Its row in the table."""
    return Row(
        name=attack.name,
        port=attack.port.value,
        before=attack.before,
        callback_ms=figures.callback_ms,
        leader_changes=figures.leader_changes,
        memory_mb=max(figures.memory_mb, 0.0),
        descriptors=max(figures.descriptors, 0),
        log_kib=figures.log_bytes / 1024,
        answers=figures.answered,
        failed=sum(figures.failed.values()),
        gap_ms=figures.gap_s * 1000,
        control_gap_ms=figures.control_gap_s * 1000,
    )


def clusters(names: list[str]) -> Iterator[tuple[AttackedServers, Attack]]:
    """A cluster for each of these attacks; only the lasting ones have one for themselves."""
    together = [name for name in names if not ATTACKS[name].lasting]
    for some in (together, *([name] for name in names if ATTACKS[name].lasting)):
        if some:
            with TemporaryDirectory(prefix="quorate-attack-") as folder:  # noqa: SIM117 - a name between
                with attacked(Path(folder)) as servers:
                    yield from ((servers, ATTACKS[name]) for name in some)


def main() -> None:
    """Run all attacks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each attack; default 5")
    parser.add_argument("--only", action="append", choices=ATTACKS, help="may be given again")
    parser.add_argument("--write", action="store_true", help="put the figures into the table")
    arguments = parser.parse_args()
    wrong = 0
    worker = Worker()
    for servers, attack in clusters(arguments.only or list(ATTACKS)):
        figures = measure(servers, worker, attack, arguments.seconds)
        beside = measure(servers, worker, attack, arguments.seconds, figures.sent)
        figures = figures._replace(control_gap_s=beside.gap_s)
        print(row(attack, figures), flush=True)
        if arguments.write:
            write({attack.name: row(attack, figures)})
        for problem in figures.problems(attack):
            wrong += 1
            print(f"    {problem}", file=sys.stderr, flush=True)
    worker.end()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
