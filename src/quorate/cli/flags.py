"""Options as Go's flag package reads them (docs/cli.md#rules).

One dash or two are the same; a value is given as `-name=value` or `-name value`; a boolean takes
one only with `=`; options end at the first argument that is not one, or at `--`. A command
declares its flags as data, and the same data makes its help text and the shell completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
HELP = frozenset({"h", "help"})
UINT64_MAX = 2**64 - 1
INT64_MAX = 2**63 - 1

Value = str | bool | int | float | list[str]


class Flag(NamedTuple):
    """One option.

    `kind` is bool, string, int, uint, float, duration or list (a string, may be repeated).
    `value` is the placeholder in help, `choices` what completion offers. A `hidden` one is
    understood but neither shown nor offered. What a secret is better given by is `instead`.
    """

    name: str
    kind: str
    help: str
    value: str = "value"
    choices: tuple[str, ...] = ()
    hidden: bool = False
    instead: str = ""


class UsageError(Exception):
    """The command line is wrong; the text is the one Go programs print."""


class HelpRequested(Exception):
    """One of -h, -help, --help was given."""


class Parsed(NamedTuple):
    """The arguments given: `values` has only the options that were named, `args` the rest."""

    values: dict[str, Value]
    args: list[str]

    def text(self, name: str, default: str = "") -> str:
        """The value of a string or duration option."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: int = 0) -> int:
        """The value of an int or uint option."""
        value = self.values.get(name, default)
        return value if isinstance(value, int) else default

    def on(self, name: str) -> bool:
        """True if a bool option was given and is true."""
        return self.values.get(name) is True

    def many(self, name: str) -> list[str]:
        """The values of a list option, in the order given."""
        value = self.values.get(name, [])
        return value if isinstance(value, list) else []


def parse(flags: Sequence[Flag], argv: Sequence[str]) -> Parsed:
    """Split `argv` into options and arguments. Raises UsageError, HelpRequested."""
    known = {flag.name: flag for flag in flags}
    values: dict[str, Value] = {}
    rest = list(argv)
    while rest and len(rest[0]) > 1 and rest[0][0] == "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, has_value, text = _split(word)
        flag = known.get(name)
        if flag is None:
            if name in HELP:
                raise HelpRequested
            raise UsageError(f"flag provided but not defined: -{name}")
        if flag.kind == "bool":
            text = text if has_value else "true"
        elif not has_value:
            if not rest:
                raise UsageError(f"flag needs an argument: -{name}")
            text = rest.pop(0)
        _store(values, flag, text)
    return Parsed(values, rest)


def _split(word: str) -> tuple[str, bool, str]:
    body = word[2:] if word.startswith("--") else word[1:]
    if not body or body[0] in "-=":
        raise UsageError(f"bad flag syntax: {word}")
    name, equals, text = body.partition("=")
    return name, bool(equals), text


def _store(values: dict[str, Value], flag: Flag, text: str) -> None:
    try:
        value = convert(flag.kind, text)
    except ValueError as error:
        raise UsageError(f'invalid value "{text}" for flag -{flag.name}: {error}') from None
    if flag.kind == "list":
        before = values.setdefault(flag.name, [])
        assert isinstance(before, list)
        before.append(text)
    else:
        values[flag.name] = value


def convert(kind: str, text: str) -> Value:
    """The value of a text by kind. Raises ValueError with the text of Go's strconv and time."""
    match kind:
        case "bool":
            return _boolean(text)
        case "int" | "uint":
            return _integer(kind, text)
        case "float":
            return _float(text)
        case "duration":
            from quorate.cli.text.duration import check_duration

            check_duration(text)
    return text


def _boolean(text: str) -> bool:
    if text not in TRUE | FALSE:
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in TRUE


def _integer(kind: str, text: str) -> int:
    function = "ParseUint" if kind == "uint" else "ParseInt"
    digits = text[1:] if kind == "int" and text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
    value = int(text)
    if not (value <= UINT64_MAX if kind == "uint" else abs(value) <= INT64_MAX):
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None
