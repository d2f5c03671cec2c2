"""The level rises only while every member is known to know it."""

from __future__ import annotations

import pytest

from quorate.autopilot.level import LevelPlan, MemberLevel, plan_level


def member(name: str, level: int | None, *, keyed: bool = True) -> MemberLevel:
    return MemberLevel(server_id=name, name=name, level=level, keyed=keyed)


def plan(in_force: int, known: int, *levels: int | None) -> LevelPlan:
    return plan_level(in_force, known, [member(f"s{n}", level) for n, level in enumerate(levels)])


@pytest.mark.parametrize(
    ("in_force", "known", "levels", "raise_to"),
    [
        (0, 1, (1, 1, 1), 1),
        (0, 1, (1,), 1),
        (0, 1, (1, 1, 0), 0),
        (0, 1, (1, 1, None), 0),
        (1, 1, (1, 1, 1), 0),
        (0, 2, (2, 1, 2), 1),
        (1, 2, (2, 1, 2), 0),
        (0, 1, (1, 2, 2), 1),
        (2, 1, (1, 1, 1), 0),
        (1, 3, (3, 3, 3), 3),
    ],
)
def test_it_rises_to_what_all_members_know(
    in_force: int, known: int, levels: tuple[int | None, ...], raise_to: int
) -> None:
    assert plan(in_force, known, *levels).raise_to == raise_to


def test_who_holds_it_back_is_named_with_the_reason() -> None:
    found = plan_level(
        0, 1, [member("a", 1), member("b", 0), member("c", None), member("d", 1, keyed=False)]
    )
    assert found.raise_to == 0
    assert [(one.name, one.why) for one in found.waiting] == [
        ("b", "it knows level 0 only: upgrade it"),
        ("c", "it has not been heard lately, so its version is not known"),
        ("d", "its key is not on record yet"),
    ]


def test_nothing_is_waited_for_at_the_highest_level() -> None:
    assert plan(1, 1, 1, None).waiting == ()
