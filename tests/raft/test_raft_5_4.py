"""Safety (Raft 5.4)."""

from __future__ import annotations

import pytest
from one_node import OneNode, sends, vote

from quorate.raft import events as ev
from quorate.raft.values.messages import AppendEntriesResponse


@pytest.mark.parametrize(
    ("log", "granted"),
    [((3, 2), True), ((4, 2), True), ((2, 3), True), ((2, 2), False), ((9, 1), False)],
)
def test_5_4_1_vote_only_for_a_log_that_is_not_behind(log: tuple[int, int], granted: bool) -> None:
    a = OneNode(1, 1, 2, term=4)
    assert a.ask(vote("b", 5, log)).granted is granted
    assert a.node.term == 5


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
