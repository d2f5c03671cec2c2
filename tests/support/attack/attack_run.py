"""`make attack`: every attack on a real cluster, beside a run of as many valid bytes; a table."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from attack_aim import Port
from attack_cluster import AttackedServers, Peaks, attacked
from attack_honest import Honest
from attack_list import ATTACKS
from attack_table import HEAD, Row, write
from attack_values import Attack
from attack_worker import Worker
from server_processes import until

MEBI = 1 << 20


class Figures(NamedTuple):
    """Of one attack; sizes are of the server with the most."""

    sent: int
    callback_ms: float
    callback: str
    leader_changes: int
    memory_mb: float
    descriptors: int
    left_open: int
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
        if self.left_open > attack.left_open:
            found.append(f"{self.left_open} descriptors left open")
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
    return Figures(
        sent=out,
        callback_ms=longest[0],
        callback=longest[1],
        leader_changes=servers.terms() - terms,
        memory_mb=_most(peaks.memory, memory) / MEBI,
        descriptors=_most(peaks.descriptors, descriptors),
        left_open=_left_open(servers, descriptors, attack.left_open),
        log_bytes=_most(servers.log_bytes(), logs),
        answered=honest.answers["200"],
        failed=honest.failed,
        gap_s=honest.longest,
    )


def _left_open(servers: AttackedServers, before: list[int], most: int) -> int:
    """Descriptors that are open once the attackers have gone."""
    with contextlib.suppress(AssertionError):
        until(lambda: _most(servers.descriptors(), before) <= most, "an end of connections")
    return _most(servers.descriptors(), before)


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
    chosen = [ATTACKS[name] for name in names]
    groups = [
        [attack for attack in chosen if not attack.lasting and attack.tls == tls]
        for tls in (False, True)
    ]
    groups += [[attack] for attack in chosen if attack.lasting]
    for some in filter(None, groups):
        with TemporaryDirectory(prefix="quorate-attack-") as folder:  # noqa: SIM117 - a name between
            with attacked(Path(folder), tls=some[0].tls) as servers:
                yield from ((servers, attack) for attack in some)


def summary(rows: list[Row], controls: list[Figures]) -> None:
    """The table once more, without what was said between its rows; and the control runs."""
    print("\n" + HEAD + "\n" + "\n".join(map(str, rows)) + "\n")
    worst = max(rows, key=lambda each: each.callback_ms)
    gap = max(rows, key=lambda each: each.gap_ms)
    print(
        f"{len(rows)} attacks: longest callback {worst.callback_ms:.1f} ms ({worst.name}), "
        f"{sum(each.leader_changes for each in rows)} changes of the leader, "
        f"{sum(each.answers for each in rows)} requests answered, "
        f"{sum(each.failed for each in rows)} failed, longest gap {gap.gap_ms:.0f} ms ({gap.name})"
    )
    print(
        f"control runs: longest callback {max(each.callback_ms for each in controls):.1f} ms, "
        f"{sum(each.leader_changes for each in controls)} changes of the leader, "
        f"{sum(each.answered for each in controls)} requests answered, "
        f"{sum(sum(each.failed.values()) for each in controls)} failed, "
        f"longest gap {max(each.gap_s for each in controls) * 1000:.0f} ms"
    )


def main() -> None:
    """Run all attacks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each attack; default 5")
    parser.add_argument("--only", action="append", choices=ATTACKS, help="may be given again")
    parser.add_argument("--port", choices=[port.value for port in Port], help="only this one")
    parser.add_argument("--write", action="store_true", help="put the figures into the table")
    arguments = parser.parse_args()
    wrong = 0
    rows: list[Row] = []
    controls: list[Figures] = []
    worker = Worker()
    names = arguments.only or [
        name for name, each in ATTACKS.items() if arguments.port in {None, each.port.value}
    ]
    for servers, attack in clusters(names):
        figures = measure(servers, worker, attack, arguments.seconds)
        beside = measure(servers, worker, attack, arguments.seconds, figures.sent)
        figures = figures._replace(control_gap_s=beside.gap_s)
        rows.append(row(attack, figures))
        controls.append(beside)
        print(rows[-1], flush=True)
        if arguments.write:
            write({attack.name: rows[-1]})
        for problem in figures.problems(attack):
            wrong += 1
            print(f"    {problem}", file=sys.stderr, flush=True)
    worker.end()
    summary(rows, controls)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
