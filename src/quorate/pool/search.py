"""Joining by a list of addresses, again and again, where none waits for a name that hangs.

A name is looked up for up to ten seconds. Meanwhile the other addresses are tried in rounds of
their own, and what is joined counts at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from quorate.pool.addresses import is_literal
from quorate.pool.results import JoinResult

_ROUND_S: Final = 1.0
_TOGETHER_S: Final = 0.1
"""After the first address was joined, others that answer as soon are still counted."""

Join = Callable[[list[str]], Awaitable[JoinResult]]


class Search:
    """See the module. `join` joins by some addresses and says what has become of each."""

    def __init__(self, join: Join, addresses: Iterable[str]) -> None:
        self._join = join
        wanted = list(dict.fromkeys(addresses))
        literals = [text for text in wanted if is_literal(text)]
        groups = [literals] if literals else []
        self._groups = groups + [[text] for text in wanted if not is_literal(text)]
        self._running: dict[int, asyncio.Task[JoinResult]] = {}
        self._untried = set(range(len(self._groups)))

    @property
    def tried_all(self) -> bool:
        """True once each address was joined by or has failed."""
        return not self._untried

    def _begin(self, number: int) -> asyncio.Task[JoinResult]:
        task = asyncio.ensure_future(self._join(self._groups[number]))
        task.add_done_callback(lambda _: self._untried.discard(number))
        return task

    async def round(self, *, patient: bool = False) -> JoinResult:
        """Try all that are not being tried; what is known after a second, or soon after a success.

        With `patient` everything is waited for, unless one is joined. Raises what `join` raises.
        """
        for number in range(len(self._groups)):
            if number not in self._running:
                self._running[number] = self._begin(number)
        loop = asyncio.get_running_loop()
        until = float("inf") if patient else loop.time() + _ROUND_S
        count = 0
        failures: list[tuple[str, str]] = []
        while self._running and (left := until - loop.time()) > 0:
            wait_s = None if left == float("inf") else left
            await asyncio.wait(
                self._running.values(), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            for number in [each for each, task in self._running.items() if task.done()]:
                result = self._running.pop(number).result()
                count += result.count
                failures += result.failures
            if count:
                until = min(until, loop.time() + _TOGETHER_S)
        for number in self._running:
            text = self._groups[number][0]
            failures.append((text, f"Failed to join {text}: it has not answered yet"))
        return JoinResult(count, tuple(failures))

    def stop(self) -> None:
        """Nothing more is tried."""
        for task in self._running.values():
            if not task.cancel() and not task.cancelled():
                task.exception()  # nobody else asks for it
        self._running.clear()
