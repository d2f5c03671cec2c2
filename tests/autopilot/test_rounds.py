"""In which order a leader does its duties, and what it makes of each outcome."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec
from autopilot_facts import (
    INDEX,
    MEMBERS,
    NOW,
    RULES,
    B,
    C,
    at,
    claim,
    facts,
    heard,
    records,
    with_contact,
)

from quorate.autopilot.actions import (
    Action,
    AddNonvoter,
    Ask,
    FirstWrites,
    MakeWay,
    MoveAddress,
    Promote,
    RecordKey,
    RecordServer,
    Remove,
    Say,
)
from quorate.autopilot.deciders.making_way import ASK_AGAIN_S
from quorate.autopilot.facts import Facts, Heard
from quorate.autopilot.memory import Memory
from quorate.autopilot.rounds import (
    NOT_LEADING,
    Look,
    Outcome,
    departing,
    joining,
    leader_round,
)
from quorate.raft.values.configuration import Configuration, Server, Suffrage

NEW = claim("n", 7)


def played(
    steps: Generator[Action, Outcome, Any], answer: Callable[[Action], Outcome]
) -> tuple[list[Action], Any]:
    """The actions of these steps, each answered so, and what they return."""
    done: list[Action] = []
    try:
        action = next(steps)
        while True:
            done.append(action)
            action = steps.send(answer(action))
    except StopIteration as end:
        return done, end.value


def answering(*there: Any) -> Callable[[Action], Outcome]:
    """All succeeds; asked addresses are those of these servers, or silent."""

    def answer(action: Action) -> Outcome:
        if not isinstance(action, Ask):
            return Outcome()
        found = heard(*there)
        return Outcome(heard={a: found.get(a, Heard(NOW)) for a in action.addresses})

    return answer


def always(known: Facts) -> Look:
    return lambda: known


def test_a_leader_that_can_take_no_write_makes_way_and_does_nothing_else() -> None:
    known = with_contact(facts(NEW, trouble="the disk is full", rules=None), "b", "c")
    done, memory = played(leader_round(always(known), Memory()), answering(NEW))
    assert done == [MakeWay(target="b", address=at(2), why="the disk is full")]
    # It is not asked again at once, nor is one whose state is wrong, or that is silent.
    later = msgspec.structs.replace(known, now=NOW + 0.3)
    assert played(leader_round(always(later), memory), answering())[0] == []
    for other in ({"unfit": frozenset("b")}, {"peers": facts().peers}):
        unfit = msgspec.structs.replace(known, **other)
        assert played(leader_round(always(unfit), Memory()), answering())[0] == []
    again = with_contact(msgspec.structs.replace(known, now=NOW + ASK_AGAIN_S), "b")
    assert len(played(leader_round(always(again), memory), answering())[0]) == 1


def test_first_writes_come_first() -> None:
    known = facts(NEW, rules=None, cluster_named=False)
    done, _ = played(leader_round(always(known), Memory()), answering(NEW))
    assert done == [FirstWrites(settings=True, cluster=True)]


def test_a_newcomer_votes_when_it_was_fit_for_long_enough() -> None:
    table = facts(B, C)
    fit = with_contact(table, "b", "c")
    promote = Promote(id="c", address=at(3), prev_index=INDEX)
    memory = Memory()
    for later_s, lag, expected in (
        (0.0, 0, []),
        (0.9, 0, []),
        (1.0, 0, [promote]),
        (1.1, RULES.max_trailing_logs + 1, []),
        (1.2, 0, []),  # from the beginning
        (2.2, 0, [promote]),
    ):
        known = with_contact(
            msgspec.structs.replace(fit, now=NOW + later_s, last_index=100 + lag), "b", "c"
        )
        done, memory = played(leader_round(always(known), memory), answering())
        assert done == expected, later_s
    silent = with_contact(msgspec.structs.replace(fit, now=NOW + 3), "c", ago_s=0.21)
    assert played(leader_round(always(silent), memory), answering())[0] == []


def test_keys_that_were_proven_are_put_on_record_once() -> None:
    peers = {i: msgspec.structs.replace(p, key=i.encode() * 32) for i, p in facts().peers.items()}
    done, _ = played(leader_round(always(facts(peers=peers)), Memory()), answering())
    assert done == [
        RecordKey(id=i, address=at(n), key=i.encode() * 32, prev_index=INDEX)
        for i, n in (("b", 2), ("c", 3))
    ]
    keyed = Configuration(
        tuple(msgspec.structs.replace(s, key=s.id.encode() * 32) for s in MEMBERS.servers)
    )
    known = facts(peers=peers, configuration=keyed)
    assert played(leader_round(always(known), Memory()), answering())[0] == []


def test_asking_and_acting_happen_in_one_round() -> None:
    done, _ = played(leader_round(always(facts(NEW)), Memory()), answering(NEW))
    assert done == [Ask((NEW.address,)), AddNonvoter(server=NEW, prev_index=INDEX)]


def test_a_refused_removal_does_not_hold_the_others_up_and_is_told_once() -> None:
    left = msgspec.structs.replace(B, status="left")
    known = facts(left, NEW)

    def answer(action: Action) -> Outcome:
        return Outcome("too few live voters") if isinstance(action, Remove) else hear(action)

    hear = answering(NEW)
    done, memory = played(leader_round(always(known), Memory()), answer)
    assert [type(a) for a in done] == [Ask, Remove, AddNonvoter, Say]
    assert "too few live voters" in str(done[-1])
    done, memory = played(leader_round(always(known), memory), answer)
    assert Say not in [type(a) for a in done]


def test_words_are_repeated_when_they_come_back() -> None:
    stranger = claim("t", 9, cluster_id="theirs")
    memory, told = Memory(), []
    for pool in ((stranger,), (stranger,), (), (stranger,)):
        done, memory = played(leader_round(always(facts(*pool)), memory), answering())
        told.append(len(done))
    assert told == [1, 0, 0, 1]


def test_a_round_ends_when_another_server_leads() -> None:
    looks = iter([facts(NEW), None])
    done, memory = played(leader_round(lambda: next(looks), Memory()), answering(NEW))
    assert (len(done), memory) == (1, Memory())
    assert played(joining(lambda: None, NEW), answering())[1].why == NOT_LEADING


def test_a_joiner_is_tried_again_when_another_change_came_in_between() -> None:
    outcomes = [Outcome("changed", stale=True), Outcome("changed", stale=True), Outcome()]
    server = Server(NEW.id, NEW.address, Suffrage.NONVOTER)
    joined = Configuration((*MEMBERS.servers, server))
    known = [facts(NEW)]

    def answer(action: Action) -> Outcome:
        if isinstance(action, AddNonvoter):
            known.append(facts(NEW, configuration=joined) if len(outcomes) == 1 else known[0])
            return outcomes.pop(0)
        if isinstance(action, RecordServer):
            known.append(facts(NEW, configuration=joined, records=records(NEW)))
        return answering(NEW)(action)

    done, verdict = played(joining(lambda: known[-1], NEW), answer)
    assert [type(a) for a in done] == [Ask, *[AddNonvoter] * 3, RecordServer]
    assert verdict.why == ""


def test_a_joiner_is_told_why_a_change_was_refused() -> None:
    moved = claim("b", 8, cluster_id="ours")

    def answer(action: Action) -> Outcome:
        refused = isinstance(action, MoveAddress)
        return Outcome("another key on record") if refused else answering(moved)(action)

    _, verdict = played(joining(always(facts(moved)), moved), answer)
    assert verdict.why == "another key on record"


def test_one_that_leaves_is_asked_whether_it_is_there_and_goes() -> None:
    known = with_contact(facts(B), "b")
    leaving = msgspec.structs.replace(B, leaving=True)
    done, verdict = played(departing(always(known), "b"), answering(leaving))
    assert [type(a) for a in done] == [Ask, Remove]
    assert verdict.why == ""
    for there, why in ((B, "does not say that it leaves"), (NEW, "does not answer at")):
        done, verdict = played(departing(always(known), "b"), answering(there))
        assert [type(a) for a in done] == [Ask]
        assert why in verdict.why
    assert played(departing(always(known), "x"), answering())[1].why == ""


def test_the_leader_leaves_without_being_asked_and_the_last_voter_never() -> None:
    looks = iter([facts(B), None])
    done, verdict = played(departing(lambda: next(looks), "a"), answering())
    assert ([type(a) for a in done], verdict.why) == ([Remove], "")
    alone = facts(configuration=Configuration(MEMBERS.servers[:1]))
    assert "last voter" in played(departing(always(alone), "a"), answering())[1].why


def test_one_that_has_just_left_is_not_taken_in_again_for_what_it_said_before() -> None:
    """The pool calls it alive for a moment longer, and it was asked for another reason before."""
    before = Memory(heard=heard(NEW), heard_in=INDEX - 1)
    said: list[Any] = [msgspec.structs.replace(NEW, leaving=True)]
    done, _ = played(leader_round(always(facts(NEW)), before), answering(*said))
    assert [type(action) for action in done] == [Ask, Say]
    asked = Memory(heard=heard(NEW), heard_in=INDEX)
    done, _ = played(leader_round(always(facts(NEW)), asked), answering(*said))
    assert AddNonvoter(server=NEW, prev_index=INDEX) in done
