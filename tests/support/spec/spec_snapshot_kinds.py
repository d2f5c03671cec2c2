"""What happened in recorded lives, counted: so that nobody takes what never occurred for shown."""

from __future__ import annotations

from collections import Counter

from spec_snapshots import Seen, ServerTrace, Step, record_servers

KINDS = (
    "take: entries that follow on the log",
    "take: nothing new",
    "take: entries replaced",
    "take: a configuration replaced by none",
    "take: a configuration replaced by another",
    "sync",
    "commit",
    "apply",
    "begin",
    "store",
    "store: overtaken by a received snapshot",
    "compact",
    "arrive",
    "arrive: an older one than is here",
    "install: the log is replaced",
    "install: what follows is kept",
    "install: old news",
    "ignore",
    "restart: without a snapshot",
    "restart: snapshot and log",
    "restart: the log is superseded",
    "restart: writes were lost",
)


def count(trace: ServerTrace) -> Counter[str]:
    """How often each of KINDS occurred in it."""
    found: Counter[str] = Counter()
    before = Seen(last=1) if trace.founder else Seen()
    waiting = 0
    for position, step in enumerate(trace.steps):
        # Between two actions that are one step of the code nothing was seen.
        after = next((each.seen for each in trace.steps[position:] if each.seen), before)
        found.update(_kinds(step, before, after, waiting))
        waiting = 0 if step.what == "restart" else waiting + step.waits - (step.what == "sync")
        before = step.seen or before
    return found


def _kinds(step: Step, before: Seen, after: Seen, waiting: int) -> list[str]:
    match step.what:
        case "take":
            return _take(step, before, after)
        case "store":
            used = step.point.index > before.base[0]
            return ["store" if used else "store: overtaken by a received snapshot"]
        case "arrive":
            newest = step.index > before.snapshot.index
            return ["arrive" if newest else "arrive: an older one than is here"]
        case "install":
            if step.waits:
                return ["install: the log is replaced"]
            kept = after.commit > before.commit
            return ["install: what follows is kept" if kept else "install: old news"]
        case "restart":
            return _restart(after, waiting)
        case what:
            return [what]


def _take(step: Step, before: Seen, after: Seen) -> list[str]:
    if not after.tail:
        return ["take: nothing new"]
    if after.keep >= before.last:
        return ["take: entries that follow on the log"]
    found = ["take: entries replaced"]
    if before.in_force[1] > after.keep:
        other = any(item.conf for item in after.tail)
        found += [f"take: a configuration replaced by {'another' if other else 'none'}"]
    return found


def _restart(after: Seen, waiting: int) -> list[str]:
    found = ["restart: writes were lost"] if waiting else []
    if not after.snapshot.index:
        return [*found, "restart: without a snapshot"]
    superseded = after.disk is not None and after.disk[1] and not after.tail
    return [*found, f"restart: {'the log is superseded' if superseded else 'snapshot and log'}"]


def telling(traces: list[ServerTrace]) -> bool:
    """True for a life in which a snapshot was received or a configuration was replaced."""
    found = sum((count(trace) for trace in traces), Counter())
    return any(found[kind] for kind in KINDS if kind.startswith(("arrive", "take: a conf")))


def record_telling(lives: int, first: int = 0) -> list[list[ServerTrace]]:
    """The first such lives from seed `first` on."""
    found: list[list[ServerTrace]] = []
    seed = first
    while len(found) < lives:
        traces = record_servers(seed)
        found += [traces] if telling(traces) else []
        seed += 1
    return found
