"""Who is alive, suspect, dead or gone, message by message (docs/wire.md#merging)."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from gossip_solo import (
    VERSIONS,
    Solo,
    address,
    alive,
    changes,
    of,
    refusals,
    reply,
    sent,
)
from hypothesis import given
from hypothesis import strategies as st

from quorate.gossip import LAN
from quorate.gossip.effects import ConflictFound
from quorate.gossip.events import SetTags
from quorate.gossip.messages import (
    Alive,
    Dead,
    Message,
    PushPull,
    PushPullNode,
    Suspect,
    Versions,
)

# What is known before, what is heard, what is known afterwards, and whether it is passed on.
RULES: list[tuple[list[Message], Message, tuple[str, int], bool]] = [
    ([], alive("p2"), ("ALIVE", 1), True),
    ([alive("p2", 3)], alive("p2", 3), ("ALIVE", 3), False),
    ([alive("p2", 3)], alive("p2", 2), ("ALIVE", 3), False),
    ([alive("p2", 3)], alive("p2", 4), ("ALIVE", 4), True),
    ([], Suspect(1, "p2", "p3"), ("", 0), False),
    ([], Dead(1, "p2", "p3"), ("", 0), False),
    ([alive("p2", 3)], Suspect(2, "p2", "p3"), ("ALIVE", 3), False),
    ([alive("p2", 3)], Suspect(3, "p2", "p3"), ("SUSPECT", 3), True),
    ([alive("p2", 3)], Suspect(5, "p2", "p3"), ("SUSPECT", 5), True),
    ([alive("p2", 3), Suspect(3, "p2", "p3")], alive("p2", 3), ("SUSPECT", 3), False),
    ([alive("p2", 3), Suspect(3, "p2", "p3")], alive("p2", 4), ("ALIVE", 4), True),
    ([alive("p2", 3)], Dead(2, "p2", "p3"), ("ALIVE", 3), False),
    ([alive("p2", 3)], Dead(3, "p2", "p3"), ("DEAD", 3), True),
    ([alive("p2", 3)], Dead(3, "p2", "p2"), ("LEFT", 3), True),
    ([alive("p2", 3), Dead(3, "p2", "p3")], Suspect(4, "p2", "p3"), ("DEAD", 3), False),
    ([alive("p2", 3), Dead(3, "p2", "p3")], Dead(4, "p2", "p2"), ("DEAD", 3), False),
    ([alive("p2", 3), Dead(3, "p2", "p3")], alive("p2", 3), ("DEAD", 3), False),
    ([alive("p2", 3), Dead(3, "p2", "p3")], alive("p2", 4), ("ALIVE", 4), True),
    ([alive("p2", 3), Dead(3, "p2", "p2")], alive("p2", 4), ("ALIVE", 4), True),
]


@pytest.mark.parametrize(("before", "heard", "after", "passed_on"), RULES)
def test_rule(
    before: list[Message], heard: Message, after: tuple[str, int], passed_on: bool
) -> None:
    solo = Solo()
    for message in before:
        solo.tell(message)
    solo.quiet()
    solo.tell(heard)
    incarnation = solo.incarnation("p2") if solo.state("p2") else 0
    assert (solo.state("p2"), incarnation) == after
    assert (heard in solo.news()) is passed_on


@pytest.mark.parametrize(
    ("heard", "incarnation"),
    [
        (Suspect(1, "p1", "p2"), 2),
        (Suspect(7, "p1", "p2"), 8),
        (Dead(1, "p1", "p2"), 2),
        (Dead(4, "p1", "p1"), 5),
        (alive("p1", 5), 6),
        (alive("p1", 1, meta=b"\x80"), 2),
        (alive("p1", 1), 1),
    ],
)
def test_a_member_refutes_what_is_wrong_about_itself(heard: Message, incarnation: int) -> None:
    solo = Solo(1)
    solo.tell(heard)
    assert solo.node.incarnation == incarnation
    assert solo.state("p1") == "ALIVE"
    assert solo.node.awareness.score == (1 if incarnation > 1 else 0)
    told = [m.incarnation for m in solo.news() if isinstance(m, Alive) and m.node == "p1"]
    assert told == ([incarnation] if incarnation > 1 else [])


@pytest.mark.parametrize("about", ["p1", "p2"])
@pytest.mark.parametrize("kind", [Suspect, Dead])
def test_stale_accusations_are_answered_with_what_is_newer(about: str, kind: Any) -> None:
    solo = Solo(1)
    solo.tell(Suspect(2, "p1", "p9"), alive("p2", 3))
    solo.quiet()
    heard = sent(solo.tell(kind(1, about, "p9"), source=9), to=9)
    assert [(m.node, m.incarnation) for m in heard if isinstance(m, Alive)] == [(about, 3)]


def test_stale_accusations_are_left_alone_while_the_refutation_spreads() -> None:
    solo = Solo(1)
    solo.tell(alive("p2", 3))
    assert not sent(solo.tell(Suspect(1, "p2", "p9"), source=9), to=9)


@pytest.mark.parametrize(
    "versions", [Versions(protocol_min=0), Versions(protocol_min=4, protocol_max=3)]
)
def test_members_with_impossible_versions_are_refused(versions: Versions) -> None:
    solo = Solo()
    assert refusals(solo.tell(alive("p2", versions=versions))) == ["BAD_VERSIONS"]
    assert not solo.state("p2")


def test_members_without_versions_are_taken() -> None:
    solo = Solo()
    solo.tell(alive("p2", versions=None))
    assert solo.state("p2") == "ALIVE"


def test_who_is_not_admitted_is_refused() -> None:
    solo = Solo(admit=lambda name, _where, tags: "" if tags.get("role") else f"{name}: no server")
    assert refusals(solo.tell(alive("p2", meta=b"\x80"))) == ["NOT_ADMITTED"]
    assert not solo.state("p2")
    solo.tell(alive("p2"))
    # Nor may a member turn into one that is not wanted.
    assert refusals(solo.tell(alive("p2", 2, meta=b"\x80"))) == ["NOT_ADMITTED"]
    assert solo.incarnation("p2") == 1


def test_tags_that_are_none_are_refused() -> None:
    solo = Solo()
    assert refusals(solo.tell(alive("p2", meta=b"\xff\xff"))) == ["BAD_BYTES"]
    assert not solo.state("p2")


def test_new_tags_are_reported_and_spread() -> None:
    solo = Solo(1)
    meta = solo.node.codec.encode_tags({"role": "server", "v": "2"})
    assert changes(solo.tell(alive("p2", 2, meta=meta))) == [("p2", "UPDATED")]
    solo.quiet()
    solo.step(SetTags({"role": "other"}))
    told = [m for m in solo.news() if isinstance(m, Alive)]
    assert [(m.incarnation, m.node) for m in told] == [(2, "p1")]
    with pytest.raises(ValueError, match="512"):
        solo.step(SetTags({"big": "x" * 600}))
    assert solo.node.incarnation == 2


def test_the_table_has_a_limit() -> None:
    solo = Solo(3, msgspec.structs.replace(LAN, members_max=4))
    assert refusals(solo.tell(alive("p9"))) == ["TABLE_FULL"]
    assert len(solo.node.table) == 4


# -- another address under a known name -----------------------------------------------------------


def test_a_living_name_keeps_its_address() -> None:
    solo = Solo(2)
    effects = solo.tell(alive("p2", 5, address=address(7)))
    assert refusals(effects) == ["NAME_CONFLICT"]
    assert of(effects, ConflictFound) == [ConflictFound("p2", address(2), address(7), ours=False)]
    assert solo.node.table.records["p2"].address == address(2)
    assert not solo.tell(alive("p2", 5, address=address(7))), "reported once"


@pytest.mark.parametrize(
    ("reclaim", "gone", "waited", "taken"),
    [
        (0.0, Dead(1, "p2", "p3"), 0.0, True),
        (5.0, Dead(1, "p2", "p3"), 4.0, False),
        (5.0, Dead(1, "p2", "p3"), 6.0, True),
        (None, Dead(1, "p2", "p3"), 20.0, False),
        (None, Dead(1, "p2", "p2"), 0.0, True),
    ],
)
def test_a_name_that_is_gone_moves(
    reclaim: float | None, gone: Dead, waited: float, taken: bool
) -> None:
    solo = Solo(2, msgspec.structs.replace(LAN, dead_node_reclaim_s=reclaim))
    solo.tell(gone)
    solo.wait(waited)
    solo.tell(alive("p2", 2, address=address(7)))
    expected = address(7 if taken else 2)
    assert solo.node.table.records["p2"].address == expected


def test_a_name_moves_only_with_a_higher_incarnation() -> None:
    solo = Solo(2)
    solo.tell(Dead(4, "p2", "p3"))
    effects = solo.tell(alive("p2", 1, address=address(7)))
    assert solo.state("p2") == "DEAD"
    assert sent(effects, to=7)[0] == Dead(4, "p2", "p1"), "it is told what it must outdo"


def test_who_came_back_elsewhere_is_told_when_its_old_place_is_dead() -> None:
    solo = Solo(3)
    solo.tell(alive("p2", 1, address=address(7)))
    effects = solo.tell(Dead(1, "p2", "p3"))
    assert sent(effects, to=7)[0] == Dead(1, "p2", "p1")


@pytest.mark.parametrize("dead_first", [False, True])
def test_a_claim_waits_until_the_name_is_free(dead_first: bool) -> None:
    solo = Solo(3, msgspec.structs.replace(LAN, dead_node_reclaim_s=5.0))
    claim, death = alive("p2", 1, address=address(7)), Dead(1, "p2", "p3")
    for message in (death, claim) if dead_first else (claim, death):
        solo.tell(message)
    assert not sent(solo.wait(4.9), to=7)
    assert sent(solo.wait(0.2), to=7)[0] == Dead(1, "p2", "p1")


# -- full exchanges --------------------------------------------------------------------------------


def known(name: str, state: int, incarnation: int = 1, **more: Any) -> PushPullNode:
    where = address(int(name.strip("p")))
    return PushPullNode(name, where, b"\x80", incarnation, state, more.get("versions", VERSIONS))


def exchange(*nodes: PushPullNode, join: bool = False) -> PushPull:
    return PushPull(join, nodes)


@pytest.mark.parametrize(
    ("state", "after"), [(0, "ALIVE"), (1, "SUSPECT"), (2, "SUSPECT"), (3, "LEFT")]
)
def test_what_a_peer_holds_for_dead_is_only_suspected(state: int, after: str) -> None:
    solo = Solo(3)
    solo.pull(exchange(known("p2", state)))
    assert solo.state("p2") == after


@pytest.mark.parametrize("state", [1, 2, 3])
def test_what_a_peer_says_of_us_is_refuted(state: int) -> None:
    solo = Solo(2)
    solo.pull(exchange(known("p1", state, 6)))
    assert solo.node.incarnation == 7


def test_the_answer_is_given_before_the_merge_and_with_the_same_flag() -> None:
    solo = Solo(1)
    answer = reply(solo.pull(exchange(known("p5", 0), join=True)))
    assert answer.join is True
    assert [node.name for node in answer.nodes] == ["p1", "p2"]
    assert solo.state("p5") == "ALIVE"


@pytest.mark.parametrize(
    "versions",
    [None, Versions(protocol_min=3), Versions(protocol_current=6), Versions(delegate_current=9)],
)
def test_a_merge_with_versions_that_do_not_fit_is_refused_as_a_whole(
    versions: Versions | None,
) -> None:
    solo = Solo(1)
    bad = PushPullNode("p6", address(6), b"\x80", 1, 0, versions)
    effects = solo.pull(exchange(known("p5", 0), bad))
    assert refusals(effects) == ["MERGE_VERSIONS"]
    assert not solo.state("p5")


def test_a_join_with_a_member_that_is_not_wanted_is_refused_as_a_whole() -> None:
    solo = Solo(1, admit=lambda name, _where, _tags: "no server" if name == "p6" else "")
    nodes = (known("p5", 0), known("p6", 0))
    assert refusals(solo.pull(exchange(*nodes, join=True))) == ["NOT_ADMITTED"]
    assert not solo.state("p5")
    solo.pull(exchange(*nodes))
    assert (solo.state("p5"), solo.state("p6")) == ("ALIVE", "")


# -- what was forgotten ----------------------------------------------------------------------------


def forgetting() -> Solo:
    """A member that knew p2 with incarnation 4, saw it die, and has forgotten it."""
    solo = Solo(2)
    solo.tell(alive("p2", 4), Dead(4, "p2", "p3"))
    record = solo.node.table.records["p2"]
    solo.node.table.forget(record)
    solo.quiet()
    return solo


def test_old_news_does_not_bring_a_forgotten_name_back() -> None:
    solo = forgetting()
    assert refusals(solo.tell(alive("p2", 4))) == ["FORGOTTEN"]
    assert not solo.state("p2")
    # Whoever still believes it shall hear that it is over.
    assert Dead(4, "p2", "p1") in solo.news()
    solo.tell(alive("p2", 5))
    assert solo.state("p2") == "ALIVE"


def test_a_forgotten_member_that_joins_hears_what_it_must_outdo() -> None:
    solo = forgetting()
    answer = reply(solo.pull(exchange(known("p2", 0), join=True)))
    assert [(n.name, n.incarnation, n.state) for n in answer.nodes if n.name == "p2"] == [
        ("p2", 4, 2)
    ]
    assert "p2" not in [n.name for n in reply(solo.pull(exchange())).nodes]


def test_what_is_forgotten_has_a_limit() -> None:
    solo = Solo(8, msgspec.structs.replace(LAN, forgotten_max=3))
    for number in range(2, 9):
        solo.tell(Dead(1, f"p{number}", "p9"))
        solo.node.table.forget(solo.node.table.records[f"p{number}"])
    assert [bool(solo.node.table.forgotten.get(f"p{n}")) for n in range(2, 9)] == [
        *[False] * 4,
        *[True] * 3,
    ]


# -- properties ------------------------------------------------------------------------------------

MESSAGES = st.one_of(
    st.builds(alive, st.sampled_from(["p1", "p2", "p3"]), st.integers(0, 5)),
    st.builds(
        lambda n, i, a: alive(n, i, address=address(a)),
        *(st.sampled_from(["p1", "p2", "p3"]), st.integers(0, 5), st.integers(2, 4)),
    ),
    st.builds(Suspect, st.integers(0, 5), st.sampled_from(["p1", "p2", "p3"]), st.just("p4")),
    st.builds(
        Dead,
        *(st.integers(0, 5), st.sampled_from(["p1", "p2", "p3"]), st.sampled_from(["p2", "p4"])),
    ),
)


@given(st.lists(st.tuples(MESSAGES, st.floats(0, 3)), max_size=30))
def test_an_incarnation_never_falls(heard: list[tuple[Message, float]]) -> None:
    solo = Solo(1)
    highest: dict[str, int] = {}
    for message, pause in heard:
        solo.tell(message)
        solo.wait(pause)
        for name, record in solo.node.table.records.items():
            assert record.incarnation >= highest.get(name, 0)
            highest[name] = record.incarnation
        assert solo.node.incarnation == solo.incarnation("p1")
        assert solo.state("p1") == "ALIVE"


@given(st.data())
def test_the_order_of_news_does_not_matter(data: st.DataObject) -> None:
    """One life: it is alive with rising incarnations, is suspected, and may die at the end."""
    top = data.draw(st.integers(1, 3))
    news: list[Message] = [alive("p2", n) for n in range(1, top + 1)]
    news += [Suspect(n, "p2", "p3") for n in data.draw(st.sets(st.integers(1, top)))]
    if data.draw(st.booleans()):
        news.append(Dead(top, "p2", "p3"))
    views = set()
    for order in (news, data.draw(st.permutations(news)), data.draw(st.permutations(news))):
        solo = Solo(3)
        for message in order:
            solo.tell(message)
        views.add((solo.state("p2"), solo.incarnation("p2")))
    assert len(views) == 1


def test_all_orders_of_a_short_life() -> None:
    news: list[Message] = [alive("p2", 2), Suspect(1, "p2", "p3"), Suspect(2, "p2", "p3")]
    for order in itertools.permutations(news):
        solo = Solo(2)
        for message in order:
            solo.tell(message)
        assert (solo.state("p2"), solo.incarnation("p2")) == ("SUSPECT", 2)
