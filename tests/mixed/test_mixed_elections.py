"""Elections across makes: each wins by the other's vote, and pre-vote keeps terms in place."""

from __future__ import annotations

from pathlib import Path

import pytest
from lengths import cases
from mixed_cluster import Cluster, Peer, cluster, until

pytestmark = pytest.mark.process

MAKES = ["g", "q"]
# A line of each make's log that says: it asked for pre-votes.
_PRE_VOTE = {"g": "pre-voting for self", "q": "pre-candidate"}


def cast_of(mixed: Cluster, first: str) -> tuple[Peer, Peer, Peer]:
    """Three servers, of which the first two are of different makes, the first of `first`."""
    one = next(peer for peer in mixed.founders if peer.make == first)
    two = next(peer for peer in mixed.founders if peer.make != first)
    return one, two, mixed.others(one, two)[0]


@pytest.mark.parametrize("release", cases(["v1.7"], ["v1.8"]))
@pytest.mark.parametrize("makes", cases(["ggq"], ["gqq"]))
@pytest.mark.parametrize("winner", MAKES)
def test_elected_by_the_vote_of_the_other_make(
    tmp_path: Path, winner: str, makes: str, release: str
) -> None:
    with cluster(tmp_path, makes, release=release) as mixed:
        elect, voter, third = cast_of(mixed, winner)
        voter.kill()
        mixed.write(10, "missed")
        elect.kill()
        third.kill()
        mixed.start(elect.name, voter.name)
        # Only the one with the longer log can win, and only with the other's vote.
        assert mixed.leader() is elect
        mixed.write(10, "after")
        mixed.start(third.name)


def disturbed(mixed: Cluster, leader: Peer, away: Peer) -> bool:
    """Whether the term changed while `away` heard the leader no more, but all others."""
    term = leader.state()["term"]
    before = away.count_in_log(_PRE_VOTE[away.make])
    mixed.wires.part([away.name], [leader.name])
    until(lambda: away.count_in_log(_PRE_VOTE[away.make]) >= before + 3, "it asks for pre-votes")
    mixed.mend()
    mixed.level()
    return {peer.state()["term"] for peer in mixed.founders} != {term}


@pytest.mark.parametrize(
    ("leading", "cut_off"), cases([("g", "q"), ("q", "g")], [("g", "g"), ("q", "q")])
)
def test_pre_vote_leaves_term_and_leader_alone(tmp_path: Path, leading: str, cut_off: str) -> None:
    with cluster(tmp_path, "ggqq") as mixed:
        # A busy machine may unseat a leader for reasons of its own. Without pre-vote, or if
        # anyone granted it, no attempt would succeed.
        for _ in range(4):
            leader = mixed.lead(leading)
            away = next(p for p in mixed.others(leader) if p.make == cut_off)
            if not disturbed(mixed, leader, away):
                return
        pytest.fail("each time a server that was cut off from the leader made an election")


@pytest.mark.parametrize("leading", cases(["q"], ["g"]))
def test_a_peer_without_pre_vote_comes_back_with_a_higher_term(
    tmp_path: Path, leading: str
) -> None:
    with cluster(tmp_path, "ggqq", no_pre_vote=True) as mixed:
        leader = mixed.lead(leading)
        away = next(p for p in mixed.others(leader) if p.make == "g")
        term = leader.state()["term"]
        mixed.isolate(away.name)
        mixed.write(5, "meanwhile")
        until(lambda: away.state()["term"] > term + 1, "its term rises")
        assert mixed.leader() is leader
        mixed.mend()
        mixed.level()
        assert mixed.leader().state()["term"] > term + 1


@pytest.mark.parametrize("dying", cases(["g"], ["q"]))
def test_a_dead_leader_is_replaced(tmp_path: Path, dying: str) -> None:
    with cluster(tmp_path, "ggqq") as mixed:
        for number in range(2):
            leader = mixed.lead(dying)
            mixed.write(5, f"before{number}")
            leader.kill()
            mixed.write(5, f"after{number}")
            mixed.start(leader.name)
            mixed.leader()
