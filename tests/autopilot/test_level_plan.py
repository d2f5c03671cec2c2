"""The level rises only while every member is known to know it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from autopilot_facts import INDEX, NOW, A, B, C, at, claim, facts, heard, with_contact

from quorate.autopilot.actions import Ask, Promote, RaiseLevel, Say
from quorate.autopilot.deciders.level import LevelPlan, MemberLevel, plan_level, raise_level
from quorate.autopilot.deciders.promotion import promote
from quorate.autopilot.deciders.taking_in import take_in
from quorate.autopilot.facts import Facts, Heard
from quorate.autopilot.memory import FRESH_S
from quorate.raft.values.configuration import Configuration


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


def leading(in_force: int, key: bytes = b"") -> Facts:
    """`a` leads and knows level 1."""
    me = msgspec.structs.replace(A, level=1, key=key)
    return msgspec.structs.replace(facts(level=in_force), me=me)


def answers(b: int | None, c: int | None) -> Mapping[str, Heard]:
    """Both were asked, and told these levels; None: nothing."""
    there = [
        msgspec.structs.replace(one, level=level)
        for one, level in ((B, b), (C, c))
        if level is not None
    ]
    silent = tuple(place for place, level in ((2, b), (3, c)) if level is None)
    return heard(*there, silent=silent)


def test_a_leader_asks_every_member_before_it_raises_the_level() -> None:
    known = leading(0)
    assert raise_level(known, {})[0] == (Ask((at(2), at(3))),)
    assert raise_level(known, answers(1, 1))[0] == (RaiseLevel(level=1, prev_index=INDEX),)
    late = msgspec.structs.replace(known, now=known.now + FRESH_S + 1)
    assert raise_level(late, answers(1, 1))[0] == (Ask((at(2), at(3))),)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (1, 0), (1, None), (None, None)])
def test_a_member_that_does_not_know_the_level_or_is_silent_holds_it_back(
    b: int | None, c: int | None
) -> None:
    actions, waits = raise_level(leading(0), answers(b, c))
    assert all(isinstance(action, Say) for action in actions)
    assert len(actions) == len(waits) > 0


def test_another_server_at_a_members_address_does_not_count_for_it() -> None:
    stranger = {at(2): Heard(NOW, claim("x", 2, level=1))}
    actions, waits = raise_level(leading(0), {**answers(1, 1), **stranger})
    assert not any(isinstance(action, RaiseLevel) for action in actions)
    assert [one.server_id for one in waits] == ["b"]


def test_where_servers_have_keys_all_must_be_on_record() -> None:
    keyed = leading(0, key=b"k")
    assert {one.why for one in raise_level(keyed, answers(1, 1))[1]} == {
        "its key is not on record yet"
    }
    on_record = tuple(
        msgspec.structs.replace(server, key=b"k") for server in keyed.configuration.servers
    )
    keyed = msgspec.structs.replace(keyed, configuration=Configuration(on_record))
    assert raise_level(keyed, answers(1, 1))[0] == (RaiseLevel(level=1, prev_index=INDEX),)


def test_at_its_highest_level_a_leader_asks_nothing() -> None:
    assert raise_level(leading(1), {}) == ((), ())
