"""A process that is killed at its n-th call of the system that changes or flushes something."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

CALLS = ("fsync", "fdatasync", "rename", "replace", "unlink", "mkdir", "rmdir", "pwrite")


def killed_at(work: Callable[[], object], count: int) -> bool:
    """Run `work` in a process of its own, killed before its call `count`; False: it ended before.

    Nothing of it is tidied up, as with kill -9.
    """
    child = os.fork()
    if child == 0:
        end = "false"
        try:
            _count_down(count)
            work()
            end = "true"
        finally:
            os.execvp(end, [end])  # nothing of the tests goes on in here
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def _count_down(left: int) -> None:
    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def calls(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return calls

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def every_kill(
    fresh: Callable[[], Callable[[], object]], first: int = 1, step: int = 1
) -> Iterator[int]:
    """Kill the work that `fresh` prepares at its calls, one after another; gives each time."""
    count = first
    while killed_at(fresh(), count):
        yield count
        count += step
