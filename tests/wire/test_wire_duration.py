"""Durations: the rules of Go's time package (expected values written down from its documentation
and its behaviour)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.wire.go.duration import (
    HOUR,
    MICROSECOND,
    MILLISECOND,
    MINUTE,
    SECOND,
    format_duration,
    parse_duration,
)

INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)
MICRO, MU = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("-0s", 0),
        ("5s", 5 * SECOND),
        ("+5s", 5 * SECOND),
        ("-5s", -5 * SECOND),
        ("1478s", 1478 * SECOND),
        ("5.0s", 5 * SECOND),
        ("5.s", 5 * SECOND),
        (".5s", SECOND // 2),
        ("1.004s", 1004 * MILLISECOND),
        ("1.00400s", 1004 * MILLISECOND),
        ("100.00100s", 100 * SECOND + MILLISECOND),
        ("10ns", 10),
        ("11us", 11 * MICROSECOND),
        (f"12{MICRO}s", 12 * MICROSECOND),
        (f"12{MU}s", 12 * MICROSECOND),
        ("13ms", 13 * MILLISECOND),
        ("1.5ms", 1500 * MICROSECOND),
        ("15m", 15 * MINUTE),
        ("16h", 16 * HOUR),
        ("3h30m", 3 * HOUR + 30 * MINUTE),
        ("10.5s4m", 4 * MINUTE + 10 * SECOND + SECOND // 2),
        ("-2m3.4s", -(2 * MINUTE + 3 * SECOND + 400 * MILLISECOND)),
        ("1h2m3.5s", HOUR + 2 * MINUTE + 3500 * MILLISECOND),
        ("1h2m3s4ms5us6ns", HOUR + 2 * MINUTE + 3 * SECOND + 4_005_006),
        ("39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14_425 * MILLISECOND),
        ("0.3333333333333333333h", 20 * MINUTE),
        ("0.100000000000000000000h", 6 * MINUTE),
        ("0.9223372036854775807h", 55 * MINUTE + 20_413_933_267),
        ("0.830103483285477580700h", 49 * MINUTE + 48_372_539_827),
        ("52763797000ns", 52_763_797_000),
        ("9007199254740993ns", 2**53 + 1),
        ("9223372036854775807ns", INT64_MAX),
        ("9223372036854775.807us", INT64_MAX),
        ("9223372036s854ms775us807ns", INT64_MAX),
        ("-9223372036854775808ns", INT64_MIN),
        ("-9223372036854775.808us", INT64_MIN),
        ("-2562047h47m16.854775808s", INT64_MIN),
        ("0" * 5000 + "1s", SECOND),
        ("1." + "0" * 5000 + "s", SECOND),
        ("1.5ns", 1),
    ],
)
def test_parse(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("3", 'time: missing unit in duration "3"'),
        ("5", 'time: missing unit in duration "5"'),
        ("00", 'time: missing unit in duration "00"'),
        ("1.5.5s", 'time: missing unit in duration "1.5.5s"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("-", 'time: invalid duration "-"'),
        ("+", 'time: invalid duration "+"'),
        ("s", 'time: invalid duration "s"'),
        (".", 'time: invalid duration "."'),
        ("-.", 'time: invalid duration "-."'),
        (".s", 'time: invalid duration ".s"'),
        ("+.s", 'time: invalid duration "+.s"'),
        ("--5s", 'time: invalid duration "--5s"'),
        (" 5s", 'time: invalid duration " 5s"'),
        ("\N{ARABIC-INDIC DIGIT ONE}s", r'time: invalid duration "\xd9\xa1s"'),
        ("5q", 'time: unknown unit "q" in duration "5q"'),
        ("5 s", 'time: unknown unit " s" in duration "5 s"'),
        ("5s ", 'time: unknown unit "s " in duration "5s "'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1S", 'time: unknown unit "S" in duration "1S"'),
        ("1.5e3s", 'time: unknown unit "e" in duration "1.5e3s"'),
        ('5"', r'time: unknown unit "\"" in duration "5\""'),
        ("5\\", r'time: unknown unit "\\" in duration "5\\"'),
        ("5\n", r'time: unknown unit "\x0a" in duration "5\x0a"'),
        (f"5{MICRO}", r'time: unknown unit "\xc2\xb5" in duration "5\xc2\xb5"'),
        ("5\ud800", r'time: unknown unit "\xed\xa0\x80" in duration "5\xed\xa0\x80"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("9223372036854775809", 'time: invalid duration "9223372036854775809"'),
        ("9223372036854776us", 'time: invalid duration "9223372036854776us"'),
        ("9223372036854775.808us", 'time: invalid duration "9223372036854775.808us"'),
        ("3000000h", 'time: invalid duration "3000000h"'),
        ("-9223372036854775809ns", 'time: invalid duration "-9223372036854775809ns"'),
        ("2562047h48m", 'time: invalid duration "2562047h48m"'),
    ],
)
def test_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        parse_duration(text)


def test_a_number_of_any_length_is_refused_without_ado() -> None:
    with pytest.raises(ValueError, match="time: invalid duration"):
        parse_duration("9" * 100_000 + "s")


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (-1, "-1ns"),
        (999, "999ns"),
        (1000, f"1{MICRO}s"),
        (1100, f"1.1{MICRO}s"),
        (1_000_000, "1ms"),
        (1_500_000, "1.5ms"),
        (2_200_000, "2.2ms"),
        (999_999_999, "999.999999ms"),
        (SECOND, "1s"),
        (3300 * MILLISECOND, "3.3s"),
        (MINUTE, "1m0s"),
        (4 * MINUTE + 5 * SECOND, "4m5s"),
        (4 * MINUTE + 5001 * MILLISECOND, "4m5.001s"),
        (HOUR, "1h0m0s"),
        (100 * HOUR, "100h0m0s"),
        (5 * HOUR + 6 * MINUTE + 7001 * MILLISECOND, "5h6m7.001s"),
        (8 * MINUTE + 1, "8m0.000000001s"),
        (INT64_MAX, "2562047h47m16.854775807s"),
        (INT64_MIN, "-2562047h47m16.854775808s"),
    ],
)
def test_format(ns: int, text: str) -> None:
    assert format_duration(ns) == text


@given(ns=st.integers(INT64_MIN, INT64_MAX))
def test_what_is_written_is_read(ns: int) -> None:
    # Exact, because no fraction that we write has more digits than a float64 holds.
    assert parse_duration(format_duration(ns)) == ns


@given(text=st.text(alphabet="0123456789.+-hmsnu\N{MICRO SIGN} x", max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    ns, refusal = 0, "time: "
    try:
        ns = parse_duration(text)
    except ValueError as error:
        refusal = str(error)
    assert refusal.startswith("time: ")
    assert INT64_MIN <= ns <= INT64_MAX
