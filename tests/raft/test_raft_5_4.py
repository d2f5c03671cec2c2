"""Safety (Raft 5.4)."""

from __future__ import annotations

import pytest
from one_node import OneNode, append, sends, vote

from quorate.raft import events as ev
from quorate.raft.effects import Reply, still_true
from quorate.raft.values.messages import AppendEntriesResponse


@pytest.mark.parametrize(
    ("log", "granted"),
    [((3, 2), True), ((4, 2), True), ((2, 3), True), ((2, 2), False), ((9, 1), False)],
)
def test_5_4_1_vote_only_for_a_log_that_is_not_behind(log: tuple[int, int], granted: bool) -> None:
    a = OneNode(1, 1, 2, term=4)
    assert a.ask(vote("b", 5, log)).granted is granted
    assert a.node.term == 5


def without_room(commit: int = 0) -> OneNode:
    """Node a, whose log has four entries in memory, of which two are durable and fit."""
    a = OneNode(1, 1, term=1)
    a.held = []
    assert a.ask(append(2, (2, 1), 2, 2, commit=commit)) is None
    a.step(ev.StorageState(full=True))
    a.now = a.node.promised_until + 0.1
    return a


@pytest.mark.parametrize(
    ("log", "granted"),
    [((2, 1), True), ((4, 2), True), ((3, 1), True), ((1, 1), False)],
)
def test_5_4_1_entries_that_wait_for_room_keep_no_other_from_leading(
    log: tuple[int, int], granted: bool
) -> None:
    a = without_room()
    a.ask(vote("c", 3, log))
    voted = (a.node.hard_state.voted_for, a.node.hard_state.vote_term) == ("c", 3)
    assert voted is granted
    # Those that c lacks may not be acknowledged any more.
    assert a.node.acknowledges_from == (3 if granted and log != (4, 2) else 0)


def test_5_4_1_what_is_committed_counts_although_it_waits_for_room() -> None:
    a = without_room(commit=3)
    a.ask(vote("c", 3, (2, 1)))
    assert a.node.hard_state.vote_term < 3
    a.ask(vote("c", 4, (3, 2)))
    assert a.node.hard_state.vote_term == 4


def test_5_4_1_with_room_all_that_is_in_the_log_counts() -> None:
    a = without_room()
    a.step(ev.StorageState(full=False))
    a.ask(vote("c", 3, (2, 1)))
    assert a.node.hard_state.vote_term < 3


def test_an_acknowledgement_that_came_too_late_says_no() -> None:
    answers = [
        AppendEntriesResponse(term=term, success=True, promise_ms=500, last_log=2)
        for term in (2, 3)
    ]
    then = tuple(Reply(number, answer) for number, answer in enumerate(answers))
    assert still_true(then, 0) is then
    late, kept = still_true(then, 3)
    assert (late.response.success, late.response.promise_ms, late.response.term) == (False, 0, 2)
    assert kept is then[1]


def test_5_4_2_leader_commits_only_entries_of_its_own_term() -> None:
    a = OneNode(1, 2, term=3)
    (to_b, _) = a.lead()
    refused = AppendEntriesResponse(term=4, last_log=1, success=False)
    (again,) = sends(a.step(ev.ResponseReceived("b", to_b.rpc_id, refused)))
    assert [e.term for e in again.request.entries] == [2]
    # b stores it now: a majority has it, and that is not enough.
    (last,) = sends(a.accept(again))
    assert a.node.commit_index == 0
    assert [e.term for e in last.request.entries] == [4]
    a.accept(last)
    assert a.node.commit_index == 3


def test_5_4_2_leader_counts_itself_only_when_durable() -> None:
    a = OneNode(1)
    (to_b, _) = a.lead()
    a.accept(to_b)
    assert a.node.commit_index == 2
    a.held = []
    (to_b,) = sends(a.step(ev.Propose((("h", b"x"),))))
    a.accept(to_b)
    assert a.node.commit_index == 2
    a.release()
    assert a.node.commit_index == 3
