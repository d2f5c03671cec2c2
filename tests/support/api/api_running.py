"""Coroutine tests without a plugin: each runs in a loop of its own, of the kind that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

import uvloop
from patience import PATIENCE_S

P = ParamSpec("P")


def asynchronous(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run the coroutine function as a test, with a deadline."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def body() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(body())

    return run


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; the deadline is that of the test."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.002)
