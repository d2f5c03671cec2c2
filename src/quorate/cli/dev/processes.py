"""The server processes of a dev cluster: start, watch, stop.

Each has a process group of its own, so that Ctrl-C in the terminal reaches only us and the
servers are stopped in order.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

from quorate.cli.dev.plan import ServerPlan

GRACE_S = 5.0
TAIL_LINES = 10


def agent_argv(server: ServerPlan) -> list[str]:
    """The command that runs a server."""
    return [sys.executable, "-m", "quorate", "agent", "-config", str(server.config)]


class ServerProcess:
    """One running server; its output goes to its log file."""

    def __init__(self, plan: ServerPlan) -> None:
        self.plan = plan
        self.reported = False
        with plan.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and files
                agent_argv(plan),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._process.poll()

    def last_lines(self) -> list[str]:
        """The end of what it wrote since it was started."""
        with self.plan.log.open("rb") as log:
            log.seek(self._log_start)
            return [line.decode(errors="replace").rstrip() for line in deque(log, TAIL_LINES)]

    def signal(self, number: int) -> None:
        """Send a signal; one that has ended is left alone."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """True once it has ended, False if it has not within `timeout_s` seconds."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


def stop_all(
    processes: Sequence[ServerProcess], hurry: Callable[[], bool] = lambda: False
) -> list[ServerProcess]:
    """Stop all by SIGINT, after 5 s (or when `hurry` says so) by SIGKILL; returns the killed."""
    for process in processes:
        process.signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    killed: list[ServerProcess] = []
    for process in processes:
        while not process.wait(0.05):
            if hurry() or time.monotonic() > deadline:
                process.signal(signal.SIGKILL)
                process.wait(GRACE_S)
                killed.append(process)
                break
    return killed


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
