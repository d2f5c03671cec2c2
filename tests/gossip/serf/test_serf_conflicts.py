"""Two members of one name, and one that only seems to be two.

See docs/wire.md#merging and #events-and-queries.
"""

from __future__ import annotations

import msgspec
import pytest
from gossip_pool import Pool
from gossip_solo import CODEC, Solo, address, alive, of, sent, serf_news

from quorate.gossip import LAN
from quorate.gossip.effects import ConflictFound, NameLost
from quorate.gossip.messages import (
    Ack,
    ConflictMember,
    ConflictResponse,
    Ping,
    Query,
    QueryResponse,
    Versions,
)


def contested(solo: Solo) -> Query | None:
    """Another address for our own name answers; the question to the pool, if there is one."""
    effects = solo.tell(alive("p1", 3, address=address(7)))
    ping = sent(effects, to=7)[0]
    assert isinstance(ping, Ping)
    assert ping.source is None, "the answer must show from where it comes"
    solo.tell(Ack(ping.sequence), source=7)
    questions = [m for m in serf_news(solo) if isinstance(m, Query)]
    return questions[0] if questions else None


def vote(solo: Solo, query: Query, voter: int, where: int | None) -> None:
    member = None
    if where is not None:
        member = ConflictMember("p1", address(where), {}, 1, Versions())
    payload = CODEC.encode_serf(ConflictResponse(member))
    solo.tell_serf(QueryResponse(query.ltime, query.id, f"p{voter}", 0, payload))


@pytest.mark.parametrize(
    ("votes", "lost"),
    [
        ([1, 1, 7], None),
        ([7, 7, 1], (1, 3)),
        ([7], (0, 1)),
        ([1], None),
        ([7, 1], (1, 2)),
        ([], None),
        ([None, None], None),
    ],
)
def test_the_pool_decides_who_keeps_the_name(
    votes: list[int | None], lost: tuple[int, int] | None
) -> None:
    solo = Solo(3)
    query = contested(solo)
    assert query is not None
    assert (query.name, query.payload) == ("_serf_conflict", b"p1")
    for voter, where in enumerate(votes, start=2):
        vote(solo, query, voter, where)
    effects = solo.wait(10.0)
    expected = [] if lost is None else [NameLost("p1", address(7), *lost)]
    assert of(effects, NameLost) == expected
    assert solo.node.rival is None, "the next conflict is looked into again"


def test_answers_that_are_none_do_not_count() -> None:
    solo = Solo(3)
    query = contested(solo)
    assert query is not None
    solo.tell_serf(QueryResponse(query.ltime, query.id, "p2", 0, b"\xff"))
    solo.tell_serf(QueryResponse(query.ltime, query.id, "p3", 0, None))
    assert not of(solo.wait(10.0), NameLost)


def test_a_ghost_is_no_rival() -> None:
    """After a restart elsewhere the pool tells of our old address; nobody answers there."""
    solo = Solo(3)
    solo.tell(alive("p1", 3, address=address(7)))
    solo.wait(1.0)
    assert not [m for m in serf_news(solo) if isinstance(m, Query)]
    assert not of(solo.effects, ConflictFound)
    assert solo.node.rival is None


def test_without_resolution_a_conflict_is_only_reported() -> None:
    solo = Solo(3, msgspec.structs.replace(LAN, resolve_conflicts=False))
    assert contested(solo) is None
    assert of(solo.effects, ConflictFound) == [
        ConflictFound("p1", address(1), address(7), ours=True)
    ]


def test_one_question_at_a_time() -> None:
    solo = Solo(3)
    assert contested(solo) is not None
    assert not sent(solo.tell(alive("p1", 3, address=address(8))))


def test_the_second_of_a_name_is_told_to_go() -> None:
    pool = Pool(6)
    pool.grow(5)
    pool.run(3.0)
    first = pool.hosts["s2"]
    second = pool.start_twin("s2", "10.7.7.7")
    pool.join("s2", "s0")
    pool.run(15.0)
    assert [lost.holder for lost in second.of(NameLost)] == [first.address]
    assert not first.of(NameLost)
    # And the pool knows the first all along.
    for name in ("s0", "s1", "s3", "s4"):
        assert pool.hosts[name].node.roster.members["s2"].address == first.address
