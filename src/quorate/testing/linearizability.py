"""Is a history of reads, writes and compare-and-sets on a map linearizable?

Linearizable (Herlihy and Wing 1990): every operation can be given one moment between its call and
its return so that, done one after another in the order of these moments, all answers are right.
The search follows Wing and Gong (1993) with Lowe's memory of configurations (2017): keys are
independent of each other, so each is searched alone; a configuration, the set of operations done
and the value they leave, is never entered twice.

Invariant: of all orders only those are left out that are right exactly when one that is tried is:
- an operation that leaves the value as it is, and whose answer is right now, is done at once;
- an operation without an answer is done only as part of a shortest way to a value that some
  answer needs. Anywhere else it may as well never happen. So hundreds of lost writes cost nothing.

Pure. Nothing is recursive, so the length of a history is bounded by memory alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from quorate.testing.history import Kind, Operation

CONFIGURATIONS_MAX = 2_000_000
_TRIED_ONE_BY_ONE_MAX = 300
_ANYTHING = object()  # the value before a window whose beginning is cut off
_WRONG = object()  # no value: the answer cannot be explained


class TooManyConfigurationsError(Exception):
    """The search was given up: the question is a hard one in general (it is NP-complete)."""


class Result(msgspec.Struct, frozen=True):
    """The answer. `window` is a smallest part found that no order explains, empty if `ok`.

    `configurations` is how many were entered, over all keys.
    """

    ok: bool
    configurations: int
    key: str = ""
    window: tuple[Operation, ...] = ()
    started_in_the_middle: bool = False

    def __str__(self) -> str:
        if self.ok:
            return f"linearizable ({self.configurations} configurations)"
        before = "whatever was there before" if self.started_in_the_middle else "from the start"
        lines = [f"not linearizable: no order explains these operations on {self.key}, {before}:"]
        return "\n".join([*lines, *(f"  {operation}" for operation in self.window)])


def check(
    history: Sequence[Operation],
    initial: Mapping[str, Hashable] | None = None,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> Result:
    """Check a history. `initial` holds the values before it; a key that is not there holds None.

    Two operations of which one returns at the very time when the other is called count as
    concurrent. Raises TooManyConfigurationsError after `configurations_max` for one key.
    """
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    entered = 0
    for key in sorted(by_key):
        before = (initial or {}).get(key)
        search = _Search(by_key[key], before, configurations_max)
        ok = search.run()
        entered += search.entered
        if not ok:
            window, cut = _smallest_window(by_key[key], before, configurations_max)
            return Result(False, entered, key, window, cut)
    return Result(True, entered)


class _Move(NamedTuple):
    """One operation with an answer, after the ones without (a bit set) that it needs."""

    number: int
    helpers: int
    value: Hashable


class _Search:
    """One key. Operations with an answer are numbered by their call, those without likewise."""

    def __init__(self, operations: Iterable[Operation], initial: Hashable, limit: int) -> None:
        ordered = sorted(operations, key=lambda operation: operation.called_at)
        self.known = [o for o in ordered if o.returned_at is not None]
        self.open = [o for o in ordered if o.returned_at is None and o.kind is not Kind.READ]
        self.calls = [o.called_at for o in self.known]
        self.returns = [o.returned_at or 0.0 for o in self.known]
        self._open_by_value: dict[Hashable, list[int]] = defaultdict(list)
        for number, operation in enumerate(self.open):
            self._open_by_value[operation.value].append(number)
        self.value = initial
        self.used = 0  # bits: operations without an answer that were done
        self.entered = 0
        self._limit = limit
        # What is left, as a list with links, so that a step costs what is concurrent, not all.
        end = len(self.known)
        self._next = [*range(1, end + 1), 0]
        self._before = [end, *range(end)]
        self._head = end
        # What is done: `_first` operations and, above them, `_bits`.
        self._first = 0
        self._bits = 0
        self._seen: set[tuple[int, int, int, Hashable]] = set()

    def run(self) -> bool:
        """Search for an order."""
        stack: list[tuple[Iterator[_Move], tuple[int, int, int, Hashable], int]] = []
        moves = iter(self._moves())
        while self._next[self._head] != self._head:
            move = next(moves, None)
            if move is None:
                if not stack:
                    return False
                moves, state, number = stack.pop()
                self._restore(number)
                self._first, self._bits, self.used, self.value = state
                continue
            state = (self._first, self._bits, self.used, self.value)
            self._do(move)
            after = (self._first, self._bits, self.used, self.value)
            if after in self._seen:
                self._restore(move.number)
                self._first, self._bits, self.used, self.value = state
                continue
            self._enter(after)
            stack.append((moves, state, move.number))
            moves = iter(self._moves())
        return True

    def _enter(self, configuration: tuple[int, int, int, Hashable]) -> None:
        self._seen.add(configuration)
        self.entered += 1
        if self.entered > self._limit:
            raise TooManyConfigurationsError(f"more than {self._limit} configurations")

    def _do(self, move: _Move) -> None:
        number = move.number
        before, after = self._before[number], self._next[number]
        self._next[before], self._before[after] = after, before
        bits = self._bits | 1 << (number - self._first)
        if bits & 1:
            ones = (~bits & (bits + 1)).bit_length() - 1
            bits >>= ones
            self._first += ones
        self._bits = bits
        self.used |= move.helpers
        self.value = move.value

    def _restore(self, number: int) -> None:
        before, after = self._before[number], self._next[number]
        self._next[before] = self._before[after] = number

    def _moves(self) -> list[_Move]:
        """What may come next, the most promising first; a single one if that loses nothing."""
        candidates, until = self._candidates()
        found: list[_Move] = []
        for number in candidates:
            operation = self.known[number]
            after = _after(operation, self.value)
            if after is _WRONG:
                ways = self._ways(operation, until)
                found += [_Move(number, bits, _after(operation, value)) for value, bits in ways]
            elif _changes_nothing(operation) and self.value is not _ANYTHING:
                return [_Move(number, 0, after)]
            else:
                found.append(_Move(number, 0, after))
        found.sort(key=lambda move: (move.helpers != 0, self.returns[move.number]))
        return found

    def _candidates(self) -> tuple[list[int], float]:
        """What is left and was called before anything else left returned, and that moment."""
        until = float("inf")
        found = []
        number = self._next[self._head]
        while number != self._head and self.calls[number] <= until:
            found.append(number)
            until = min(until, self.returns[number])
            number = self._next[number]
        return [n for n in found if self.calls[n] <= until], until

    def _ways(self, operation: Operation, until: float) -> Iterator[tuple[Hashable, int]]:
        """How operations without an answer can make this answer right: the value, which ones.

        Ways in which a value comes twice are left out, and of equal operations all but one. Not
        for an answer that is right already.
        """
        if operation.kind is Kind.CAS and not operation.swapped:
            # One step away from the value is enough: more can be done afterwards.
            for number, other in enumerate(self.open):
                applies = other.kind is Kind.WRITE or other.expected == self.value
                if applies and other.value != operation.expected and self._free(number, until):
                    yield other.value, 1 << number
            return
        goal = operation.value if operation.kind is Kind.READ else operation.expected
        stack: list[tuple[Hashable, int, frozenset[Hashable]]] = [(goal, 0, frozenset([goal]))]
        while stack:
            value, bits, passed = stack.pop()
            equal: set[tuple[Kind, Hashable]] = set()
            for number in self._open_by_value.get(value, ()):
                other = self.open[number]
                what = (other.kind, other.expected)
                if what in equal or not self._free(number, until):
                    continue
                equal.add(what)
                after = bits | 1 << number
                if other.kind is Kind.WRITE or other.expected == self.value:
                    yield goal, after
                elif other.expected not in passed:
                    stack.append((other.expected, after, passed | {other.expected}))

    def _free(self, number: int, until: float) -> bool:
        return not self.used >> number & 1 and self.open[number].called_at <= until


def _changes_nothing(operation: Operation) -> bool:
    """True if it leaves every value as it is for which its answer is right."""
    if operation.kind is Kind.WRITE:
        return False
    return operation.kind is Kind.READ or not operation.swapped


def _after(operation: Operation, value: Hashable) -> Hashable:
    """The value after an answered operation that finds `value`, or _WRONG if it cannot."""
    unknown = value is _ANYTHING
    if operation.kind is Kind.WRITE:
        return operation.value
    if operation.kind is Kind.READ:
        return operation.value if unknown or operation.value == value else _WRONG
    if operation.swapped:
        return operation.value if unknown or operation.expected == value else _WRONG
    return value if unknown or operation.expected != value else _WRONG


def _smallest_window(
    operations: list[Operation], initial: Hashable, limit: int
) -> tuple[tuple[Operation, ...], bool]:
    """A smallest part of a wrong history of one key that is wrong by itself.

    What is cut off can only make a history easier to explain: later answers are forgotten, earlier
    operations are replaced by "anything may have been there", and reads are left out. So the
    bounds are found by halving. True if the beginning was cut off.
    """

    def wrong(part: list[Operation], before: Hashable) -> bool:
        return not _Search(part, before, limit).run()

    ends = sorted({o.returned_at for o in operations if o.returned_at is not None})
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if wrong(_until(operations, ends[middle]), initial):
            high = middle
        else:
            low = middle + 1
    part = _until(operations, ends[low])
    starts = sorted({o.called_at for o in part})
    low, high = 0, len(starts)  # wrong if cut before `low`, right if cut before `high`
    if not wrong(_since(part, starts[0]), _ANYTHING):
        return _without_needless(part, initial, wrong), False
    while high - low > 1:
        middle = (low + high) // 2
        if wrong(_since(part, starts[middle]), _ANYTHING):
            low = middle
        else:
            high = middle
    return _without_needless(_since(part, starts[low]), _ANYTHING, wrong), True


def _until(operations: list[Operation], end: float) -> list[Operation]:
    """What was known at `end`: later answers have not come yet."""
    return [
        o if o.returned_at is None or o.returned_at <= end else _unanswered(o)
        for o in operations
        if o.called_at <= end
        and (o.returned_at is None or o.returned_at <= end or not _changes_nothing(o))
    ]


def _since(operations: list[Operation], start: float) -> list[Operation]:
    """Without what had returned by `start`; what was under way then may have happened before."""
    return [
        o if o.called_at >= start else _unanswered(o)
        for o in operations
        if o.called_at >= start
        or o.returned_at is None
        or (o.returned_at >= start and not _changes_nothing(o))
    ]


def _unanswered(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, returned_at=None)


def _without_needless(
    part: list[Operation],
    initial: Hashable,
    wrong: Callable[[list[Operation], Hashable], bool],
) -> tuple[Operation, ...]:
    """Without the reads and the lost writes that play no role."""
    for operation in list(part) if len(part) <= _TRIED_ONE_BY_ONE_MAX else []:
        if operation.returned_at is not None and _changes_nothing(operation):
            rest = [o for o in part if o is not operation]
            if wrong(rest, initial):
                part = rest
    needed = {o.value for o in part if o.kind is Kind.READ}
    needed |= {o.expected for o in part if o.kind is Kind.CAS}
    compared = any(o.kind is Kind.CAS and not o.swapped for o in part)
    return tuple(o for o in part if o.returned_at is not None or compared or o.value in needed)
