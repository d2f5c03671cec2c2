"""Watching variables: what changed since the last look, however long that is ago.

A watch asks with a blocking query for the list of its variables, and compares their modify indexes
with those that it has. So the last state of a variable is never missed: not after a lost leader,
a lost connection or a day without any server. It is not told of states between two looks; the
stream of events has those, as long as a server remembers them (docs/events.md).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar

import msgspec

from quorate.client.calls.call import Call, Describing
from quorate.client.calls.variables import Page, Seen, Variable, VariableCalls, VariableMetadata
from quorate.client.errors import ClientError, StatusError
from quorate.client.steps import Pause, Steps, Tell

T = TypeVar("T")

MOST: Final = 10_000
PATIENCE_S: Final = 300.0
WAIT_S: Final = 60.0
RESTORED: Final = 1 << 20
"""A restore of a snapshot raises the index by at least so much (docs/snapshots.md#restore)."""

_PER_PAGE: Final = 1000
_PAUSE_S: Final = (0.05, 2.0)  # the first after a failure, and the longest
_TOO_MANY_REQUESTS: Final = 429


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A variable as it is now; `variable` is None if it was deleted.

    `index` is its modify index, or one at which it was not there any more. `left` is how many more
    changes follow at once: with 0 all that is known has been told.
    """

    namespace: str
    path: str
    variable: Variable | None
    index: int
    left: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Begin again: `variables` are all that there are now, the values of each follow as changes.

    `why` tells why what was known before does not count. The first of a watch is one too.
    """

    why: str
    index: int
    variables: tuple[VariableMetadata, ...]


class TooMany(ClientError):
    """More variables begin with the prefix than the watch may hold in memory."""


class _Place(msgspec.Struct, frozen=True):
    """Where a look stands: its index, and how far restores had raised the indexes then."""

    index: int
    shift: int


class _Calls(VariableCalls, Describing):
    pass


_CALLS: Final = _Calls()


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched, and how. `most` variables at most; see `Variables.watch`."""

    prefix: str
    namespace: str = ""
    most: int = MOST
    patience_s: float | None = PATIENCE_S
    wait_s: float = WAIT_S
    clock: Callable[[], float]

    def prefixed(self) -> Steps[Change | Gap]:
        """A gap, and then what changes of the variables that begin with the prefix."""
        known: dict[tuple[str, str], int] = {}
        before, why, unchanged = _Place(0, 0), "the watch begins", 0
        while True:
            rows, place = yield from self._listed(before.index)
            now = place.index
            why = why or _gap(before, place)
            if why:
                known.clear()
                yield Tell(Gap(why=why, index=now, variables=tuple(rows.values())))
            changed = [
                (row.modify_index, key)
                for key, row in rows.items()
                if known.get(key) != row.modify_index
            ]
            gone = [key for key in known if key not in rows]
            rows.clear()
            left = len(changed) + len(gone)
            for _, key in sorted(changed):
                left -= 1
                seen = yield from self._got(_value(key))
                variable = seen.variable
                if variable is None:
                    known.pop(key, None)
                else:
                    known[key] = variable.modify_index
                yield Tell(_change(key, variable, now, left))
            for key in gone:
                left -= 1
                del known[key]
                yield Tell(_change(key, None, now, left))
            unchanged = 0 if changed or gone else unchanged + 1
            if unchanged > 1:
                yield Pause(min(unchanged * _PAUSE_S[0], 1.0))  # it may not wait as it was asked to
            before, why = place, ""

    def one(self) -> Steps[Change]:
        """The variable whose path is `prefix` as it is, and whenever it has changed."""
        before, known, unchanged = _Place(0, 0), -1, 0
        key = (self.namespace, self.prefix)
        while True:
            seen = yield from self._got(_value(key, before.index, self.wait_s))
            variable = seen.variable
            now = 0 if variable is None else variable.modify_index
            unchanged += 1
            place = _Place(max(seen.index, 1), seen.shift)
            if now != known or _gap(before, place):
                unchanged = 0
                yield Tell(_change(key, variable, seen.index, 0))
            if unchanged > 1:
                yield Pause(min(unchanged * _PAUSE_S[0], 1.0))
            before, known = place, now

    def _listed(
        self, index: int
    ) -> Generator[Any, Any, tuple[dict[tuple[str, str], VariableMetadata], _Place]]:
        """The rows that there are when something has changed after `index`, and the place then."""
        rows: dict[tuple[str, str], VariableMetadata] = {}
        first = page = yield from self._got(self._page(index, ""))
        while True:
            for row in page.variables:
                rows[row.namespace, row.path] = row
            if len(rows) > self.most:
                raise TooMany(
                    f"more than {self.most} variables begin with {self.prefix!r}",
                    "watch a longer prefix, or more by most=",
                )
            if not page.next_token:
                # What changed since the first page came has a higher index than that one.
                return rows, _Place(max(first.index, 1), first.shift)
            page = yield from self._got(self._page(0, page.next_token))

    def _page(self, index: int, token: str) -> Callable[[], Call[Page]]:
        return lambda: _CALLS.page(
            self.prefix,
            namespace=self.namespace,
            per_page=min(_PER_PAGE, self.most + 1),
            next_token=token,
            index=index,
            wait_s=self.wait_s,
        )

    def _got(self, made: Callable[[], Call[T]]) -> Generator[Any, Any, T]:
        """The result of a call that is repeated until it has one, or patience ends."""
        failing_since: float | None = None
        pause_s, longest_s = _PAUSE_S
        while True:
            try:
                result: T = yield made()
            except ClientError as error:
                now = self.clock()
                failing_since = now if failing_since is None else failing_since
                over = self.patience_s is not None and now - failing_since >= self.patience_s
                if over or _is_refusal(error):
                    raise
            else:
                return result
            yield Pause(pause_s)
            pause_s = min(2 * pause_s, longest_s)


def _value(key: tuple[str, str], index: int = 0, wait_s: float = 0.0) -> Callable[[], Call[Seen]]:
    namespace, path = key
    return lambda: _CALLS.look(path, index=index, wait_s=wait_s, namespace=namespace)


def _change(key: tuple[str, str], variable: Variable | None, index: int, left: int) -> Change:
    """A change that was seen at `index`."""
    namespace, path = key
    if variable is not None:
        namespace, index = variable.namespace, variable.modify_index
    return Change(namespace=namespace, path=path, variable=variable, index=index, left=left)


def _gap(before: _Place, now: _Place) -> str:
    """Why what was known before does not count any more; empty if it does."""
    if now.index < before.index:
        return f"the index fell from {before.index} to {now.index}: this is another cluster"
    if not before.index:
        return ""
    # A restore raises the index of what it changes, and of the rest only with its next write.
    jumped = now.index - before.index >= RESTORED and not now.shift
    if now.shift != before.shift or jumped:
        return f"a snapshot was restored: the index went from {before.index} to {now.index}"
    return ""


def _is_refusal(error: ClientError) -> bool:
    """Whether the same call would be refused again."""
    return (
        isinstance(error, StatusError)
        and 400 <= error.status < 500
        and error.status != _TOO_MANY_REQUESTS
    )
