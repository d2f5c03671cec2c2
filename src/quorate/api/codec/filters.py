"""Filter expressions of lists: `Path contains "db" and not (ModifyIndex == 7)`.

Understood are `==`, `!=`, `contains`, `in`, `matches`, `is empty`, the last four also with `not`;
`and`, `or`, `not` and parentheses; texts in double quotes or backquotes, numbers and bare words.
`not` binds before `and`, and `and` before `or`. Expressions come from any caller: their length,
depth and comparisons are bounded, and so are the steps of all regular expressions of a request:
`OutOfSteps` ends a page, and the next request goes on at the row where it was raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from quorate.gossip.serf.expressions import BadExpression, Budget, Expression

LENGTH_MAX: Final = 1024
DEPTH_MAX: Final = 16
COMPARISONS_MAX: Final = 16
STEPS_MAX: Final = 20_000
"""Of regular expressions, for all rows that a request looks at: some 9 ms."""
TESTS_MAX: Final = 80_000
"""Comparisons with all rows that a request looks at: some 9 ms."""

Get = Callable[[Any], str | int]
Test = Callable[[Any], bool]

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<quoted>"(?:[^"\\]|\\.)*") | (?P<raw>`[^`]*`) | (?P<mark>==|!=|\(|\))
    | (?P<word>[A-Za-z0-9_./~*-]+) | (?P<end>\Z) | (?P<other>.))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class BadFilter(Exception):
    """The fault of an expression, and its place: the first character is 1."""


class OutOfSteps(BadFilter):
    """The regular expressions of a request have taken all the steps that they may."""


class Filter(NamedTuple):
    """`fits` tells of a row whether it is chosen, and raises BadFilter; OutOfSteps: no more rows.

    `rows_max` is how many rows a request may look at.
    """

    fits: Test
    rows_max: int


class _Token(NamedTuple):
    kind: str  # quoted, word, mark, end
    text: str
    place: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words

    def is_mark(self, *marks: str) -> bool:
        return self.kind == "mark" and self.text in marks


def parsed(expression: str, fields: Mapping[str, Get]) -> Filter:
    """The filter of one request. `fields` are those that may be named. Raises BadFilter."""
    if len(expression) > LENGTH_MAX:
        raise BadFilter(f"it has more than {LENGTH_MAX} characters")
    return _Parser(_tokens(expression), fields).whole()


def _tokens(expression: str) -> list[_Token]:
    tokens, at = [], 0
    while True:
        found = _TOKEN.match(expression, at)
        assert found is not None, "some alternative always matches"
        kind = found.lastgroup or "end"
        text, place = found[kind], found.start(kind) + 1
        if kind == "other":
            raise BadFilter(f"at character {place}: {text!a} is not expected")
        if kind == "quoted":
            text = _unescaped(text[1:-1], place)
        elif kind == "raw":
            kind, text = "quoted", text[1:-1]
        tokens.append(_Token(kind, text, place))
        if kind == "end":
            return tokens
        at = found.end()


def _unescaped(text: str, place: int) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise BadFilter(f"at character {place}: the text has an unknown escape {found[0]!a}")
        return _ESCAPES[found[1]]

    return _ESCAPE.sub(one, text)


class _Parser:
    def __init__(self, tokens: list[_Token], fields: Mapping[str, Get]) -> None:
        self._tokens = tokens
        self._at = 0
        self._fields = fields
        self._comparisons = 0
        self._budget = Budget(STEPS_MAX)

    def whole(self) -> Filter:
        """The whole expression."""
        test = self._either(0)
        if self._next.kind != "end":
            raise self._unexpected("and, or, or the end")
        return Filter(test, TESTS_MAX // self._comparisons)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _unexpected(self, wanted: str) -> BadFilter:
        token = self._next
        found = "the expression ends" if token.kind == "end" else f"{token.text[:40]!a} is found"
        return BadFilter(f"at character {token.place}: {found} where {wanted} is expected")

    # -- the grammar -------------------------------------------------------------------------------

    def _either(self, depth: int) -> Test:
        tests = [self._both(depth)]
        while self._next.is_word("or"):
            self._take()
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._next.is_word("and"):
            self._take()
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self, depth: int) -> Test:
        token = self._next
        if depth > DEPTH_MAX:
            raise BadFilter(f"at character {token.place}: it is nested more than {DEPTH_MAX} deep")
        if token.is_word("not"):
            self._take()
            test = self._one(depth + 1)
            return lambda row: not test(row)
        if token.is_mark("("):
            self._take()
            test = self._either(depth + 1)
            if not self._next.is_mark(")"):
                raise self._unexpected("a closing parenthesis")
            self._take()
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        first = self._next
        if first.kind not in {"word", "quoted"}:
            raise self._unexpected("a field or a value")
        self._comparisons += 1
        if self._comparisons > COMPARISONS_MAX:
            raise BadFilter(f"it has more than {COMPARISONS_MAX} comparisons")
        self._take()
        negated = self._next.is_word("not")
        if negated:
            self._take()
        test = self._operation(first, may_be_equal=not negated)
        return (lambda row: not test(row)) if negated else test

    def _operation(self, first: _Token, *, may_be_equal: bool) -> Test:
        operator = self._next
        if operator.is_word("in"):
            self._take()
            return self._contains(self._take(), first)
        if operator.is_word("contains"):
            self._take()
            return self._contains(first, self._value())
        if operator.is_word("matches"):
            self._take()
            return self._matches(first, self._value())
        if may_be_equal and operator.is_mark("==", "!="):
            self._take()
            return self._equal(first, self._value(), equal=operator.text == "==")
        if may_be_equal and operator.is_word("is"):
            self._take()
            return self._empty(first)
        raise self._unexpected("==, !=, contains, in, matches or is")

    def _value(self) -> _Token:
        if self._next.kind not in {"word", "quoted"}:
            raise self._unexpected("a value")
        return self._take()

    # -- the comparisons ---------------------------------------------------------------------------

    def _field(self, token: _Token) -> Get:
        get = self._fields.get(token.text) if token.kind == "word" else None
        if get is None:
            known = ", ".join(self._fields)
            raise BadFilter(
                f"at character {token.place}: {token.text[:40]!a} is no field: there are {known}"
            )
        return get

    def _equal(self, field: _Token, value: _Token, *, equal: bool) -> Test:
        get, wanted = self._field(field), value.text
        return lambda row: (str(get(row)) == wanted) is equal

    def _contains(self, field: _Token, value: _Token) -> Test:
        get, wanted = self._field(field), value.text
        return lambda row: wanted in str(get(row))

    def _matches(self, field: _Token, value: _Token) -> Test:
        get = self._field(field)
        try:
            search = Expression(value.text, self._budget).search
        except BadExpression as error:
            raise BadFilter(f"at character {value.place}: {error}") from error

        def test(row: Any) -> bool:
            try:
                return search(str(get(row)))
            except BadExpression as error:
                raise OutOfSteps(f"{error}: ask for a longer prefix, or for pages") from error

        return test

    def _empty(self, field: _Token) -> Test:
        get = self._field(field)
        negated = self._next.is_word("not")
        if negated:
            self._take()
        if not self._next.is_word("empty"):
            raise self._unexpected("empty")
        self._take()
        return lambda row: bool(get(row)) is negated
