"""Filter expressions of lists: what they mean, and where they are wrong."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.api.codec.filters import (
    COMPARISONS_MAX,
    DEPTH_MAX,
    LENGTH_MAX,
    TESTS_MAX,
    BadFilter,
    Get,
    OutOfSteps,
    parsed,
)


class Row(NamedTuple):
    path: str
    at: int


ROW = Row("app/db", 12)
FIELDS: dict[str, Get] = {"Path": lambda row: row.path, "Index": lambda row: row.at}


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ('Path == "app/db"', True),
        ("Path == app/db", True),
        ("Path == `app/db`", True),
        ('Path != "app/db"', False),
        ("Index == 12", True),
        ('Index == "12"', True),
        ("Index != 12", False),
        ("Path contains db", True),
        ("Path not contains db", False),
        ('"db" in Path', True),
        ('"db" not in Path', False),
        ('Path matches "^app/[a-d]+$"', True),
        ('Path not matches "^app"', False),
        ("Path is empty", False),
        ("Path is not empty", True),
        ("not Path == x", True),
        ("Path == x or Index == 12", True),
        ("Path == x or Index == 12 and Path == y", False),
        ("(Path == app/db or Path == y) and not Index == 13", True),
        ("not (Path == app/db and Index == 12)", False),
        ('Path == "a\\"b"', False),
        ("\tPath\n==\r app/db ", True),
    ],
)
def test_what_an_expression_means(expression: str, fits: bool) -> None:
    assert parsed(expression, FIELDS).fits(ROW) is fits


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("Nope ==", "at character 8: the expression ends where a value is expected"),
        ('Nope == "x"', "at character 1: 'Nope' is no field: there are Path, Index"),
        ('"Path" == x', "at character 1: 'Path' is no field: there are Path, Index"),
        ("", "at character 1: the expression ends where a field or a value is expected"),
        ("Path", "at character 5: the expression ends where ==, !="),
        ("Path = x", "at character 6: '=' is not expected"),
        ("Path not == x", "at character 10: '==' is found where ==, !=, contains"),
        ("Path == x y", "at character 11: 'y' is found where and, or, or the end is expected"),
        ("(Path == x", "at character 11: the expression ends where a closing"),
        ("Path == x)", "at character 10: ')' is found where and, or"),
        ('Path == "x', "at character 9: '\"' is not expected"),
        ('Path == "\\q"', "at character 9: the text has an unknown escape '\\\\q'"),
        ("Path is full", "at character 9: 'full' is found where empty is expected"),
        ('Path matches "("', "at character 14: "),
        ("x in Nope", "at character 6: 'Nope' is no field"),
        ("Path == x and", "at character 14: the expression ends"),
        ("x" * (LENGTH_MAX + 1), f"it has more than {LENGTH_MAX} characters"),
        ("(" * (DEPTH_MAX + 2), f"it is nested more than {DEPTH_MAX} deep"),
        ("not " * (DEPTH_MAX + 2) + "Path == x", f"nested more than {DEPTH_MAX} deep"),
        (
            " or ".join(["Path == x"] * (COMPARISONS_MAX + 1)),
            f"it has more than {COMPARISONS_MAX} comparisons",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(expression: str, why: str) -> None:
    with pytest.raises(BadFilter) as refused:
        parsed(expression, FIELDS).fits(ROW)
    assert why in str(refused.value)


@given(st.text(' ()=!`"\\notPahIindexcs12', max_size=60))
def test_no_text_is_more_than_refused(expression: str) -> None:
    try:
        chosen = parsed(expression, FIELDS)
    except BadFilter:
        return
    assert chosen.fits(ROW) in {True, False}


def test_a_hostile_regular_expression_ends() -> None:
    chosen = parsed('Path matches "(a*)*(a*)*(a*)*b"', FIELDS)
    rows = [Row("a" * 120, 1)] * 1000
    with pytest.raises(OutOfSteps, match="too many steps"):
        list(map(chosen.fits, rows))


def test_the_rows_of_a_request_are_fewer_the_more_comparisons_there_are() -> None:
    one = parsed("Path == a", FIELDS).rows_max
    many = parsed(" or ".join(["Path == a"] * COMPARISONS_MAX), FIELDS).rows_max
    assert (one, many) == (TESTS_MAX, TESTS_MAX // COMPARISONS_MAX)
