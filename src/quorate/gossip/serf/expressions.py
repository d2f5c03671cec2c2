"""Regular expressions in queries' filters: in Go's way, in time that grows with their length only.

A filter comes from another member and is matched on the event loop, so Python's `re`, which a
hostile expression can keep busy for ever, will not do. This is Thompson's construction: all
threads of the automaton advance together over the text, and every step is counted against the
budget of the query. Understood are literals, `.`, classes,
groups (not captured), `|`, `*`, `+`, `?`, `{m,n}`, `^`, `$`, the escapes d, w, s, their opposites
and b, and the flags i and s at the start. Anything else is refused by name, never misread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LENGTH_MAX: Final = 512
STATES_MAX: Final = 512
STEPS_MAX: Final = 10_000
"""For all filters of a query together: some 4 ms. An honest filter takes a few hundred."""
_DEPTH_MAX: Final = 50
_REPEAT_MAX: Final = 1000
_REPEATS_MAX: Final = 10_000

Test = Callable[[str], bool]
Assertion = Callable[[str, int], bool]


class BadExpression(ValueError):
    """It is no regular expression, or one beyond the limits or of a kind not understood."""


class Budget:
    """The steps that are left for the filters of one query."""

    __slots__ = ("left",)

    def __init__(self, steps: int = STEPS_MAX) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """So many steps. Raises BadExpression if there are none left."""
        self.left -= steps
        if self.left < 0:
            raise BadExpression("the filters of a query take too many steps")


class _State:
    """One step of the automaton: a character, an assertion, or a fork (`ways` alone)."""

    __slots__ = ("assertion", "number", "steps", "test", "ways")

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps = 1  # what one look at it costs
        self.test: Test | None = None
        self.assertion: Assertion | None = None
        self.ways: list[_State] = []


# A piece is built onto the state that follows it, so that it can be built again when repeated.
_Piece = Callable[["_State"], "_State"]


class Expression:
    """See the module. Raises BadExpression."""

    def __init__(self, pattern: str, budget: Budget | None = None) -> None:
        """Building and matching are paid from `budget`; without one there is a full one."""
        if len(pattern) > LENGTH_MAX:
            raise BadExpression(f"a filter's expression has over {LENGTH_MAX} characters")
        self._budget = budget or Budget()
        parser = _Parser(pattern, self._budget)
        piece = parser.parse()
        self._end = parser.new_state()
        self._start = piece(self._end)

    def search(self, text: str) -> bool:
        """Whether it matches anywhere in `text`. Raises BadExpression: too many steps."""
        current: list[_State] = []
        spend = self._budget.spend
        for place in range(len(text) + 1):
            spend(1 + len(current))
            seen: set[int] = set()
            reached: list[_State] = []
            for state in (*current, self._start):
                self._follow(state, text, place, seen, reached)
            if self._end.number in seen:
                return True
            if place < len(text):
                char = text[place]
                spend(sum(s.steps for s in reached))
                current = [s.ways[0] for s in reached if s.test is not None and s.test(char)]
        return False

    def _follow(
        self, state: _State, text: str, place: int, seen: set[int], reached: list[_State]
    ) -> None:
        """All states that can be reached without a character."""
        waiting = [state]
        while waiting:
            at = waiting.pop()
            if at.number in seen:
                continue
            seen.add(at.number)
            if at.test is not None:
                reached.append(at)
            elif at.assertion is None or at.assertion(text, place):
                # Ways that were gone already cost as much as others.
                self._budget.spend(1 + len(at.ways))
                waiting.extend(at.ways)


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


def _is_digit(char: str) -> bool:
    return "0" <= char <= "9"


def _is_space(char: str) -> bool:
    return char in "\t\n\f\r "


def _at_word_edge(text: str, place: int) -> bool:
    before = place > 0 and _is_word(text[place - 1])
    after = place < len(text) and _is_word(text[place])
    return before != after


_CLASSES: Final[dict[str, Test]] = {
    "d": _is_digit,
    "w": _is_word,
    "s": _is_space,
    "D": lambda c: not _is_digit(c),
    "W": lambda c: not _is_word(c),
    "S": lambda c: not _is_space(c),
}
_ASSERTIONS: Final[dict[str, Assertion]] = {
    "A": lambda _text, place: place == 0,
    "z": lambda text, place: place == len(text),
    "b": _at_word_edge,
    "B": lambda text, place: not _at_word_edge(text, place),
}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_NAMED: Final[dict[str, Test]] = {
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "digit": _is_digit,
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "upper": lambda c: "A" <= c <= "Z",
    "lower": lambda c: "a" <= c <= "z",
    "space": lambda c: _is_space(c) or c == "\v",
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "word": _is_word,
}


class _Parser:
    """Reads a pattern once, from left to right."""

    def __init__(self, pattern: str, budget: Budget) -> None:
        self._budget = budget
        self._items = 1  # of the class that was read last
        self._pattern = pattern
        self._place = 0
        self._depth = 0
        self._states = 0
        self._repeats = 0
        self._fold = False
        self._dot_all = False

    def new_state(self) -> _State:
        """A state, of a bounded number: repetitions multiply."""
        self._states += 1
        self._budget.spend()
        if self._states > STATES_MAX:
            raise BadExpression("a filter's expression is too large")
        return _State(self._states)

    def _spend(self) -> None:
        # Repeated nothings cost no state, but time.
        self._repeats += 1
        self._budget.spend()
        if self._repeats > _REPEATS_MAX:
            raise BadExpression("a filter's expression is too large")

    def parse(self) -> _Piece:
        """The whole pattern."""
        self._budget.spend(1 + len(self._pattern))
        self._flags()
        piece = self._alternatives()
        if self._place < len(self._pattern):
            raise BadExpression("unexpected )")
        return piece

    def _peek(self) -> str:
        return self._pattern[self._place] if self._place < len(self._pattern) else ""

    def _next(self) -> str:
        if self._place >= len(self._pattern):
            raise BadExpression("the expression ends too early")
        self._place += 1
        return self._pattern[self._place - 1]

    def _take(self, text: str) -> bool:
        if self._pattern.startswith(text, self._place):
            self._place += len(text)
            return True
        return False

    def _flags(self) -> None:
        for text, fold, dot_all in (
            *(("(?i)", True, False), ("(?s)", False, True)),
            *(("(?is)", True, True), ("(?si)", True, True)),
        ):
            if self._take(text):
                self._fold, self._dot_all = fold, dot_all
                return

    # -- structure ------------------------------------------------------------------------------

    def _alternatives(self) -> _Piece:
        ways = [self._sequence()]
        while self._take("|"):
            ways.append(self._sequence())
        return ways[0] if len(ways) == 1 else self._fork(ways)

    def _fork(self, pieces: list[_Piece]) -> _Piece:
        def build(after: _State) -> _State:
            state = self.new_state()
            state.ways = [piece(after) for piece in pieces]
            return state

        return build

    def _sequence(self) -> _Piece:
        pieces: list[_Piece] = []
        while self._peek() not in {"", "|", ")"}:
            pieces.append(self._repeated(self._atom()))

        def build(after: _State) -> _State:
            for piece in reversed(pieces):
                after = piece(after)
            return after

        return build

    def _repeated(self, piece: _Piece) -> _Piece:
        bounds = self._bounds()
        if bounds is None:
            return piece
        low, high = bounds
        self._take("?")  # matching as little as possible finds the same texts
        if self._peek() in {"*", "+", "?"}:
            raise BadExpression("a repetition of a repetition")

        def build(after: _State) -> _State:
            if high is None:
                loop = self.new_state()
                loop.ways = [piece(loop), after]
                after = loop
            else:
                end = after
                for _ in range(high - low):
                    maybe = self.new_state()
                    maybe.ways = [piece(after), end]
                    after = maybe
            for _ in range(low):
                self._spend()
                after = piece(after)
            return after

        return build

    def _bounds(self) -> tuple[int, int | None] | None:
        for mark, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(mark):
                return bounds
        return self._counted() if self._peek() == "{" else None

    def _counted(self) -> tuple[int, int | None] | None:
        """`{m}`, `{m,}`, `{m,n}`; a brace that begins none of them is a literal."""
        end = self._pattern.find("}", self._place)
        low, comma, high = self._pattern[self._place + 1 : end].partition(",")
        good = low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit()))
        if end < 0 or not good:
            return None
        self._place = end + 1
        least = int(low)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > _REPEAT_MAX or (most is not None and most < least):
            raise BadExpression("bad repetition count")
        return least, most

    # -- atoms ----------------------------------------------------------------------------------

    def _atom(self) -> _Piece:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "\\":
                return self._escaped()
            case "^" | "$":
                return self._assertion(_ASSERTIONS["A" if char == "^" else "z"])
            case "*" | "+" | "?":
                raise BadExpression(f"nothing to repeat before {char}")
        return self._test(self._one(char))

    def _one(self, char: str) -> Test:
        """What a single character must be."""
        self._items = 1
        if char == "[":
            return self._class()
        if char == ".":
            dot_all = self._dot_all
            return lambda c: dot_all or c != "\n"
        return self._same(char)

    def _group(self) -> _Piece:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise BadExpression("groups are nested too deeply")
        if not self._take("?:") and self._peek() == "?":
            raise BadExpression("groups with flags or names are not understood")
        piece = self._alternatives()
        if not self._take(")"):
            raise BadExpression("missing )")
        self._depth -= 1
        return piece

    def _escaped(self) -> _Piece:
        char = self._next()
        if char in _ASSERTIONS:
            return self._assertion(_ASSERTIONS[char])
        return self._test(_CLASSES.get(char) or self._same(self._literal(char)))

    @staticmethod
    def _literal(char: str) -> str:
        """What an escaped character stands for."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isalnum():
            raise BadExpression(f"the escape \\{char} is not understood")
        return char

    def _class(self) -> Test:
        negated = self._take("^")
        # The first one stands for itself.
        tests = [self._class_item("]")] if self._take("]") else []
        while not self._take("]"):
            tests.append(self._class_item(self._next()))
        self._items = 1 + len(tests)
        return lambda c: any(test(c) for test in tests) != negated

    def _class_item(self, char: str) -> Test:
        if char == "[" and self._take(":"):
            end = self._pattern.find(":]", self._place)
            name = self._pattern[self._place : end]
            if end < 0 or name not in _NAMED:
                raise BadExpression("unknown class")
            self._place = end + 2
            return _NAMED[name]
        if char == "\\":
            char = self._next()
            if char in _CLASSES:
                return _CLASSES[char]
            char = self._literal(char)
        last = self._range_end()
        if last is None:
            return self._same(char)
        if last < char:
            raise BadExpression("a range that runs backwards")
        first, fold = char, self._fold
        return lambda c: (
            first <= c <= last
            or (fold and (first <= c.lower() <= last or first <= c.upper() <= last))
        )

    def _range_end(self) -> str | None:
        rest = self._pattern[self._place : self._place + 2]
        if len(rest) < 2 or rest[0] != "-" or rest[1] == "]":
            return None
        self._place += 1
        last = self._next()
        return self._literal(self._next()) if last == "\\" else last

    def _same(self, char: str) -> Test:
        if self._fold:
            lower = char.lower()
            return lambda c: c.lower() == lower
        return lambda c: c == char

    def _test(self, test: Test) -> _Piece:
        steps, self._items = self._items, 1

        def build(after: _State) -> _State:
            state = self.new_state()
            state.steps = steps
            state.test = test
            state.ways = [after]
            return state

        return build

    def _assertion(self, assertion: Assertion) -> _Piece:
        def build(after: _State) -> _State:
            state = self.new_state()
            state.assertion = assertion
            state.ways = [after]
            return state

        return build
