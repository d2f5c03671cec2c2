"""The words of HCL 1: one pass over the text, each character looked at once or twice."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from quorate.acl.policies.tree import malformed

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_HEX_DIGITS: Final = {"u": 4, "U": 8, "x": 2}
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_CODE_POINT_MAX: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)
_SHOWN_MAX: Final = 30


class Kind(StrEnum):
    """What a word is. The values are those of error texts."""

    WORD = "IDENT"
    NUMBER = "NUMBER"
    STRING = "STRING"
    ASSIGN = "ASSIGN"
    COMMA = "COMMA"
    OPEN = "LBRACE"
    CLOSE = "RBRACE"
    OPEN_LIST = "LBRACK"
    CLOSE_LIST = "RBRACK"
    END = "EOF"


_SIGNS: Final = {
    "=": Kind.ASSIGN,
    ",": Kind.COMMA,
    "{": Kind.OPEN,
    "}": Kind.CLOSE,
    "[": Kind.OPEN_LIST,
    "]": Kind.CLOSE_LIST,
}


class Word(NamedTuple):
    """A word, and where it begins: `2:14`."""

    kind: Kind
    text: str
    place: str


class Scanner:
    """Gives the words of one text in their order, and END for ever after.

    Invariant: `_position` only grows, and `_line_start` is where the line of it begins.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._line_start = 0

    def next(self) -> Word:
        """The next word. Raises PolicyInvalid for what is none."""
        self._skip_layout()
        if self._position >= len(self._text):
            # One further than the end, as Nomad's parser counts.
            return Word(Kind.END, "EOF", self._place(len(self._text) + 1))
        start, char = self._position, self._text[self._position]
        if (sign := _SIGNS.get(char)) is not None:
            self._position += 1
            return Word(sign, char, self._place(start))
        if char == '"':
            return self._string()
        if self._text.startswith("<<", start):
            return self._here_document()
        if char.isalpha() or char == "_":
            return self._run(Kind.WORD, lambda each: each.isalnum() or each in "_-.")
        if char.isdigit() or char == "-":
            return self._run(Kind.NUMBER, lambda each: each.isalnum() or each in ".+-")
        raise malformed(f"At {self._place(start)}: illegal character {char!r}")

    def _place(self, position: int) -> str:
        return f"{self._line}:{position - self._line_start + 1}"

    def _skip_layout(self) -> None:
        """White space and comments."""
        text = self._text
        while self._position < len(text):
            char = text[self._position]
            if char in " \t\r\n\ufeff":
                self._pass_over(self._position + 1)
            elif char == "#" or text.startswith("//", self._position):
                end = text.find("\n", self._position)
                self._position = len(text) if end < 0 else end
            elif text.startswith("/*", self._position):
                end = text.find("*/", self._position + 2)
                if end < 0:
                    raise malformed(f"At {self._place(self._position)}: comment not terminated")
                self._pass_over(end + 2)
            else:
                return

    def _pass_over(self, end: int) -> None:
        """Go on at `end`, counting lines."""
        lines = self._text.count("\n", self._position, end)
        if lines:
            self._line += lines
            self._line_start = self._text.rindex("\n", self._position, end) + 1
        self._position = end

    def _run(self, kind: Kind, more: Callable[[str], bool]) -> Word:
        start = self._position
        end = start + 1
        while end < len(self._text) and more(self._text[end]):
            end += 1
        self._position = end
        return Word(kind, self._text[start:end], self._place(start))

    def _string(self) -> Word:
        """In quotes, on one line. `${...}` means nothing in a policy."""
        text, start = self._text, self._position
        place = self._place(start)
        pieces: list[str] = []
        position = start + 1
        while True:
            if position >= len(text) or text[position] == "\n":
                raise malformed(f"At {place}: literal not terminated")
            char = text[position]
            if char == '"':
                self._position = position + 1
                return Word(Kind.STRING, "".join(pieces), place)
            if char == "\\":
                char, position = self._escape(position)
            else:
                position += 1
            pieces.append(char)

    def _escape(self, position: int) -> tuple[str, int]:
        """The character of the escape at the position, and where the text goes on."""
        mark = self._text[position + 1 : position + 2]
        if mark in _ESCAPES:
            return _ESCAPES[mark], position + 2
        if count := _HEX_DIGITS.get(mark, 0):
            digits = self._text[position + 2 : position + 2 + count]
            if len(digits) == count and _HEX.issuperset(digits):
                code = int(digits, 16)
                if code <= _CODE_POINT_MAX and code not in _SURROGATES:
                    return chr(code), position + 2 + count
        raise malformed(f"At {self._place(position)}: illegal char escape")

    def _here_document(self) -> Word:
        """`<<EOT` or `<<-EOT`, and its lines to the one that has the mark alone."""
        text, start = self._text, self._position
        place = self._place(start)
        first_end = text.find("\n", start)
        mark = text[start + 2 : max(first_end, start + 2)].strip().removeprefix("-")
        if not mark or not mark.replace("_", "").isalnum():
            raise malformed(f"At {place}: heredoc without a mark")
        position = first_end + 1
        while position < len(text):
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            if text[position:end].strip() == mark:
                value = text[first_end + 1 : position]
                self._pass_over(end)
                return Word(Kind.STRING, value, place)
            position = end + 1
        raise malformed(f"At {place}: heredoc not terminated")


def shown(word: Word) -> str:
    """What a word is called in an error."""
    if word.kind in {Kind.WORD, Kind.NUMBER, Kind.STRING}:
        return f"{word.kind} {word.text[:_SHOWN_MAX]!r}"
    return str(word.kind)
