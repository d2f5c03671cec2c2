"""Operations on a map, as clients saw them, and a recorder of them.

Invariant: what a client cannot know is not claimed. An operation whose answer never came stays in
the history without a return, because it may take effect at any later time; one that was refused
for certain is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum

import msgspec


class Kind(Enum):
    """The kind of an operation."""

    READ = "read"
    WRITE = "write"
    CAS = "compare-and-set"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of one client. Times are of any one clock; only their order counts.

    `value` is what a READ found, or what a WRITE or CAS puts there; `expected` is what a CAS
    compares with; `swapped` whether it found that. `returned_at` is None when no answer came.
    Values must be hashable; None stands for "nothing there yet".
    """

    key: str
    kind: Kind
    value: Hashable
    called_at: float
    returned_at: float | None
    expected: Hashable = None
    swapped: bool = True
    client: str = ""

    def __str__(self) -> str:
        end = "no answer" if self.returned_at is None else f"{self.returned_at:.6f}"
        match self.kind:
            case Kind.READ:
                what = f"read -> {self.value!r}"
            case Kind.WRITE:
                what = f"write {self.value!r}"
            case Kind.CAS:
                answer = "" if self.returned_at is None else (" done" if self.swapped else " not")
                what = f"set {self.value!r} if {self.expected!r}{answer}"
        return f"{self.called_at:.6f} .. {end:<12} {self.client:<4} {self.key}: {what}"


@dataclass(slots=True, eq=False)
class Pending:
    """An operation under way. Exactly one of its methods is called at its end."""

    recorder: Recorder
    client: str
    key: str
    kind: Kind
    value: Hashable
    expected: Hashable
    called_at: float

    def found(self, value: Hashable) -> None:
        """A READ was answered."""
        self._end(value, self.recorder.clock(), swapped=True)

    def done(self, *, swapped: bool = True) -> None:
        """A WRITE or a CAS was answered."""
        self._end(self.value, self.recorder.clock(), swapped=swapped)

    def lost(self) -> None:
        """No answer came, or one that leaves open what happened."""
        if self.kind is not Kind.READ:
            self._end(self.value, None, swapped=True)

    def refused(self) -> None:
        """It was not carried out, and never will be."""
        self.recorder.open.discard(self)

    def _end(self, value: Hashable, returned_at: float | None, *, swapped: bool) -> None:
        operation = Operation(
            key=self.key,
            kind=self.kind,
            value=value,
            called_at=self.called_at,
            returned_at=returned_at,
            expected=self.expected,
            swapped=swapped,
            client=self.client,
        )
        self.recorder.ended.append(operation)
        self.recorder.open.discard(self)


@dataclass(slots=True)
class Recorder:
    """Collects what clients do. Several threads may use it; `clock` gives seconds and never falls.

    `recorder.write("a", "x", 1)` is called just before the request leaves, and a method of what it
    returns as soon as the answer is there.
    """

    clock: Callable[[], float]
    ended: list[Operation] = field(default_factory=list)
    open: set[Pending] = field(default_factory=set)

    def read(self, client: str, key: str) -> Pending:
        """A client begins to read."""
        return self._begin(client, key, Kind.READ, None, None)

    def write(self, client: str, key: str, value: Hashable) -> Pending:
        """A client begins to write."""
        return self._begin(client, key, Kind.WRITE, value, None)

    def compare_and_set(
        self, client: str, key: str, expected: Hashable, value: Hashable
    ) -> Pending:
        """A client begins to write on the condition that `expected` is there."""
        return self._begin(client, key, Kind.CAS, value, expected)

    def _begin(
        self, client: str, key: str, kind: Kind, value: Hashable, expected: Hashable
    ) -> Pending:
        pending = Pending(self, client, key, kind, value, expected, self.clock())
        self.open.add(pending)
        return pending

    def history(self) -> list[Operation]:
        """All that has ended, and what is still under way as operations without an answer."""
        for pending in list(self.open):
            pending.lost()
        return sorted(self.ended, key=lambda operation: operation.called_at)
