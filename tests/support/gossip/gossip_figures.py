"""How fast a death is noticed and how much a member sends, measured in simulated pools.

`make gossip-figures` writes docs/gossip-figures.json and docs/gossip-figures.svg. The test suite
runs a shortened version.

What SWIM promises (Das, Gupta, Motivala: SWIM, 2002): the first detection of a failure is expected
after e/(e-1) protocol periods whatever the size of the pool (section 3.3), counted from the death
to the end of the period in which it is probed; a member's load does not depend on the size; and
news reaches everybody within O(log n) rounds of gossip (section 4.1).
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from functools import partial
from pathlib import Path

import msgspec
from gossip_pool import Host, Pool, formed
from places import DOCS

from quorate.gossip import LAN
from quorate.gossip.messages import NodeState, SerfStatus
from quorate.gossip.swim.suspicion import shortest_s

SIZES = (10, 100, 1000)
_LARGE = 200  # above, a quarter of the deaths is enough: each takes seconds of processor time


class Row(msgspec.Struct, kw_only=True):
    """One size of pool. Times in seconds: means over the deaths, if not said otherwise."""

    members: int
    deaths: int
    expected_suspicion_s: float
    first_suspicion_s: float
    first_suspicion_worst_s: float
    suspicion_lasts_s: float
    first_failed_s: float
    all_failed_s: float
    all_failed_worst_s: float
    expected_spread_s: float
    spread_s: float
    packets_per_member_s: float
    bytes_per_member_s: float
    packets_per_member_s_after_a_death: float
    false_suspicions: int
    processor_s_per_virtual_s: float


def expected_suspicion_s() -> float:
    """e/(e-1) periods: SWIM, section 3.3."""
    return math.e / (math.e - 1) * LAN.probe_interval_s


def expected_spread_s(members: int) -> float:
    """Rounds until news that each tells to `gossip_nodes` others a round has reached all.

    Each round multiplies who knows it by 1 + fanout until half know it; then who does not falls by
    e^fanout: log(n) / log(1 + f) + log(n) / f rounds.
    """
    fanout = LAN.gossip_nodes
    rounds = math.log(members) / math.log(1 + fanout) + math.log(members) / fanout
    return rounds * LAN.gossip_interval_s


def figures(sizes: tuple[int, ...] = SIZES, deaths: int = 40) -> list[Row]:
    """One row for each size; `deaths` in one pool, one after the other."""
    return [_measure(n, deaths if n <= _LARGE else max(4, deaths // 4)) for n in sizes]


class _Death:
    """When the pool noticed that a member died."""

    def __init__(self, pool: Pool, victim: Host) -> None:
        name = victim.name
        begin = pool.now
        pool.stop(name)
        self._pool, self._name = pool, name
        self.suspected = pool.run_until(self._any_suspects, 30.0, every=0.01)
        pool.run_until(self._any_failed, 120.0, every=0.01)
        self.first = pool.now - begin
        # Looking at a thousand members is what costs here: who has seen it is not asked again.
        self._waiting = [host.node.roster for host in pool.up()]
        pool.run_until(self._all_failed, 120.0, every=0.01)
        self.all = pool.now - begin

    def _any_suspects(self) -> bool:
        return any(
            host.node.table.records[self._name].state is not NodeState.ALIVE
            for host in self._pool.hosts.values()
            if host.up
        )

    def _any_failed(self) -> bool:
        name = self._name
        return any(name in host.node.roster.failed for host in self._pool.hosts.values() if host.up)

    def _all_failed(self) -> bool:
        while self._waiting and self._name in self._waiting[-1].failed:
            self._waiting.pop()
        return not self._waiting


def _measure(members: int, deaths: int) -> Row:
    pool = formed(members, seed=members)
    begin = time.process_time()
    pool.run(5.0)
    quiet_s = 20.0
    packets, size = _sent(pool)
    pool.run(quiet_s)
    packets_after, size_after = _sent(pool)
    processor = (time.process_time() - begin) / (quiet_s + 5.0)
    false = sum(host.node.incarnation - 1 for host in pool.up())

    seen: list[_Death] = []
    busy: list[float] = []
    for number in range(deaths):
        # At no particular moment of anybody's period.
        pool.run(1.0 + pool.rng.random())
        before, start = _sent(pool)[0], pool.now
        victim = pool.hosts[f"s{number * (members // deaths or 1) % members}"]
        seen.append(_Death(pool, victim))
        busy.append((_sent(pool)[0] - before) / members / (pool.now - start))
        # It comes back, so that the size stays what it is.
        pool.start(victim.name)
        pool.join(victim.name, next(h.name for h in pool.up() if h.name != victim.name))
        back = pool.hosts[victim.name]
        pool.run_until(partial(_is_back, pool, back), 60.0, every=0.25)
    false += sum(host.node.incarnation - 1 for host in pool.up()) - _comebacks(pool)
    return Row(
        members=members,
        deaths=deaths,
        expected_suspicion_s=expected_suspicion_s(),
        first_suspicion_s=statistics.mean(d.suspected for d in seen),
        first_suspicion_worst_s=max(d.suspected for d in seen),
        suspicion_lasts_s=shortest_s(LAN, members),
        first_failed_s=statistics.mean(d.first for d in seen),
        all_failed_s=statistics.mean(d.all for d in seen),
        all_failed_worst_s=max(d.all for d in seen),
        expected_spread_s=expected_spread_s(members),
        spread_s=statistics.mean(d.all - d.first for d in seen),
        packets_per_member_s=(packets_after - packets) / members / quiet_s,
        bytes_per_member_s=(size_after - size) / members / quiet_s,
        packets_per_member_s_after_a_death=statistics.mean(busy),
        false_suspicions=false,
        processor_s_per_virtual_s=processor,
    )


def _is_back(pool: Pool, host: Host) -> bool:
    return host.node.roster.alive_count() == len(pool.hosts) and pool.sees(
        host.name, SerfStatus.ALIVE
    )


def _sent(pool: Pool) -> tuple[int, int]:
    hosts = pool.hosts.values()
    return sum(host.packets for host in hosts), sum(host.size for host in hosts)


def _comebacks(pool: Pool) -> int:
    """What members that died and came back had to outdo: no false suspicion."""
    return sum(host.node.incarnation - 1 for host in pool.up() if host.restarted)


def draw(rows: list[Row], path: Path) -> None:
    """The picture: detection over size beside what is expected, and the load."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quorate"
    from matplotlib import pyplot as plt

    sizes = [row.members for row in rows]
    figure, (times, load) = plt.subplots(1, 2, figsize=(9, 3.6))
    times.plot(sizes, [r.first_suspicion_s for r in rows], "o-", label="first suspicion")
    times.plot(sizes, [r.expected_suspicion_s for r in rows], "k:", label="SWIM: e/(e-1) periods")
    times.plot(sizes, [r.first_failed_s for r in rows], "s-", label="first: failed")
    times.plot(sizes, [r.all_failed_s for r in rows], "^-", label="all: failed")
    floor = [r.expected_suspicion_s + r.suspicion_lasts_s for r in rows]
    times.plot(sizes, floor, "k--", label="expected: failed")
    times.set_ylabel("seconds after the death")
    load.plot(sizes, [r.packets_per_member_s for r in rows], "o-", label="all quiet")
    busy = [r.packets_per_member_s_after_a_death for r in rows]
    load.plot(sizes, busy, "s-", label="while a death spreads")
    load.plot(sizes, [2 / LAN.probe_interval_s] * len(rows), "k:", label="SWIM: two a period")
    load.set_ylabel("packets a member sends a second")
    for axes in (times, load):
        axes.set_xscale("log")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("members")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure simulated pools and write docs/gossip-figures.{json,svg}.",
        epilog="Example: gossip_figures.py --deaths 40",
    )
    parser.add_argument("--deaths", type=int, default=40, help="deaths in each pool")
    rows = figures(deaths=parser.parse_args().deaths)
    for row in rows:
        print(row)
    text = msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n"
    (DOCS / "gossip-figures.json").write_bytes(text)
    draw(rows, DOCS / "gossip-figures.svg")


if __name__ == "__main__":
    main()
