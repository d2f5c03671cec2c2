"""The level rises only while every member is known to know it."""

from __future__ import annotations

import msgspec
import pytest
from autopilot_facts import A, C, claim, facts, heard, with_contact

from quorate.autopilot.actions import Promote, Say
from quorate.autopilot.level import LevelPlan, MemberLevel, plan_level
from quorate.autopilot.promotion import promote
from quorate.autopilot.taking_in import take_in


def member(name: str, level: int | None, *, keyed: bool = True) -> MemberLevel:
    return MemberLevel(server_id=name, name=name, level=level, keyed=keyed)


def plan(in_force: int, known: int, *levels: int | None) -> LevelPlan:
    return plan_level(in_force, known, [member(f"s{n}", level) for n, level in enumerate(levels)])


@pytest.mark.parametrize(
    ("in_force", "known", "levels", "raise_to"),
    [
        (0, 1, (1, 1, 1), 1),
        (0, 1, (1,), 1),
        (0, 1, (1, 1, 0), 0),
        (0, 1, (1, 1, None), 0),
        (1, 1, (1, 1, 1), 0),
        (0, 2, (2, 1, 2), 1),
        (1, 2, (2, 1, 2), 0),
        (0, 1, (1, 2, 2), 1),
        (2, 1, (1, 1, 1), 0),
        (1, 3, (3, 3, 3), 3),
    ],
)
def test_it_rises_to_what_all_members_know(
    in_force: int, known: int, levels: tuple[int | None, ...], raise_to: int
) -> None:
    assert plan(in_force, known, *levels).raise_to == raise_to


def test_who_holds_it_back_is_named_with_the_reason() -> None:
    found = plan_level(
        0, 1, [member("a", 1), member("b", 0), member("c", None), member("d", 1, keyed=False)]
    )
    assert found.raise_to == 0
    assert [(one.name, one.why) for one in found.waiting] == [
        ("b", "it knows level 0 only: upgrade it"),
        ("c", "it has not been heard lately, so its version is not known"),
        ("d", "its key is not on record yet"),
    ]


def test_at_the_highest_level_only_a_downgraded_member_is_named() -> None:
    assert plan(1, 1, 1, None).waiting == ()
    (one,) = plan(1, 1, 1, None, 0).waiting
    assert (one.name, one.why) == ("s2", "it knows level 0 only: upgrade it")


@pytest.mark.parametrize(("level", "refused"), [(0, True), (1, False), (2, False)])
def test_a_server_below_the_level_is_not_taken_in_and_gets_no_vote(
    level: int, refused: bool
) -> None:
    joiner = claim("d", 4, cluster_id="ours", level=level, version="0.0.9")
    verdict = take_in(facts(joiner, level=1), joiner, heard(joiner))
    assert ("d.global (d) runs Quorate 0.0.9, which knows feature level" in verdict.why) == refused

    old = msgspec.structs.replace(C, level=level)
    known = with_contact(facts(old, level=1), "b", "c")
    since = {"c": known.now - 60}
    (action,), _ = promote(known, since)
    assert isinstance(action, Say if refused else Promote)
    if isinstance(action, Say):
        assert action.text.startswith("it gets no vote: c.global (c) runs Quorate")
    assert A.level == 0  # the cluster's level is in the facts, not in the leader's claim
