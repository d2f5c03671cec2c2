"""Deliberate wrongs: bugs in the code, and falsified traces, that must be refused, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from spec_snapshots import Item, Point, ServerTrace, Step


class Falsified(NamedTuple):
    """A trace of a real server with one thing changed. `at` is the step that must be refused."""

    name: str
    at: int
    trace: ServerTrace


_Found = tuple[int, tuple[Step, ...]]


def _changed(steps: tuple[Step, ...], at: int, **fields: Any) -> _Found:
    return at, (*steps[:at], steps[at]._replace(**fields), *steps[at + 1 :])


def _seen(steps: tuple[Step, ...], at: int, **fields: Any) -> _Found:
    seen = steps[at].seen
    assert seen is not None, "nothing was seen there"
    return _changed(steps, at, seen=seen._replace(**fields))


def _loses_what_was_durable(steps: tuple[Step, ...]) -> _Found | None:
    """A write that was done is not on the disk after the crash."""
    for at in range(1, len(steps)):
        if (steps[at - 1].what, steps[at].what) == ("sync", "restart"):
            before = [s for s in steps[: at - 1] if s.waits and s.what == "take" and s.items]
            if before:
                return at - 1, (*steps[: at - 1], *steps[at:])
    return None


def _acknowledges_at_once(steps: tuple[Step, ...]) -> _Found | None:
    """Entries that are not durable yet are acknowledged."""
    for at, step in enumerate(steps):
        if step.what == "take" and step.seen and step.seen.tail:
            return _changed(steps, at, waits=False)
    return None


def _stores_another_entry(steps: tuple[Step, ...]) -> _Found | None:
    for at, step in enumerate(steps):
        if step.what == "take" and step.seen and step.seen.tail:
            last = step.seen.tail[-1]
            return _seen(steps, at, tail=(*step.seen.tail[:-1], Item(last.term + 1, last.conf)))
    return None


def _keeps_what_contradicts(steps: tuple[Step, ...]) -> _Found | None:
    """A conflicting end of the log is not replaced."""
    last = 0
    for at, step in enumerate(steps):
        if step.seen and step.what == "take" and step.items and step.seen.keep < last:
            return _seen(steps, at, keep=last, tail=(), last=last)
        last = step.seen.last if step.seen else last
    return None


def _installs_without_the_configuration(steps: tuple[Step, ...]) -> _Found | None:
    old = (0, 0)
    for at, step in enumerate(steps):
        if step.what == "install" and step.seen and step.seen.in_force != old:
            return _seen(steps, at, in_force=old)
        old = step.seen.in_force if step.seen else old
    return None


def _snapshot_ahead_of_what_is_applied(steps: tuple[Step, ...]) -> _Found | None:
    for at, step in enumerate(steps):
        if step.what == "begin":
            index, *rest = step.point
            return _changed(steps, at, point=Point(index + 1, *rest))
    return None


def _commits_what_was_not_compared(steps: tuple[Step, ...]) -> _Found | None:
    """What the leader says is committed is taken to be in the log."""
    for at, step in enumerate(steps):
        if step.what == "commit" and step.seen and step.seen.last > step.index:
            return _changed(steps, at, index=step.seen.last + 1, seen=None)
    return None


def _starts_above_its_snapshot(steps: tuple[Step, ...]) -> _Found | None:
    """More counts as committed after a crash than the snapshot holds."""
    for at, step in enumerate(steps):
        if step.what == "restart" and step.seen and step.seen.last > step.seen.commit > 0:
            return _seen(steps, at, commit=step.seen.commit + 1)
    return None


WRONGS: tuple[Callable[[tuple[Step, ...]], _Found | None], ...] = (
    _loses_what_was_durable,
    _acknowledges_at_once,
    _stores_another_entry,
    _keeps_what_contradicts,
    _installs_without_the_configuration,
    _snapshot_ahead_of_what_is_applied,
    _commits_what_was_not_compared,
    _starts_above_its_snapshot,
)


def falsify(traces: list[ServerTrace]) -> list[Falsified]:
    """Each wrong once, in the first trace where there is room for it."""
    found = []
    for wrong in WRONGS:
        name = wrong.__name__.strip("_").replace("_", " ")
        for trace in traces:
            done = wrong(trace.steps)
            if done is not None:
                at, steps = done
                found.append(Falsified(name, at, trace._replace(steps=steps)))
                break
        else:
            raise AssertionError(f"no trace in which it {name}")
    return found
