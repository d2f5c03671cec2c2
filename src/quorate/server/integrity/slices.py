"""Long work of the event loop in slices, so that nothing waits for the whole of it.

Not in a thread: work in Python holds the interpreter's lock there as well, for 5 ms at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_S: Final = 0.001
"""What is waiting waits that long, and for one step that began within it."""

REST_S: Final = 0.004
"""With a slice: a fifth of the loop's time at most."""


async def in_slices(work: Generator[None, None, T]) -> T:
    """Run `work`, whose steps are short, to its end; its result."""
    while True:
        end = time.perf_counter() + SLICE_S
        while time.perf_counter() < end:
            try:
                next(work)
            except StopIteration as done:
                result: T = done.value
                return result
        await asyncio.sleep(REST_S)
