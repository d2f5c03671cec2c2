"""Query strings and Go's notation of numbers and quotes."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quorate.api.codec.go_text import parse_bool, parse_uint64, quote
from quorate.api.codec.params import Query, decode_path, parse_query, split_pairs
from quorate.api.request_error import RequestError


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", {}),
        (b"a", {"a": ("",)}),
        (b"a=", {"a": ("",)}),
        (b"=a", {"": ("a",)}),
        (b"a=1&a=2", {"a": ("1", "2")}),
        (b"a=1&&b=2", {"a": ("1",), "b": ("2",)}),
        (b"a=b=c", {"a": ("b=c",)}),
        (b"a=x+y%2Bz", {"a": ("x y+z",)}),
        (b"a%20b=c", {"a b": ("c",)}),
        (b"address=127.0.0.1%3A4647", {"address": ("127.0.0.1:4647",)}),
        (b"a=%zz&b=1", {"b": ("1",)}),
        (b"a=%2&b=1", {"b": ("1",)}),
        (b"a=1;b=2&c=3", {"c": ("3",)}),
        (b"a=%ff", {"a": ("\N{REPLACEMENT CHARACTER}",)}),
        (b"a=\xc3\xa9", {"a": ("\N{LATIN SMALL LETTER E WITH ACUTE}",)}),
        (b"A=1&a=2", {"A": ("1",), "a": ("2",)}),
    ],
)
def test_pairs_are_those_of_net_url(raw: bytes, expected: dict[str, tuple[str, ...]]) -> None:
    assert split_pairs(raw) == expected


@pytest.mark.parametrize(
    ("raw", "pretty"),
    [(b"pretty", True), (b"pretty=false", True), (b"pretty=0", False), (b"prett=1", False)],
)
def test_pretty(raw: bytes, pretty: bool) -> None:
    assert parse_query(raw, read=True).pretty is pretty
    assert parse_query(raw, read=False).pretty is pretty


@pytest.mark.parametrize(
    ("raw", "index", "wait_s"),
    [
        (b"index=7", 7, 300),
        (b"index=", 0, 300),
        (b"index=18446744073709551615", 2**64 - 1, 300),
        (b"index=007", 7, 300),
        (b"index=" + b"0" * 6000 + b"7", 7, 300),
        (b"wait=5s", 0, 5),
        (b"wait=", 0, 300),
        (b"wait=0s", 0, 300),
        (b"wait=-5s", 0, 300),
        (b"wait=300000ms", 0, 300),
        (b"wait=10h", 0, 300),
        (b"wait=1m30.5s&index=3", 3, 90.5),
        (b"index=1&index=x", 1, 300),
    ],
)
def test_index_and_wait(raw: bytes, index: int, wait_s: float) -> None:
    query = parse_query(raw, read=True)
    assert (query.index, query.wait_s) == (index, wait_s)


STALE = "Expect `true` or `false` for `stale` query string parameter"
PER_PAGE = "Expect a number for `per_page` query string parameter"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"index=abc", "Invalid index"),
        (b"index=-1", "Invalid index"),
        (b"index=+1", "Invalid index"),
        (b"index=1_0", "Invalid index"),
        (b"index=1.0", "Invalid index"),
        (b"index=%D9%A3", "Invalid index"),
        (b"index=18446744073709551616", "Invalid index"),
        (b"index=" + b"9" * 5000, "Invalid index"),
        (b"wait=5", "Invalid wait time"),
        (b"wait=abc", "Invalid wait time"),
        (b"wait=1e3s", "Invalid wait time"),
        (b"stale=maybe", STALE),
        (b"per_page=x", PER_PAGE),
        (b"per_page=99999999999", PER_PAGE),
        (b"per_page=--1", PER_PAGE),
        # The order: consistency, pagination, wait, index.
        (b"index=x&wait=x&per_page=x&stale=x", STALE),
        (b"index=x&wait=x&per_page=x", PER_PAGE),
        (b"index=x&wait=x", "Invalid wait time"),
    ],
)
def test_bad_values_of_reads_are_refused(raw: bytes, text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_query(raw, read=True)
    assert (refused.value.text, refused.value.status) == (text, 400)
    assert isinstance(parse_query(raw, read=False), Query)


@pytest.mark.parametrize(
    "raw",
    [b"per_page=", b"per_page=10", b"per_page=-1", b"per_page=%2B5", b"per_page=" + b"0" * 6000],
)
def test_good_page_sizes(raw: bytes) -> None:
    assert parse_query(raw, read=True).index == 0


def read_or_none(raw: bytes) -> Query | None:
    """The query of a read, or None if it was refused. Any other exception is a failure."""
    try:
        return parse_query(raw, read=True)
    except RequestError:
        return None


@given(st.binary(max_size=200))
@example(b"wait=\xff")
@example(b"index=%F0%9D%9F%97")
def test_no_query_does_worse_than_a_refusal(raw: bytes) -> None:
    assert isinstance(parse_query(raw, read=False), Query)
    query = read_or_none(raw)
    assert query is None or 0 < query.wait_s <= 300


@given(st.text(max_size=20))
def test_what_is_sent_encoded_is_read(text: str) -> None:
    raw = f"x={quote_plus(text)}".encode()
    assert split_pairs(raw) == {"x": (text,)}


@pytest.mark.parametrize(
    ("raw", "path"),
    [(b"/a%2Fb", "/a/b"), (b"/a+b", "/a+b"), (b"/a%zz", None), (b"/%", None), (b"/%41", "/A")],
)
def test_paths(raw: bytes, path: str | None) -> None:
    assert decode_path(raw) == path


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("True", True), ("f", False), ("", None), ("on", None)]
)
def test_booleans(text: str, value: bool | None) -> None:
    assert parse_bool(text) is value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", 'strconv.ParseUint: parsing "abc": invalid syntax'),
        ("", 'strconv.ParseUint: parsing "": invalid syntax'),
        ('a"\n', 'strconv.ParseUint: parsing "a\\"\\n": invalid syntax'),
        ("18446744073709551616", "value out of range"),
        ("1" * 6000, "value out of range"),
    ],
)
def test_numbers_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^strconv\.ParseUint") as error:
        parse_uint64(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('"\\', r'"\"\\"'),
        ("\x00\x1f\x7f", r'"\x00\x1f\x7f"'),
        ("\N{LINE SEPARATOR}", r'"\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("\N{SNOWMAN}", '"\N{SNOWMAN}"'),
    ],
)
def test_quotes(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@given(st.text())
def test_a_quote_is_always_one_line(text: str) -> None:
    assert quote(text)[1:-1].isprintable()
