"""Where HCL 1, the language of agents' files, allows more than the HCL 2 that our parser reads.

Two things occur in real files: names of keys in quotes (`"X-Frame-Options" = "DENY"`) and commas
between the items of a block (`ports { http = 1, rpc = 2 }`). Both are blanked out here, character
for character, so that the parser's lines and columns stay those of the file. Strings, comments
and here-documents are left alone. One thing is stricter: a string ends on its line, so that a
forgotten quote is found where it is missing.
"""

from __future__ import annotations

import re
from typing import Final

from quorate.config.read.tree import MalformedError

_TOKEN: Final = re.compile(
    r"""
      (?P<comment> \#[^\n]* | //[^\n]* | /\*.*?\*/ )
    | (?P<heredoc> <<-?(?P<mark>[A-Za-z][\w.-]*)\r?\n .*? ^[ \t]*(?P=mark)\r?$ )
    | "(?P<key> [A-Za-z_][\w-]* )"(?= [ \t]* (?: =(?!=) | \{ ) )
    | (?P<string> "(?: [^"\\\n] | \\[^\n] )*" )
    | (?P<endless> " )
    | (?P<open> [\[{(] )
    | (?P<close> [\]})] )
    | (?P<comma> , )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE | re.ASCII,
)


def as_hcl2(text: str) -> str:
    """The same text, and as long, without what only HCL 1 knows. Raises MalformedError."""
    brackets: list[str] = []

    def blank(match: re.Match[str]) -> str:
        token = match[0]
        match match.lastgroup:
            case "key":
                return f" {match['key']} "
            case "open":
                brackets.append(token)
            case "close" if brackets:
                brackets.pop()
            case "comma" if brackets[-1:] == ["{"]:
                return " "
            case "endless":
                line = text.count("\n", 0, match.start()) + 1
                column = match.start() - text.rfind("\n", 0, match.start())
                raise MalformedError(f"At {line}:{column}: the string has no end")
        return token

    return _TOKEN.sub(blank, text)
