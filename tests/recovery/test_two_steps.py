"""All orders in which two survivors may act that are recovered in two steps, and be asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from mutation import replaced

from quorate.raft.values.identity import EPOCH_BITS
from quorate.recovery import plan as plans
from quorate.recovery import two_steps
from quorate.recovery.looking.summary import FolderSummary, Kind, Member, Members
from quorate.recovery.survivors import compare
from quorate.recovery.two_steps import Lead

MEMBERS = Members(1, (Member("a", "h:1", True), Member("b", "h:2", True), Member("c", "h:3", True)))
PLAN = plans.make(
    compare(
        [
            FolderSummary(
                kind=Kind.QUORATE.value, path=name, server_id=name, last_index=last, members=MEMBERS
            )
            for name, last in (("a", 9), ("b", 7))
        ]
    ),
    bytes(EPOCH_BITS),
)
OLD, PREPARED, BEGUN = "old", "prepared", "begun"
ASKED_MAX = 4
NOT_YET = Lead(PLAN.epochs[0], "nothing was answered")


class World(NamedTuple):
    """The first survivor decides, the second follows. Each has at most one question on its way.

    `asked` counts how often the second was asked. `first_asks` is None, "" while the question is on
    its way, or the answer; `second_asks` has the count when it was sent, and the answer.
    """

    first: str = OLD
    second: str = OLD
    asked: int = 0
    first_asks: str | None = None
    second_asks: tuple[int, Lead | None] | None = None


def digest(state: str) -> str:
    return PLAN.digest if state == PREPARED else "none"


def after(world: World) -> Iterator[World]:
    """The worlds that may come next."""
    yield from _first_acts(world)
    yield from _second_acts(world)
    # Questions arrive, or are never answered.
    if world.first_asks == "" and world.asked < ASKED_MAX:
        yield world._replace(first_asks=digest(world.second), asked=world.asked + 1)
    if world.second_asks is not None and world.second_asks[1] is NOT_YET:
        epoch = PLAN.epochs[world.first == BEGUN]
        for answer in (Lead(epoch, digest(world.first)), None):
            yield world._replace(second_asks=(world.second_asks[0], answer))


def _first_acts(world: World) -> Iterator[World]:
    if world.first_asks is None:
        if world.first == OLD:
            yield world._replace(first=PREPARED)
        elif world.first == PREPARED:
            yield world._replace(first=OLD)
            yield world._replace(first_asks="")
    elif world.first_asks:
        waits = two_steps.unprepared(PLAN, {"b": world.first_asks})
        yield world._replace(first=PREPARED if waits else BEGUN, first_asks=None)


def _second_acts(world: World) -> Iterator[World]:
    if world.second_asks is None:
        if world.second == OLD:
            yield world._replace(second=PREPARED)
        elif world.second == PREPARED:
            yield world._replace(second_asks=(world.asked, NOT_YET))
        return
    yield world._replace(second_asks=None, asked=0)  # it is killed, and starts again
    sent, lead = world.second_asks
    if lead is NOT_YET:
        return
    state = world.second
    if two_steps.has_begun(PLAN, lead):
        state = BEGUN
    elif not two_steps.why_not_given_up(PLAN, lead, asked_since=world.asked != sent):
        state = OLD
    yield world._replace(second=state, second_asks=None)


def wrong(world: World) -> str:
    if world.first == BEGUN and world.second == OLD:
        return "left behind"
    return "too early" if world.second == BEGUN and world.first != BEGUN else ""


def explored() -> tuple[set[World], str]:
    """All worlds that can be reached, and what is wrong in the first that is."""
    found, waiting = {World()}, [World()]
    while waiting:
        for world in after(waiting.pop()):
            if why := wrong(world):
                return found, why
            if world not in found:
                found.add(world)
                waiting.append(world)
    return found, ""


def test_no_order_leaves_a_survivor_behind() -> None:
    found, why = explored()
    assert not why
    assert {(world.first, world.second) for world in found} == {
        *((first, second) for first in (OLD, PREPARED) for second in (OLD, PREPARED)),
        (BEGUN, PREPARED),
        (BEGUN, BEGUN),
    }


@pytest.mark.parametrize(
    ("rule", "old", "new", "found_as"),
    [
        ("unprepared", "told.get(each.server_id) != plan.digest", "False", "left behind"),
        ("has_begun", "lead.epoch == plan.epochs[1]", "True", "too early"),
        ("why_not_given_up", "if lead.prepared == plan.digest:", "if False:", "left behind"),
        ("why_not_given_up", "if asked_since:", "if False:", "left behind"),
        ("why_not_given_up", 'return f"{where} does not answer"', 'return ""', "left behind"),
    ],
)
def test_each_rule_is_needed(rule: str, old: str, new: str, found_as: str) -> None:
    with replaced(rule, getattr(two_steps, rule), old, new):
        assert explored()[1] == found_as


@pytest.mark.parametrize(
    ("known", "more"),
    [
        ((0, 9, 9), False),
        ((0, 10, 9), True),
        ((0, 10, 10), True),
        ((1, 5, 5), True),
        ((2, 10, 3), True),
    ],
)
def test_a_left_out_server_with_other_entries_knows_more(
    known: tuple[int, int, int], more: bool
) -> None:
    """The lead ends at entry 9 of term 0."""
    assert two_steps.knows_more(PLAN, two_steps.Known(*known)) is more
