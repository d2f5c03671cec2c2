"""The mark of a removal that was not made is taken back, and that of one under way is left."""

from __future__ import annotations

import pytest
from autopilot_facts import NOW, A, B, C, at, claim, facts, records

from quorate.autopilot.actions import RecordServer
from quorate.autopilot.marks import take_back_marks
from quorate.autopilot.memory import Memory
from quorate.autopilot.rounds import decide

GONE = claim("n", 7)


@pytest.mark.parametrize(
    ("marked", "removing", "expected"),
    [
        pytest.param("", (), "", id="nothing was removed"),
        pytest.param("b", (), "b", id="a member, and nobody removes it"),
        pytest.param("b", ("b",), "", id="its removal is under way"),
        pytest.param("b", ("c",), "b", id="the removal of another is under way"),
        pytest.param("c", (), "c", id="a non-voter"),
        pytest.param("n", (), "", id="it is out"),
    ],
)
def test_marks(marked: str, removing: tuple[str, ...], expected: str) -> None:
    table = records(A, B, C, GONE, removed=marked)
    known = facts(B, records=table, removing=frozenset(removing))
    found = [(action.id, action.name) for action in take_back_marks(known)]
    assert found == ([(expected, f"{expected}.global")] if expected else [])


def test_a_round_takes_it_back_though_the_member_is_dead() -> None:
    known = facts(records=records(A, B, C, removed="b"), now=NOW)
    first = decide(known, Memory()).actions[0]
    assert isinstance(first, RecordServer)
    assert (first.id, first.address) == ("b", at(2))
    assert "its removal was not made" in first.why
