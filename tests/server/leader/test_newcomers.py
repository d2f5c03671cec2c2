"""What a leader looks at in a pool with hundreds of names: all of them, but in turns."""

from __future__ import annotations

from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.server.cluster.directory import Known
from quorate.server.cluster.identity import Identity
from quorate.server.leader.facts import NEWCOMERS_MAX, TURN_S, in_turn


def known(name: str, region: str = "global") -> Known:
    identity = Identity(
        id=name,
        name=name,
        region=region,
        datacenter="dc1",
        address=f"10.0.0.1:{int(name.strip('abcm')) + 1}",
        serf_port=4648,
        version="1",
    )
    return Known(identity, 0.0)


MEMBERS = Configuration(
    tuple(Server(f"m{number}", f"10.0.1.{number}:1", Suffrage.VOTER) for number in range(3))
)
POOL = [
    *(known(f"a{number}") for number in range(300)),
    *(known(f"b{number}", "elsewhere") for number in range(10)),
    *(known(f"m{number}") for number in range(3)),
]


def ids(at: float, pool: list[Known] = POOL) -> list[str]:
    return [each.identity.id for each in in_turn(pool, MEMBERS, "global", at)]


def test_members_and_other_regions_always_count() -> None:
    for turn in range(20):
        seen = ids(turn * TURN_S)
        assert len(seen) == NEWCOMERS_MAX + 10 + 3
        assert {"m0", "m1", "m2", "b0", "b9"} <= set(seen)
        assert seen == [k.identity.id for k in POOL if k.identity.id in set(seen)], "the order"


def test_each_newcomer_has_its_turn() -> None:
    turns = [set(ids(100.0 + turn * TURN_S)) for turn in range(300 // NEWCOMERS_MAX + 1)]
    assert len(set.union(*turns)) == len(POOL)
    assert ids(100.0) == ids(100.0 + TURN_S / 4), "it lasts for some rounds of the leader"


def test_a_pool_of_no_more_is_looked_at_as_a_whole() -> None:
    few = POOL[300 - NEWCOMERS_MAX :]
    assert ids(0.0, few) == [each.identity.id for each in few]
