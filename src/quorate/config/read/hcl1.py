"""Where HCL 1, the language of agents' files, allows more than the HCL 2 that our parser reads.

These things occur in real files:

* names in quotes, with any characters (`"X-Frame-Options" = "DENY"`, `"driver.raw_exec.enable"`,
  `"plugin" "raw_exec" {`), and bare names with dots;
* commas between the items of a block (`ports { http = 1, rpc = 2 }`);
* a value on the line after its `=`;
* `%{` in a string, which means nothing there.

Each is replaced here, character for character, so that the parser's positions stay those of the
file. Comments and here-documents are left alone. One thing is stricter: a string ends on its line,
so that a forgotten quote is found where it is missing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from quorate.config.read.tree import MalformedError

PERCENT: Final = "\ue000"
"""Stands for the `%` of a `%{` in strings."""

_STRING: Final = r'"(?: [^"\\\n] | \\[^\n] )*"'
_NAME_ENDS: Final = rf"(?= [ \t]* (?: =(?!=) | (?: {_STRING} [ \t]* ){{0,4}} \{{ ) )"
_TOKEN: Final = re.compile(
    rf"""
      (?P<comment> \#[^\n]* | //[^\n]* | /\*.*?\*/ )
    | (?P<heredoc> <<-?(?P<mark>[A-Za-z][\w.-]*)\r?\n .*? ^[ \t]*(?P=mark)\r?$ )
    | (?P<name> {_STRING} {_NAME_ENDS} )
    | (?P<dotted> [A-Za-z_][\w-]* (?: \.[\w-]+ )+ (?= [ \t]* (?: =(?!=) | \{{ ) ) )
    | (?P<assign> (?<![=!<>]) = [ \t]* \r?\n \s* (?= [^\s=}}\#/] ) )
    | (?P<string> {_STRING} )
    | (?P<endless> " )
    | (?P<open> [\[{{(] )
    | (?P<close> [\]}})] )
    | (?P<comma> , )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE | re.ASCII,
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_ESCAPED: Final = re.compile(r'\\(["\\])')


class Hcl2(NamedTuple):
    """The text, as long as the other, and by position in it the names that are not in it."""

    text: str
    names: dict[int, str]


def as_hcl2(text: str) -> Hcl2:
    """The same text without what only HCL 1 knows. Raises MalformedError."""
    brackets: list[str] = []
    names: dict[int, str] = {}

    def replace(match: re.Match[str]) -> str:
        token = match[0]
        match match.lastgroup:
            case "name" | "dotted":
                return _stand_in(match, names)
            case "assign":
                return "=" + " " * (len(token) - 1)
            case "string":
                return token.replace("%{", PERCENT + "{")
            case "open":
                brackets.append(token)
            case "close":
                del brackets[-1:]
            case "comma" if brackets[-1:] == ["{"]:
                return " "
            case "endless":
                raise _endless(text, match.start())
        return token

    return Hcl2(_TOKEN.sub(replace, text), names)


def _stand_in(match: re.Match[str], names: dict[int, str]) -> str:
    """An identifier as long as this name, which is the name itself if it can be."""
    token = match[0]
    name = _ESCAPED.sub(r"\1", token[1:-1]) if token[0] == '"' else token
    if _IDENTIFIER.fullmatch(name):
        return f" {name} "
    names[match.start()] = name
    return "K" * len(token)


def _endless(text: str, position: int) -> MalformedError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return MalformedError(f"At {line}:{column}: the string has no end")
