"""Whose state is right: by the digests of all voters, whoever judges."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.server.integrity.verdict import Held, judge


def members(text: str) -> list[Held]:
    """`a=x b=y c=? n:d=x`: who holds what; ? is not known, n: has no vote."""
    found = []
    for word in text.split():
        name, _, digest = word.partition("=")
        found.append(
            Held(
                id=name.removeprefix("n:"),
                node=name,
                voter=not name.startswith("n:"),
                digest=digest.replace("?", ""),
            )
        )
    return found


@pytest.mark.parametrize(
    ("held", "right", "wrong", "disagree"),
    [
        pytest.param("a=x", "x", "", False, id="one server is its own majority"),
        pytest.param("a=x b=x c=x", "x", "", False, id="all agree"),
        pytest.param("a=x b=y c=x", "x", "b", False, id="one differs"),
        pytest.param("a=y b=x c=x", "x", "a", False, id="whoever judges may be wrong itself"),
        pytest.param("a=x b=y c=?", "", "", True, id="two of three differ: nobody can tell"),
        pytest.param("a=x b=x c=?", "x", "", False, id="two of three are a majority"),
        pytest.param("a=x b=? c=?", "", "", False, id="one of three says nothing"),
        pytest.param("a=? b=? c=?", "", "", False, id="nobody answers"),
        pytest.param("a=x b=y c=z", "", "", True, id="three states of three"),
        pytest.param("a=x b=y", "", "", True, id="two voters cannot outvote each other"),
        pytest.param("a=x b=x n:c=y", "x", "c", False, id="a non-voter can be wrong"),
        pytest.param("a=x b=y n:c=x n:d=x", "", "", True, id="a non-voter decides nothing"),
        pytest.param("a=x b=? n:c=y", "", "", True, id="a non-voter differs, without a majority"),
        pytest.param("a=x b=x c=x d=y e=z", "x", "de", False, id="two of five, each in its way"),
        pytest.param("a=x b=x c=y d=y e=?", "", "", True, id="two against two, one is away"),
        pytest.param("a=x b=x c=? d=? e=?", "", "", False, id="two of five are no majority"),
        pytest.param("a=x b=x c=y d=?", "", "", True, id="two of four are no majority"),
        pytest.param("a=x b=x c=x d=y", "x", "d", False, id="three of four are"),
    ],
)
def test_verdict(held: str, right: str, wrong: str, *, disagree: bool) -> None:
    verdict = judge(9, "s1.global", members(held))
    assert (verdict.index, verdict.by) == (9, "s1.global")
    assert (verdict.right, verdict.disagree) == (right, disagree)
    assert "".join(odd.id for odd in verdict.wrong) == wrong
    assert {odd.id for odd in verdict.unknown} == {m.id for m in members(held) if not m.digest}


@given(
    st.lists(
        st.builds(
            lambda digest, voter: Held(id="i", node="n", voter=voter, digest=digest),
            st.sampled_from(["", "x", "y", "z"]),
            st.booleans(),
        ),
        max_size=9,
    ),
    st.randoms(),
)
def test_no_order_of_the_answers_and_no_later_answer_turns_a_verdict_round(
    held: list[Held], rng: Random
) -> None:
    verdict = judge(1, "s", held)
    shuffled = held.copy()
    rng.shuffle(shuffled)
    again = judge(1, "s", shuffled)
    assert (again.right, again.disagree) == (verdict.right, verdict.disagree)
    assert not (verdict.right and verdict.disagree)
    filled = [m if m.digest else Held(id="i", node="n", voter=m.voter, digest="z") for m in held]
    if verdict.right:
        assert judge(1, "s", filled).right == verdict.right
    assert all(odd.digest not in {"", verdict.right} for odd in verdict.wrong)
