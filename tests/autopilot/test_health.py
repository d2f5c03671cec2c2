"""The health of servers, by autopilot's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from autopilot_facts import NOW, A, B, C, facts, with_contact

from quorate.autopilot.facts import Facts, Peer
from quorate.autopilot.health import NEVER_S, Health, Standing, health
from quorate.raft.values.configuration import Configuration, Server
from quorate.state.tables.autopilot import AutopilotConfiguration

VOTERS = Configuration(tuple(Server(each.id, each.address) for each in (A, B, C)))
TERMS = {"a": 2, "b": 2, "c": 2}


def of(
    known: Facts, terms: Mapping[str, int] = TERMS, before: Mapping[str, float] | None = None
) -> Health:
    return health(known, AutopilotConfiguration(), terms, before or {})


def well(**other: Any) -> Facts:
    return with_contact(facts(B, C, configuration=VOTERS, **other), "b", "c")


def one(found: Health, server_id: str) -> Standing:
    return next(each for each in found.servers if each.id == server_id)


def test_three_that_answer_are_healthy_and_can_lose_one() -> None:
    found = of(well(), before={"b": NOW - 30})
    assert (found.healthy, found.tolerance) == (True, 1)
    assert one(found, "a").leader
    assert one(found, "a").contact_s == 0.0
    assert one(found, "b").contact_s == pytest.approx(0.1)
    assert found.stable_since() == {"a": NOW, "b": NOW - 30, "c": NOW}


def test_one_that_the_pool_calls_failed_has_no_contact_and_no_log() -> None:
    failed = msgspec.structs.replace(C, status="failed")
    found = of(
        with_contact(facts(B, failed, configuration=VOTERS), "b", "c"), before={"c": NOW - 30}
    )
    assert (found.healthy, found.tolerance) == (False, 0)
    dead = one(found, "c")
    assert (dead.status, dead.contact_s, dead.last_term, dead.last_index) == (
        "failed",
        NEVER_S,
        0,
        0,
    )
    assert dead.stable_since is None


def test_one_that_the_pool_never_knew_is_not_healthy() -> None:
    found = of(with_contact(facts(B, configuration=VOTERS), "b", "c"))
    assert one(found, "c").status == "none"
    assert not one(found, "c").healthy


def test_one_that_never_answered_this_leader_is_not_healthy() -> None:
    peers = {"b": Peer(match_index=0, contact_at=float("-inf")), "c": well().peers["c"]}
    found = of(msgspec.structs.replace(well(), peers=peers))
    assert one(found, "b").contact_s == NEVER_S
    assert not found.healthy


@pytest.mark.parametrize(("ago_s", "healthy"), [(0.19, True), (0.21, False)])
def test_the_last_contact_counts(ago_s: float, healthy: bool) -> None:
    assert one(of(with_contact(well(), "c", ago_s=ago_s)), "c").healthy is healthy


@pytest.mark.parametrize(("behind", "healthy"), [(250, True), (251, False)])
def test_the_entries_behind_count(behind: int, healthy: bool) -> None:
    found = of(well(last_index=100 + behind))
    assert one(found, "b").healthy is healthy


def test_one_with_an_older_term_is_not_healthy() -> None:
    assert not one(of(well(), {**TERMS, "b": 1}), "b").healthy


def test_one_whose_state_is_wrong_is_not_healthy() -> None:
    assert not one(of(well(unfit=frozenset({"b"}))), "b").healthy


def test_a_nonvoter_counts_for_health_and_not_for_what_can_fail() -> None:
    known = with_contact(facts(B, C), "b", "c")  # c does not vote
    assert (of(known).healthy, of(known).tolerance) == (True, 0)
    assert not of(with_contact(known, "c", ago_s=9)).healthy


def test_what_became_healthy_again_is_stable_from_then_on() -> None:
    sick = of(with_contact(well(), "c", ago_s=9), before={"c": NOW - 30})
    again = of(msgspec.structs.replace(well(), now=NOW + 0.05), before=sick.stable_since())
    assert one(again, "c").stable_since == NOW + 0.05
    assert one(again, "b").stable_since == NOW
