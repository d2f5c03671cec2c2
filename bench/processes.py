"""Three server processes on loopback: started, killed, started again, weighed, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.load import Command, LoadFailed, Request, Work, lines_of, run_command

SERVERS = 3
START_TIMEOUT_S = 30.0
POLL_S = 0.02

T = TypeVar("T")


class ServerProcess:
    """One process with its log; `argv` starts it, now and again."""

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        self._argv = list(argv)
        self._log = log
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when it is gone."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def check(self) -> None:
        """Raises LoadFailed with the end of the log if the process has ended."""
        if self._process.poll() is not None:
            raise LoadFailed(
                f"{self._argv[0]} ended with {self._process.returncode}:\n{lines_of(self._log)}"
            )

    def processor_s(self) -> float:
        """Processor time that it has taken, in seconds."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Resident memory of the process in megabytes (10^6 bytes)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kilobytes.split()[1]) * 1024 / 1e6


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def done(work: Work, timeout_s: float = 2.0) -> bool:
    """True if the work, done once, was answered with success in time."""
    if isinstance(work, Request):
        return ask(work.first(), timeout_s) is not None
    try:
        run_command(Command((*work.argv, f"-timeout={timeout_s}s")), 1, 0)
    except LoadFailed:
        return False
    return True


def ask(request: Request, timeout_s: float = 2.0) -> bytes | None:
    """The body of a successful answer; None for any other answer, or none in time."""
    message = urllib.request.Request(
        request.url,
        data=request.body.encode() or None,
        method=request.method,
        headers={"Content-Type": request.content_type},
    )
    try:
        with urllib.request.urlopen(message, timeout=timeout_s) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, urllib.error.URLError):
        return None


def until(what: str, look: Callable[[], T | None], servers: Sequence[ServerProcess]) -> T:
    """What `look` gives once it gives something. Raises LoadFailed after START_TIMEOUT_S."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        for server in servers:
            server.check()
        time.sleep(POLL_S)
    raise LoadFailed(f"{what}: not within {START_TIMEOUT_S:.0f} s")
