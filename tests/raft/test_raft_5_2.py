"""Leader election (Raft 5.1, 5.2)."""

from __future__ import annotations

import msgspec
import pytest
from one_node import OneNode, append, sends, vote

from quorate.raft import Configuration, Role, Server
from quorate.raft import events as ev
from quorate.raft.values import messages as msg
from quorate.raft.values.bounds import NUMBER_MAX


def test_one_vote_per_term() -> None:
    a = OneNode(1)
    assert a.ask(vote("b", 2, (1, 1))).granted
    assert not a.ask(vote("c", 2, (1, 1))).granted
    assert a.ask(vote("b", 2, (1, 1))).granted


def test_vote_of_an_older_term_is_refused_with_the_newer_one() -> None:
    answer = OneNode(1, term=5).ask(vote("b", 4, (9, 4)))
    assert (answer.granted, answer.term) == (False, 5)


def test_a_vote_does_not_leave_before_it_is_durable() -> None:
    a = OneNode(1)
    a.held = []
    assert a.ask(vote("b", 2, (1, 1))) is None
    assert [e.response.granted for e in a.release()] == [True]
    assert a.disk.hard_state.voted_for == "b"


def test_candidate_counts_its_own_vote_only_when_it_is_durable() -> None:
    a = OneNode(1)
    a.now = a.node.election_deadline
    asked = sends(a.step(ev.Tick()), msg.PreVoteRequest)
    a.held = []
    granted = msg.PreVoteResponse(term=1, granted=True)
    out = a.step(ev.ResponseReceived("b", asked[0].rpc_id, granted))
    assert a.node.role is Role.CANDIDATE
    assert sends(out) == []
    assert len(sends(a.release(), msg.RequestVoteRequest)) == 2


def test_candidate_follows_a_leader_of_its_own_term() -> None:
    a = OneNode(1)
    a.now = a.node.election_deadline
    asked = sends(a.step(ev.Tick()), msg.PreVoteRequest)
    a.step(ev.ResponseReceived("b", asked[0].rpc_id, msg.PreVoteResponse(term=1, granted=True)))
    assert a.node.role is Role.CANDIDATE
    assert a.ask(append(2, (1, 1), 2)).success
    assert (a.node.role, a.node.leader_id, a.node.term) == (Role.FOLLOWER, "b", 2)


@pytest.mark.parametrize(
    "response",
    [
        msg.AppendEntriesResponse(term=9, last_log=0, success=False),
        msg.RequestVoteResponse(term=9, granted=False),
        msg.InstallSnapshotResponse(term=9, success=False),
    ],
    ids=lambda response: type(response).__name__,
)
def test_leader_steps_down_for_a_higher_term(response: msg.AnyResponse) -> None:
    a = OneNode(1)
    a.lead()
    a.step(ev.ResponseReceived("c", 0, response))
    assert (a.node.role, a.node.term, a.disk.hard_state.term) == (Role.FOLLOWER, 9, 9)


def test_leader_announces_itself_at_once_and_to_all() -> None:
    a = OneNode(1)
    a.now = a.node.election_deadline
    asked = sends(a.step(ev.Tick()), msg.PreVoteRequest)
    out = a.step(
        ev.ResponseReceived("b", asked[0].rpc_id, msg.PreVoteResponse(term=1, granted=True))
    )
    (first, *_) = sends(out, msg.RequestVoteRequest)
    yes = msg.RequestVoteResponse(term=2, granted=True)
    beats = [
        s
        for s in sends(a.step(ev.ResponseReceived("b", first.rpc_id, yes)))
        if s.request.is_heartbeat
    ]
    assert [beat.to.id for beat in beats] == ["b", "c"]


def test_a_peer_that_does_not_know_pre_vote_counts_as_in_favour() -> None:
    a = OneNode(1)
    a.now = a.node.election_deadline
    asked = sends(a.step(ev.Tick()), msg.PreVoteRequest)
    roles: list[Role] = []
    for peer, why in ("b", "EOF"), ("c", "unexpected command"):
        a.step(ev.RequestFailed(peer, asked[len(roles)].rpc_id, why))
        roles.append(a.node.role)
    assert roles == [Role.PRE_CANDIDATE, Role.CANDIDATE]


def test_servers_that_saw_their_leader_go_campaign_early() -> None:
    a = OneNode(1)
    a.ask(append(2, (1, 1), 2))
    heard = a.now
    a.step(ev.LeaderUnreachable("b"))
    assert heard + 0.5 <= a.node.deadline() <= heard + 0.65


@pytest.mark.parametrize(
    ("sender", "last", "role"),
    [
        ("b", (1, 1), Role.PRE_CANDIDATE),
        ("b", (2, 2), Role.FOLLOWER),
        ("b", (1, 0), Role.PRE_CANDIDATE),
        ("A", (1, 1), Role.FOLLOWER),
    ],
    ids=["equal logs, a later id", "a newer log", "an older log", "equal logs, an earlier id"],
)
def test_of_two_that_begin_to_campaign_together_one_gives_way(
    sender: str, last: tuple[int, int], role: Role
) -> None:
    """So they do not pass the pre-vote by each other's word and then split the votes."""
    a = OneNode(1, members=Configuration(tuple(Server(n, f"{n}:1") for n in "Aabc")))
    a.now = a.node.election_deadline
    a.step(ev.Tick())
    ask = msg.PreVoteRequest(
        term=2,
        sender_id=sender,
        sender_address=f"{sender}:1",
        last_log_term=last[0],
        last_log_index=last[1],
    )
    a.ask(ask)
    assert a.node.role is role


def test_a_vote_is_given_to_a_server_not_to_an_address() -> None:
    """All servers may change their addresses at once: two of them may even change places."""
    a = OneNode(1)
    first = vote("b", 2, (1, 1))
    assert a.ask(first).granted
    moved = msgspec.structs.replace(
        first, sender_address="10.0.0.9:4647", candidate="10.0.0.9:4647"
    )
    assert a.ask(moved).granted
    taken_over = msgspec.structs.replace(first, sender_id="c")
    assert not a.ask(taken_over).granted


def test_an_address_says_nothing_beside_two_ids() -> None:
    # c is now where the leader b was: that does not make it b, to which a has promised its vote.
    a = OneNode(1)
    a.ask(append(1, (1, 1)))
    request = msgspec.structs.replace(vote("c", 2, (1, 1)), sender_address="b:1", candidate="b:1")
    assert not a.ask(request).granted
    assert a.ask(vote("b", 2, (1, 1))).granted


def test_no_term_is_sent_past_its_range() -> None:
    a = OneNode(1, term=NUMBER_MAX)
    a.now = 5.0
    assert not sends(a.step(ev.Tick()))
    assert a.node.term == NUMBER_MAX
