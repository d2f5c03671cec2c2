"""What a leader tells the journal: what differs from what was told, once, whoever tells it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from autopilot_facts import MEMBERS, A, B, C, at, facts, records

from quorate.autopilot.actions import Tell
from quorate.autopilot.deciders.telling import NOTES_MAX, tell
from quorate.autopilot.facts import Facts
from quorate.autopilot.memory import Memory
from quorate.autopilot.rounds import Outcome, decide, leader_round
from quorate.raft.pending import Cause, Elected
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.state.tables.journal import Note, Told

TOLD = Told(
    level=2,
    term=5,
    leader="b",
    configuration_index=7,
    members=(("a", at(1), True), ("b", at(2), True), ("c", at(3), False)),
)


def leading(**other: Any) -> Facts:
    """`a` leads in term 5; all is told."""
    values = {
        "level": 2,
        "told": TOLD,
        "elected": Elected(5, Cause.SILENT, "b"),
        "committed": MEMBERS,
        "committed_index": 7,
        **other,
    }
    return facts(B, C, **values)


def told(known: Facts) -> Tell:
    (action,) = tell(known)
    return action


def brief(known: Facts) -> list[tuple[str, str, str, str]]:
    notes = tell(known)[0].notes if tell(known) else ()
    return [(note.kind, note.what, note.subject, note.cause) for note in notes]


def test_nothing_is_told_that_was_told() -> None:
    assert tell(leading()) == ()
    assert tell(leading(committed_index=9)) == ()  # a key went on record, say


@pytest.mark.parametrize(
    "other", [{"level": 1, "told": Told()}, {"told": Told(), "committed": Configuration()}]
)
def test_nothing_is_told_below_the_level_or_without_a_cluster(other: dict[str, Any]) -> None:
    assert tell(leading(**other)) == ()


def test_the_first_leader_tells_level_election_and_members() -> None:
    action = told(leading(told=Told(), elected=Elected(5, Cause.FOUNDED)))
    assert action.since == (0, 0, 0)
    assert action.told == msgspec.structs.replace(TOLD, leader="a")
    begins = "the journal begins"
    assert [(n.kind, n.what, n.subject, n.cause, n.details) for n in action.notes] == [
        ("level", "raised", "", "", (("to", "2"),)),
        ("election", "elected", "a", "the cluster was founded", (("term", "5"),)),
        ("membership", "added", "a", begins, (("address", at(1)), ("votes", "true"))),
        ("membership", "added", "b", begins, (("address", at(2)), ("votes", "true"))),
        ("membership", "added", "c", begins, (("address", at(3)), ("votes", "false"))),
    ]


def test_an_election_is_told_with_its_cause_and_the_former_leader() -> None:
    action = told(leading(elected=Elected(8, Cause.HANDED_OVER, "c")))
    assert action.notes == (
        Note(
            kind="election",
            what="elected",
            subject="a",
            cause="the leader handed over",
            details=(("term", "8"), ("former leader", "c")),
        ),
    )
    assert (action.told.place, action.told.leader, action.since) == ((2, 8, 7), "a", (2, 5, 7))


def test_a_leader_that_heard_none_before_takes_the_one_of_the_journal() -> None:
    action = told(leading(elected=Elected(8, Cause.UNKNOWN)))
    assert dict(action.notes[0].details)["former leader"] == "b"


A1, B2, C3 = (Server("a", at(1)), Server("b", at(2)), Server("c", at(3), Suffrage.NONVOTER))


@pytest.mark.parametrize(
    ("members", "notes"),
    [
        ((A1, B2, Server("c", at(3))), [("promoted", "c", "")]),
        ((A1, Server("b", at(2), Suffrage.NONVOTER), C3), [("demoted", "b", "")]),
        ((A1, B2), [("removed", "c", "")]),
        ((A1, C3), [("removed", "b", "removed by an operator")]),
        ((A1, B2, Server("c", at(9), Suffrage.NONVOTER)), [("moved", "c", f"it was at {at(3)}")]),
        ((A1, B2, Server("d", at(4))), [("removed", "c", ""), ("added", "d", "")]),
    ],
)
def test_members_are_told_by_what_has_changed(
    members: tuple[Server, ...], notes: list[tuple[str, str, str]]
) -> None:
    """Also if the leader of that change could not tell it any more."""
    known = leading(
        committed=Configuration(members), committed_index=9, records=records(A, B, C, removed="b")
    )
    assert [each[1:] for each in brief(known)] == notes
    assert told(known).told.configuration_index == 9
    after = msgspec.structs.replace(known, told=told(known).told)
    assert tell(after) == ()


def test_members_of_a_configuration_that_is_not_committed_are_not_told() -> None:
    """Another leader may never have it."""
    grown = Configuration((*MEMBERS.servers, Server("d", at(4))))
    assert tell(leading(configuration=grown, configuration_index=9)) == ()


def test_a_whole_new_cluster_is_told_within_bounds() -> None:
    many = Configuration(tuple(Server(f"s{n:03}", at(n)) for n in range(200)))
    action = told(leading(committed=many, committed_index=9))
    assert len(action.notes) == NOTES_MAX
    assert action.notes[-1].what == "140 more changes"
    assert len(action.told.members) == 200


def test_it_is_the_first_thing_that_a_leader_does_and_once_in_a_round() -> None:
    known = leading(elected=Elected(8, Cause.GONE, "c"))
    assert isinstance(decide(known, Memory()).actions[0], Tell)
    steps = leader_round(lambda: known, Memory())
    found = [next(steps)]
    try:
        while True:
            found.append(steps.send(Outcome("no majority")))
    except StopIteration:
        pass
    assert sum(isinstance(each, Tell) for each in found) == 1
