"""A leader knows why it was elected, and whom it follows in office."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from one_node import OneNode, append, sends

from quorate.raft import Configuration, Server
from quorate.raft import events as ev
from quorate.raft.pending import Cause, Elected
from quorate.raft.values import messages as msg


def hears(a: OneNode, term: int, prev: tuple[int, int]) -> None:
    """`b` leads in this term, and has `a` store one entry."""
    assert a.ask(append(term, prev, term)).success


def silence(a: OneNode) -> None:
    hears(a, 2, (1, 1))
    a.lead()


def connections_end(a: OneNode) -> None:
    hears(a, 2, (1, 1))
    a.step(ev.LeaderUnreachable("b"))
    a.lead()


def connections_of_an_earlier_leader_end(a: OneNode) -> None:
    hears(a, 2, (1, 1))
    a.step(ev.LeaderUnreachable("b"))
    hears(a, 3, (2, 2))
    a.lead()


def two_campaigns(a: OneNode) -> None:
    """The first pre-vote is not answered."""
    hears(a, 2, (1, 1))
    a.step(ev.LeaderUnreachable("b"))
    a.now = a.node.election_deadline
    a.step(ev.Tick())
    a.lead()


def handed_over(a: OneNode) -> None:
    hears(a, 2, (1, 1))
    last = msg.TimeoutNowRequest(term=2, sender_id="b", sender_address="b:1")
    asked = sends(a.step(ev.RequestReceived("r", last)), msg.RequestVoteRequest)
    granted = msg.RequestVoteResponse(term=3, granted=True)
    a.step(ev.ResponseReceived("b", asked[0].rpc_id, granted))


def after_a_restart(a: OneNode) -> None:
    """The log has entries of another leader; nobody was heard."""
    a.lead()


@pytest.mark.parametrize(
    ("log", "story", "elected"),
    [
        ((1,), after_a_restart, Elected(2, Cause.FOUNDED)),
        ((1, 2), after_a_restart, Elected(3, Cause.UNKNOWN)),
        ((1,), silence, Elected(3, Cause.SILENT, "b")),
        ((1,), connections_end, Elected(3, Cause.GONE, "b")),
        ((1,), connections_of_an_earlier_leader_end, Elected(4, Cause.SILENT, "b")),
        ((1,), two_campaigns, Elected(3, Cause.GONE, "b")),
        ((1,), handed_over, Elected(3, Cause.HANDED_OVER, "b")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_cause_of_an_election(
    log: tuple[int, ...], story: Callable[[OneNode], None], elected: Elected
) -> None:
    a = OneNode(*log)
    assert a.node.elected is None
    story(a)
    assert a.node.leader is not None
    assert a.node.elected == elected


def test_a_leader_that_is_elected_again_names_itself() -> None:
    a = OneNode(1)
    a.lead()
    higher = msg.AppendEntriesResponse(term=3, last_log=0, success=False)
    a.step(ev.ResponseReceived("b", 999, higher))
    assert a.node.leader is None
    a.lead()
    assert a.node.elected == Elected(4, Cause.SILENT, "a")


def test_a_single_server_founds_and_is_elected() -> None:
    a = OneNode(1, members=Configuration((Server("a", "a:1"),)))
    a.now = a.node.election_deadline
    a.step(ev.Tick())
    assert a.node.elected == Elected(2, Cause.FOUNDED)
