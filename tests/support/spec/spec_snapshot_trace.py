"""Traces of servers in TLA+, as the module that spec/SnapshotTrace.tla reads."""

from __future__ import annotations

from collections.abc import Iterable

from spec_snapshots import Item, Seen, ServerTrace, Step


def _tuple(parts: Iterable[object]) -> str:
    return "<<" + ",".join(str(part) for part in parts) + ">>"


def _items(items: Iterable[Item]) -> str:
    return _tuple(_tuple(item) for item in items)


def _seen(seen: Seen | None) -> str:
    if seen is None:
        return "<<>>"
    disk = _tuple((seen.disk[0], _items(seen.disk[1]))) if seen.disk else "<<>>"
    return _tuple(
        (
            seen.first,
            seen.last,
            seen.keep,
            _items(seen.tail),
            _tuple(seen.base),
            seen.commit,
            seen.applied,
            _tuple(seen.in_force),
            _tuple(seen.agreed),
            _tuple(seen.snapshot),
            disk,
        )
    )


def _step(step: Step) -> str:
    return _tuple(
        (
            f'"{step.what}"',
            step.index,
            step.sure,
            step.prev,
            step.prev_term,
            _items(step.items),
            "TRUE" if step.waits else "FALSE",
            _tuple(step.point),
            _seen(step.seen),
        )
    )


def module(name: str, traces: list[ServerTrace]) -> str:
    """The text of a module that is SnapshotTrace with these `Servers`."""
    servers = []
    for trace in traces:
        steps = ",\n".join(_step(step) for step in trace.steps)
        good = _items(trace.good)
        founder = "TRUE" if trace.founder else "FALSE"
        servers.append(f"[good |-> {good}, founder |-> {founder}, steps |-> <<\n{steps} >>]")
    body = ",\n".join(servers)
    return (
        f"---- MODULE {name} ----\nEXTENDS SnapshotConfiguration\nVARIABLES trace, at\n"
        f"Servers == <<\n{body} >>\nINSTANCE SnapshotTrace\n====\n"
    )


SETTINGS = """CONSTANTS
    Leaders = {}
    Committed = {}
    Lag = 1000
    Broken = {}
INIT TraceInit
NEXT TraceNext
INVARIANTS
"""

INVARIANTS = """    NoHole
    CommittedIsGood
    ConfigurationInForce
    ConfigurationAgreed
    NothingAcknowledgedIsLost
    SnapshotConfiguration
"""

TOLD = "    Told\nCHECK_DEADLOCK FALSE\n"
