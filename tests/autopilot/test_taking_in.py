"""Who is taken in, where, and which member has to make room; an address that does not move."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from autopilot_facts import (
    INDEX,
    MEMBERS,
    NOW,
    A,
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
    AddNonvoter,
    Ask,
    ChangeAction,
    MoveAddress,
    RecordServer,
    Remove,
    Why,
    change_of,
)
from quorate.autopilot.deciders.taking_in import Verdict, take_in
from quorate.autopilot.facts import Claim, Heard
from quorate.autopilot.memory import FRESH_S
from quorate.raft.values.configuration import Configuration, Server, Suffrage, next_configuration

D = claim("d", 4)
STRANGER = claim("t", 9, cluster_id="theirs")


def configuration_after(action: Any) -> Configuration:
    change: ChangeAction = action
    return next_configuration(MEMBERS, change_of(change))


@pytest.mark.parametrize("member", [A, B, C], ids=["the leader", "a voter", "a non-voter"])
def test_a_member_at_its_place_needs_nothing(member: Claim) -> None:
    assert take_in(facts(), member, {}) == Verdict()


def test_a_member_with_another_name_is_put_on_record() -> None:
    renamed = msgspec.structs.replace(B, name="other.global")
    action = RecordServer(id="b", name="other.global", address=B.address)
    assert take_in(facts(), renamed, {}) == Verdict(action=action)


def test_a_newcomer_is_asked_first_and_then_has_no_vote() -> None:
    assert take_in(facts(), D, {}).action == Ask((D.address,))
    action = AddNonvoter(server=D, prev_index=INDEX)
    assert take_in(facts(), D, heard(D)) == Verdict(action=action)
    assert configuration_after(action).get("d") == Server("d", D.address, Suffrage.NONVOTER)


def test_what_was_heard_long_ago_is_asked_again() -> None:
    old = {D.address: Heard(NOW - FRESH_S - 0.1, D)}
    assert take_in(facts(), D, old).action == Ask((D.address,))


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (heard(silent=(4,)), "nothing answers at 10.0.0.4:4647"),
        (heard(claim("e", 4)), "another server (e.global, e) answers at 10.0.0.4:4647"),
    ],
)
def test_a_newcomer_that_is_not_where_it_says_stays_out(there: Any, why: str) -> None:
    assert take_in(facts(), D, there) == Verdict(why=why)


@pytest.mark.parametrize(
    ("joiner", "pool", "why"),
    [
        (msgspec.structs.replace(D, leaving=True), (), "it is leaving"),
        (D, (STRANGER,), "servers of another cluster in this pool (t.global)"),
        (STRANGER, (), "belongs to cluster theirs, not ours"),
        (msgspec.structs.replace(D, region="west"), (), "of region 'west'"),
        (msgspec.structs.replace(D, address="nonsense"), (), "is not host:port"),
        (msgspec.structs.replace(D, id="d\x1b[2J"), (), "the ID 'd\\x1b[2J' is not"),
        (msgspec.structs.replace(D, name="x" * 300), (), "the name "),
    ],
)
def test_who_is_not_taken_in(joiner: Claim, pool: tuple[Claim, ...], why: str) -> None:
    verdict = take_in(facts(*pool), joiner, heard(joiner))
    assert why in verdict.why
    assert verdict.action is None


def test_a_server_that_does_not_count_here_stays_out() -> None:
    """As one that was left out of a recovery, and is heard by gossip alone."""
    left_out = claim("d", 4, cluster_id="ours", objection="d was left out of a recovery")
    verdict = take_in(facts(D), D, {D.address: Heard(NOW, left_out)})
    assert (verdict.action, verdict.why) == (None, "d was left out of a recovery")


def test_one_that_was_removed_comes_back_when_it_asks_to_rejoin() -> None:
    known = facts(records=records(D, removed="d"))
    assert take_in(known, D, heard(D)).removed_at == 9
    action = AddNonvoter(server=D, prev_index=INDEX)
    assert take_in(known, D, heard(D), forgive=True).action == action


# -- members that move -----------------------------------------------------------------------


def test_a_member_moves_when_nothing_answers_at_its_old_place() -> None:
    moved = claim("b", 8, cluster_id="ours")
    assert take_in(facts(), moved, {}).action == Ask((at(8), at(2)))
    verdict = take_in(facts(), moved, heard(moved, silent=(2,)))
    assert verdict.action == MoveAddress(server=moved, was=at(2), prev_index=INDEX)
    after = configuration_after(verdict.action)
    assert after.get("b") == Server("b", at(8))  # a voter still


def test_an_address_does_not_move_while_the_old_one_answers_as_that_id() -> None:
    copy = claim("b", 8, name="copy.global", cluster_id="ours")
    verdict = take_in(facts(), copy, heard(copy, B))
    assert verdict.action is None
    for named in ("b.global at 10.0.0.2:4647", "copy.global at 10.0.0.8:4647", "ID b"):
        assert named in verdict.why


@pytest.mark.parametrize("run", [b"", b"one start"])
def test_one_process_that_answers_at_both_places_moves(run: bytes) -> None:
    """It listens on all interfaces, and only what it calls its address has changed."""
    moved = claim("b", 8, cluster_id="ours", run=run)
    answers = {at(8): Heard(NOW, moved), at(2): Heard(NOW, moved)}
    assert isinstance(take_in(facts(), moved, answers).action, MoveAddress)


def test_two_processes_that_tell_the_same_are_told_apart_by_their_runs() -> None:
    here, there = (claim("b", 8, run=run) for run in (b"one", b"two"))
    answers = {at(8): Heard(NOW, here), at(2): Heard(NOW, there)}
    assert "two servers run with the ID b" in take_in(facts(), here, answers).why


def test_the_leader_moves_itself_unless_a_copy_of_it_is_at_the_old_place() -> None:
    moved = claim("a", 8, cluster_id="ours")
    known = facts(me=moved)
    assert take_in(known, moved, {}).action == Ask((at(1),))
    assert isinstance(take_in(known, moved, heard(silent=(1,))).action, MoveAddress)
    assert "two servers run with the ID a" in take_in(known, moved, heard(A)).why


def test_servers_that_have_traded_places_keep_their_votes() -> None:
    a, b, c = claim("a", 3), claim("b", 1), claim("c", 2)
    known = facts(b, c, me=a, pool=(a, b, c))
    answers = heard(b, c)
    verdict = take_in(known, a, answers)
    result = configuration_after(verdict.action)
    assert {s.id: s.address for s in result.servers} == {"a": at(3), "b": at(1), "c": at(2)}
    assert [(s.id, s.suffrage) for s in result.servers] == [
        (s.id, s.suffrage) for s in MEMBERS.servers
    ]
    # The same for another one of them; each has to have answered at its new place.
    assert isinstance(take_in(known, b, heard(b, c, a)).action, MoveAddress)
    assert take_in(known, a, heard(b)).action == Ask((at(2),))


@pytest.mark.parametrize(
    ("pool", "answers", "why"),
    [
        ((), (), r"10.0.0.3:4647 is still the address of c"),
        ((C,), (), r"10.0.0.3:4647 is still the address of c"),
        ((claim("c", 2),), (), "another server (b.global, b) answers at 10.0.0.2"),
    ],
)
def test_a_member_takes_no_place_of_which_nobody_knows_who_has_it(
    pool: tuple[Claim, ...], answers: tuple[Claim, ...], why: str
) -> None:
    moved = claim("b", 3, name="b.global", cluster_id="ours")
    there = {at(3): Heard(NOW, moved), at(2): Heard(NOW, moved)}
    assert why in take_in(facts(moved, *pool), moved, {**there, **heard(*answers)}).why


def test_advice_names_no_member_that_answers() -> None:
    moved = claim("b", 3, cluster_id="ours")
    there = {at(3): Heard(NOW, moved), at(2): Heard(NOW)}
    assert "remove-peer -peer-id=c" in take_in(facts(moved), moved, there).why
    live = with_contact(facts(moved), "c")
    assert "remove-peer" not in take_in(live, moved, there).why


def test_a_newcomer_replaces_a_member_that_lives_nowhere() -> None:
    fresh = claim("d", 2)
    verdict = take_in(facts(fresh), fresh, heard(fresh))
    assert verdict.action == Remove(
        id="b", name="b.global", address=at(2), why=Why.REPLACED, prev_index=INDEX
    )


def test_a_newcomer_does_not_replace_one_that_answers_nor_the_leader() -> None:
    fresh, bold = claim("d", 2), claim("d", 1)
    live = with_contact(facts(fresh), "b")
    assert "answered a moment ago" in take_in(live, fresh, heard(fresh)).why
    assert "the leader's own address" in take_in(facts(bold), bold, heard(bold)).why


def test_a_newcomer_makes_a_member_that_has_moved_move() -> None:
    fresh, moved = claim("d", 2), claim("b", 8)
    verdict = take_in(facts(moved), fresh, heard(fresh, moved))
    result = configuration_after(verdict.action)
    assert result.by_address(at(2)) == Server("d", at(2), Suffrage.NONVOTER)
    assert result.get("b") == Server("b", at(8))
