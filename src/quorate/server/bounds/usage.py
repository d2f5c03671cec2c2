"""How much of its bounds the state takes, on this server: asked, warned of, and refused for.

The largest prefixes are found by a walk over all variables (`prefixes`), in slices: a small state
is walked at once, a large one in the background from 80 % of a bound on. What a refusal names is
from the last walk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final, Protocol

from quorate.errors import StateFull
from quorate.server.bounds.prefixes import Prefix, largest
from quorate.server.integrity.slices import in_slices
from quorate.shapes.state import NamespaceSize, PrefixSize, StateSize
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import SINGLETON, Reader
from quorate.state.tables import limits, variables
from quorate.state.tables.limits import Full, Limit

WARN_AT: Final = 0.8

NAMESPACES_SHOWN_MAX: Final = 100

_WALKED_AT_ONCE: Final = 2000
"""Variables: some 3 ms."""

_FRESH_S: Final = 1.0
_LOOK_S: Final = 1.0
_WALK_AGAIN_S: Final = 30.0
_MIB: Final = 1 << 20
_COMMAND_MAX: Final = 1 << 21
"""More than one command can add."""

_UNCHECKED_MAX: Final = 64
"""Commands that go on without a look where there is room for all of them."""


class Growing(Protocol):
    """A command that may make the state larger."""

    def full(self, reader: Reader) -> Full | None:
        """The bound beyond which it would take the state now."""


class Usage:
    """See the module."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._unchecked = 0
        self._prefixes: tuple[Prefix, ...] = ()
        self._walked = (-1, 0)  # the table's index, and how often the state was replaced
        self._walked_at = float("-inf")
        self._walking: asyncio.Task[tuple[Prefix, ...]] | None = None

    async def run(self) -> None:
        """For ever: know the largest prefixes before they are asked for."""
        while True:
            await asyncio.sleep(_LOOK_S)
            old = time.monotonic() - self._walked_at > _WALK_AGAIN_S
            if old and self._place() != self._walked and self.fullest() >= WARN_AT:
                await self._walk()

    def check(self, command: Growing) -> None:
        """Raise StateFull if the command would take the state beyond a bound, as it is now.

        It saves an entry that would be refused where it is applied, with the same answer. So where
        there is much room one look is for many commands, though the bound may sink meanwhile.
        """
        if self._unchecked:
            self._unchecked -= 1
            return
        self._unchecked = min(limits.spare(self._state) // _COMMAND_MAX, _UNCHECKED_MAX)
        if self._unchecked:
            self._unchecked -= 1
            return
        full = command.full(self._state)
        if full is not None:
            raise self.refusal(full)

    def refusal(self, full: Full) -> StateFull:
        """The refusal in words, with the largest prefixes."""
        if full.namespace:
            what, key = f'namespace "{full.namespace}"', f"-of={full.namespace} "
        else:
            what, key = "the state", ""
        few = len(self._state.rows(variables.TABLE)) <= _WALKED_AT_ONCE
        if few and time.monotonic() - self._walked_at > _FRESH_S:
            self._walk_at_once()
        within = [each for each in self._prefixes if full.namespace in {"", each.namespace}]
        named = ", ".join(_shown(each) for each in within) or self._largest_namespaces()
        return StateFull(
            f"{what} takes {full.size} bytes of the {full.bytes_max} that it may take, and this "
            f"write would add {full.growth}; the largest: {named}",
            f"delete variables, or raise the bound: quorate operator state limit {key}BYTES",
        )

    def fullest(self) -> float:
        """The largest part of a bound that is taken; 0 without bounds."""
        return max((size / most for _, size, most in self._bounds()), default=0.0)

    def warning(self) -> str:
        """The bounds of which more than 80 % is taken, in one line; empty if there are none."""
        near = [
            f"{name} takes {100 * size // most} % of the {most} bytes that it may take"
            for name, size, most in self._bounds()
            if size >= WARN_AT * most
        ]
        if not near:
            return ""
        more = f"; {len(near) - 3} more" if len(near) > 3 else ""
        return "; ".join(near[:3]) + more + "; see quorate operator state size"

    def bytes(self) -> int:
        """The bytes that count."""
        return limits.state_bytes(self._state)

    def bytes_max(self) -> int:
        """The bound of the whole state; 0 while there is none."""
        return limits.state_bytes_max(self._state)

    async def report(self) -> StateSize:
        """Sizes, bounds and the largest prefixes."""
        fresh = time.monotonic() - self._walked_at <= _FRESH_S
        if self._place() != self._walked and not fresh:
            await self._walk()
        state = self._state
        record = state.get(limits.TABLE, SINGLETON) or Limit()
        found = limits.smallest(record)
        names = self._namespaces()
        return StateSize(
            bytes=self.bytes(),
            bytes_max=self.bytes_max(),
            limit=record.bytes_max,
            smallest_server=found[0] if found else "",
            smallest_memory=found[1] if found else 0,
            warning=self.warning(),
            variables=len(state.rows(variables.TABLE)),
            namespaces=tuple(
                NamespaceSize(
                    namespace=name, bytes=size, bytes_max=limits.namespace_bytes_max(state, name)
                )
                for name, size in names[:NAMESPACES_SHOWN_MAX]
            ),
            namespaces_not_shown=max(0, len(names) - NAMESPACES_SHOWN_MAX),
            prefixes=tuple(
                PrefixSize(
                    namespace=each.namespace,
                    prefix=each.prefix,
                    bytes=each.size,
                    variables=each.count,
                )
                for each in self._prefixes
            ),
        )

    def _bounds(self) -> Iterator[tuple[str, int, int]]:
        """What is bounded, the bytes that it takes, and its bound."""
        state = self._state
        if most := self.bytes_max():
            yield "the state", self.bytes(), most
        for name, record in state.rows(limits.TABLE).items():
            if name:
                size = limits.namespace_bytes(state, name)
                yield f'namespace "{name}"', size, record.bytes_max

    def _namespaces(self) -> list[tuple[str, int]]:
        """Namespaces and their bytes, the largest first; those with a bound are all there."""
        state = self._state
        names = {name for name in state.rows(limits.TABLE) if name}
        for table in limits.COUNTED:
            names.update(name for name in state.weights(table) if name)
        sizes = [(name, limits.namespace_bytes(state, name)) for name in names]
        return sorted(sizes, key=lambda each: (-each[1], each[0]))

    def _largest_namespaces(self) -> str:
        names = self._namespaces()[:3]
        return ", ".join(f'namespace "{name}" ({_mib(size)})' for name, size in names)

    def _place(self) -> tuple[int, int]:
        return self._state.table_index(variables.TABLE.name), self._state.restores

    def _walk_at_once(self) -> None:
        place, work = self._place(), largest(self._state.scan(variables.TABLE))
        while True:
            try:
                next(work)
            except StopIteration as done:
                self._keep(place, done.value)
                return

    async def _walk(self) -> None:
        """One walk at a time: those that come meanwhile wait for the same."""
        if self._walking is None:
            place = self._place()
            work = in_slices(largest(self._state.scan(variables.TABLE)))
            self._walking = asyncio.ensure_future(work)
            self._walking.add_done_callback(lambda done: self._walk_ended(place, done))
        await asyncio.shield(self._walking)

    def _walk_ended(self, place: tuple[int, int], done: asyncio.Future[tuple[Prefix, ...]]) -> None:
        self._walking = None
        if not done.cancelled() and done.exception() is None:
            self._keep(place, done.result())

    def _keep(self, place: tuple[int, int], found: tuple[Prefix, ...]) -> None:
        self._prefixes, self._walked, self._walked_at = found, place, time.monotonic()


def _shown(each: Prefix) -> str:
    where = f'"{each.prefix}"' if each.prefix else "paths without a slash"
    return f'{where} in namespace "{each.namespace}" ({_mib(each.size)} in {each.count})'


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB" if size >= _MIB // 10 else f"{size} bytes"
