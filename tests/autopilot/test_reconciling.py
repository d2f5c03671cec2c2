"""What a leader makes of the pool: whom it lets go, whom it takes in, whom it leaves alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from autopilot_facts import (
    INDEX,
    MEMBERS,
    NOW,
    A,
    B,
    C,
    at,
    claim,
    facts,
    heard,
    records,
    with_contact,
)

from quorate.autopilot.actions import Action, AddNonvoter, Ask, MoveAddress, Remove, Say, Why
from quorate.autopilot.deciders.reconciling import ASKS_MAX, reconcile
from quorate.autopilot.facts import Claim
from quorate.autopilot.memory import PAUSE_S, Memory
from quorate.raft.values.configuration import Configuration, Server

NEW = claim("n", 7)
MOVED = claim("b", 8, cluster_id="ours")
COPY = claim("b", 8, name="copy.global", cluster_id="ours")
WEST = claim("w", 9, region="west")
STRANGER = claim("t", 9, cluster_id="theirs")
LET_GO = Remove(id="b", name="b.global", address=at(2), why=Why.LEFT, prev_index=INDEX)
IN = AddNonvoter(server=NEW, prev_index=INDEX)
MOVE = MoveAddress(server=MOVED, was=at(2), prev_index=INDEX)


def status(one: Claim, what: str) -> Claim:
    return msgspec.structs.replace(one, status=what)


def plan(known: Any, answers: Any = None) -> tuple[Action, ...]:
    return reconcile(known, Memory(heard=answers or {})).actions


@pytest.mark.parametrize(
    ("other", "removed", "answers", "expected"),
    [
        pytest.param(B, "", {}, (), id="a member that lives"),
        pytest.param(status(B, "failed"), "", {}, (), id="a member that failed stays"),
        pytest.param(status(B, "leaving"), "", {}, (), id="one about to leave is no news yet"),
        pytest.param(status(B, "left"), "", {}, (Ask((at(2),)),), id="said to have left: asked"),
        pytest.param(status(B, "left"), "", heard(silent=(2,)), (LET_GO,), id="left, and silent"),
        pytest.param(
            status(B, "left"), "", heard(claim("x", 2)), (LET_GO,), id="left, another is there"
        ),
        pytest.param(
            *(status(B, "left"), "", heard(msgspec.structs.replace(B, leaving=True)), (LET_GO,)),
            id="left, and says so itself",
        ),
        pytest.param(MOVED, "", heard(MOVED, silent=(2,)), (MOVE,), id="a member that moved"),
        pytest.param(NEW, "", {}, (Ask((at(7),)),), id="a newcomer: asked"),
        pytest.param(NEW, "", heard(NEW), (IN,), id="a newcomer that answers"),
        pytest.param(status(NEW, "failed"), "", {}, (), id="a newcomer that failed"),
        pytest.param(status(NEW, "left"), "", {}, (), id="no member, left"),
        pytest.param(NEW, "n", heard(NEW), (), id="one that was removed stays out"),
        pytest.param(B, "b", {}, (), id="the mark of a member is no matter of this decider"),
        pytest.param(WEST, "", {}, (), id="another region"),
    ],
)
def test_plan(other: Claim, removed: str, answers: Any, expected: tuple[Action, ...]) -> None:
    table = records(A, B, C, NEW, removed=removed)
    assert plan(facts(other, records=table), answers) == expected


def test_a_stranger_is_named_and_left_alone() -> None:
    (said,) = plan(facts(STRANGER), heard(STRANGER))
    assert isinstance(said, Say)
    assert "t.global is in this pool but belongs to another cluster" in said.text


def test_the_leader_itself_is_not_let_go_for_an_echo_of_the_past() -> None:
    assert plan(facts(pool=(status(A, "left"),))) == ()


# -- gossip's word is not enough -------------------------------------------------------------


def test_a_voter_that_answers_is_not_removed_because_gossip_says_it_left() -> None:
    left = status(B, "left")
    (said,) = plan(facts(left), heard(B))
    assert isinstance(said, Say)
    assert "does not say that it leaves" in said.text


def test_nor_one_that_answers_raft_but_not_the_call() -> None:
    left = status(B, "left")
    for ago_s, kinds in ((0.1, [Say]), (1.9, [Say]), (2.1, [Remove])):
        known = with_contact(facts(left), "b", ago_s=ago_s)
        assert [type(a) for a in plan(known, heard(silent=(2,)))] == kinds


def test_what_was_refused_is_tried_again_after_a_pause() -> None:
    left = status(B, "left")
    held = reconcile(facts(left), Memory(heard=heard(B)))
    for later_s, kinds in ((PAUSE_S - 0.1, [Say]), (PAUSE_S, [Ask])):
        later = facts(left, now=NOW + later_s)
        assert [type(a) for a in reconcile(later, held.memory).actions] == kinds


def test_a_new_configuration_is_a_reason_to_look_again_and_to_say_no_more_what_was() -> None:
    """Else people would be told to remove a member that has been moved meanwhile."""
    moved = claim("b", 3, cluster_id="ours")
    there = {**heard(moved), **heard(silent=(2,))}
    held = reconcile(facts(moved), Memory(heard=there))
    (said,) = held.actions
    assert "remove-peer -peer-id=c" in str(said)
    members = Configuration((MEMBERS.servers[0], Server("b", at(3)), Server("c", at(2))))
    later = facts(
        *(moved, claim("c", 2)),
        configuration=members,
        configuration_index=INDEX + 1,
        records=records(A, moved, claim("c", 2)),
    )
    assert reconcile(later, held.memory).actions == ()


# -- two bodies of one server ----------------------------------------------------------------


def test_a_copy_stays_out_and_both_are_named() -> None:
    """Whichever of the two the pool has first."""
    (said,) = plan(facts(COPY), heard(COPY, B))
    assert isinstance(said, Say)
    assert "is not moved from 10.0.0.2:4647" in said.text
    (named,) = plan(facts(B, rivals=(COPY,)))
    assert isinstance(named, Say)
    for text in ("ID b", "b.global at 10.0.0.2:4647", "copy.global at 10.0.0.8:4647"):
        assert text in named.text
        assert text in said.text


# -- bounds ----------------------------------------------------------------------------------


def test_a_flood_of_names_costs_few_questions_and_all_have_their_turn() -> None:
    flood = [claim(f"f{n}", n) for n in range(20, 20 + 3 * ASKS_MAX)]
    memory, asked = Memory(), set()
    for turn in range(3):
        known = facts(*flood, now=NOW + turn)
        plan = reconcile(known, memory)
        (ask,) = [a for a in plan.actions if isinstance(a, Ask)]
        assert len(ask.addresses) == ASKS_MAX
        asked |= set(ask.addresses)
        silent = heard(silent=tuple(int(a.split(".")[3].split(":")[0]) for a in ask.addresses))
        memory = plan.memory.hear(
            {a: msgspec.structs.replace(h, at=known.now) for a, h in silent.items()}
        )
    assert len(asked) == len(flood)
