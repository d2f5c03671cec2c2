"""Output of an agent for people, beside its log: on standard output and standard error.

Both are outlets: no reader that stopped, went away or has a full disk ends or delays a server.
"""

from __future__ import annotations

import os

from quorate.agent.outlet import Descriptor, Outlet

_STDOUT, _STDERR = 1, 2
_DISK_FULL_AT_EXIT_S = 1.0


class Console:
    """`say` prints a line on standard output, `complain` one on standard error.

    Where both are the same file they share an outlet, so that the lines keep their order.
    Raises RuntimeError when the system gives no thread.
    """

    def __init__(self) -> None:
        self.out = Outlet(Descriptor(_STDOUT), "stdout", _about)
        same = _same_file(_STDOUT, _STDERR)
        self.error = self.out if same else Outlet(Descriptor(_STDERR), "stderr", _about)

    def say(self, text: str) -> None:
        """A line (or several) for standard output."""
        self.out.put(text + "\n")

    def complain(self, text: str) -> None:
        """A line (or several) for standard error."""
        self.error.put(text + "\n")

    def close(self) -> None:
        """Write what is left, within a second."""
        for outlet in (self.error, self.out):
            outlet.close(_DISK_FULL_AT_EXIT_S)


def _about(text: str) -> str:
    return f"==> {text}\n"


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
