"""Options as Go's flag package reads them (docs/cli.md#rules)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.flags import Flag, HelpRequested, Parsed, UsageError, Value, parse
from quorate.cli.text.duration import check_duration

FLAGS = (
    Flag("stale", "bool", ""),
    Flag("name", "string", ""),
    Flag("count", "uint", ""),
    Flag("delta", "int", ""),
    Flag("factor", "float", ""),
    Flag("wait", "duration", ""),
    Flag("join", "list", ""),
)


@pytest.mark.parametrize(
    ("argv", "values", "args"),
    [
        ([], {}, []),
        (["-stale"], {"stale": True}, []),
        (["--stale"], {"stale": True}, []),
        (["-stale=false"], {"stale": False}, []),
        (["--stale=T"], {"stale": True}, []),
        (["-stale", "false"], {"stale": True}, ["false"]),
        (["-name=x"], {"name": "x"}, []),
        (["-name", "x"], {"name": "x"}, []),
        (["--name", "-x"], {"name": "-x"}, []),
        (["-name="], {"name": ""}, []),
        (["-name=a=b"], {"name": "a=b"}, []),
        (["-name=a", "-name=b"], {"name": "b"}, []),
        (["arg", "-stale"], {}, ["arg", "-stale"]),
        (["-stale", "--", "-name"], {"stale": True}, ["-name"]),
        (["-"], {}, ["-"]),
        ([""], {}, [""]),
        (["-count=7", "-delta=-7"], {"count": 7, "delta": -7}, []),
        (["-factor=1.5"], {"factor": 1.5}, []),
        (["-wait=1h2m3.5s"], {"wait": "1h2m3.5s"}, []),
        (["-join=a", "-join", "b"], {"join": ["a", "b"]}, []),
    ],
)
def test_accepted(argv: list[str], values: dict[str, Value], args: list[str]) -> None:
    assert parse(FLAGS, argv) == Parsed(values, args)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["-nope"], "flag provided but not defined: -nope"),
        (["--nope=1"], "flag provided but not defined: -nope"),
        (["-name"], "flag needs an argument: -name"),
        (["---name"], "bad flag syntax: ---name"),
        (["-=x"], "bad flag syntax: -=x"),
        (
            ["-stale=maybe"],
            (
                'invalid value "maybe" for flag -stale: strconv.ParseBool: parsing "maybe": '
                "invalid syntax"
            ),
        ),
        (
            ["-count=-1"],
            'invalid value "-1" for flag -count: strconv.ParseUint: parsing "-1": invalid syntax',
        ),
        (
            ["-count=²"],
            'invalid value "²" for flag -count: strconv.ParseUint: parsing "²": invalid syntax',
        ),
        (
            ["-count=99999999999999999999"],
            (
                'invalid value "99999999999999999999" for flag -count: strconv.ParseUint: parsing '
                '"99999999999999999999": value out of range'
            ),
        ),
        (
            ["-factor=x"],
            'invalid value "x" for flag -factor: strconv.ParseFloat: parsing "x": invalid syntax',
        ),
        (["-wait=x"], 'invalid value "x" for flag -wait: time: invalid duration "x"'),
        (["-wait=5"], 'invalid value "5" for flag -wait: time: missing unit in duration "5"'),
    ],
)
def test_refused(argv: list[str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(FLAGS, argv)
    assert str(caught.value) == text


@pytest.mark.parametrize("word", ["-h", "--h", "-help", "--help"])
def test_help_is_asked_for(word: str) -> None:
    with pytest.raises(HelpRequested):
        parse(FLAGS, ["-stale", word])


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_words_parse_or_are_refused(argv: list[str]) -> None:
    try:
        parsed = parse(FLAGS, argv)
    except (UsageError, HelpRequested):
        return
    assert parsed.args == argv[len(argv) - len(parsed.args) :]


@given(st.text(max_size=20))
def test_the_value_after_the_equal_sign_is_taken_whole(value: str) -> None:
    assert parse(FLAGS, [f"-name={value}"]).text("name") == value


@pytest.mark.parametrize("text", ["0", "+0", "-1ns", "300ms", "1h2m3.5s", ".5s", "1.s", "2µs"])
def test_durations(text: str) -> None:
    check_duration(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("s", 'time: invalid duration "s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("1s2", 'time: missing unit in duration "1s2"'),
    ],
)
def test_no_durations(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        check_duration(text)
    assert str(caught.value) == reason
