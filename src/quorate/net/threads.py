"""Work that waits for the disk, in a thread that is its own.

The loop's default threads are shared with the resolver: a few names that resolve slowly fill them,
and what waits for the disk would wait for DNS.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def in_thread(work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
    """The result of `work`, called in a thread of its own.

    Other than with `asyncio.to_thread`, the loop can end while it still runs, and the work goes on
    if its caller is cancelled.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # T may be None

    def run() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except BaseException as caught:  # noqa: BLE001  it is raised where the result is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return future
