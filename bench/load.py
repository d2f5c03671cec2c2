"""The load: wrk for all that speak HTTP, a rival's own client for one that does not.

One thread (wrk) or one process, a number of connections, a number of seconds.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

SPARE_S = 20
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_MEDIAN = re.compile(r"^\s+50%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKET = re.compile(r"Socket errors: (.*)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Request(NamedTuple):
    """What is sent again and again.

    With `keys` the URL has a verb of `%` for the number of a key, from 0 to `keys` - 1 in turn.
    """

    url: str
    method: str = "GET"
    body: str = ""
    content_type: str = "application/json"
    keys: int = 0

    def first(self) -> Request:
        """The request of the first key alone."""
        return self._replace(url=self.url % 0, keys=0) if self.keys else self


class Command(NamedTuple):
    """A load program of a rival. It takes `-clients` and `-seconds`, and prints its figures.

    One line of JSON with `per_second` and `median_ms`; any failed request ends it with status 1.
    """

    argv: tuple[str, ...]


Work = Request | Command


class Measure(NamedTuple):
    """What the load tool said: answers per second, and the median time of one."""

    per_second: float
    median_ms: float


class LoadFailed(Exception):
    """The load could not be made, or not every request was answered with success."""


def load_tool() -> str:
    """The path of wrk. Raises LoadFailed where it is not installed."""
    found = shutil.which("wrk")
    if found is None:
        raise LoadFailed("wrk is not installed; it is in the package wrk of Debian")
    return found


def measure(work: Work, connections: int, seconds: int) -> Measure:
    """Do `work` over `connections` for `seconds`. Raises LoadFailed on any failed answer."""
    if isinstance(work, Command):
        return run_command(work, connections, seconds)
    return _wrk(work, connections, seconds)


def run_command(work: Command, clients: int, seconds: float, spare_s: float = SPARE_S) -> Measure:
    """Run a rival's load program; with 0 seconds each client writes once. Raises LoadFailed."""
    argv = [*work.argv, f"-clients={clients}", f"-seconds={seconds}"]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=seconds + spare_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{argv[0]} did not end in time") from error
    if done.returncode:
        raise LoadFailed(done.stderr.strip() or f"{argv[0]} ended with {done.returncode}")
    figures = json.loads(done.stdout)
    return Measure(float(figures["per_second"]), float(figures["median_ms"]))


def _wrk(request: Request, connections: int, seconds: int) -> Measure:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_lua(request))
        script.flush()
        argv = [load_tool(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        done = subprocess.run(
            [*argv, "-s", script.name, request.first().url],
            capture_output=True,
            text=True,
            timeout=seconds + SPARE_S,
            check=False,
        )
    return read(done.stdout + done.stderr)


def _lua(request: Request) -> str:
    lines = [
        f"wrk.{name} = {json.dumps(value)}"
        for name, value in (
            ("method", request.method),
            ("body", request.body),
            ('headers["Content-Type"]', request.content_type),
        )
        if value
    ]
    if request.keys:
        path = "/" + request.url.split("/", 3)[3]
        lines += [
            "local number = 0",
            "request = function()",
            f"  number = (number + 1) % {request.keys}",
            f"  return wrk.format(nil, string.format({json.dumps(path)}, number))",
            "end",
        ]
    return "\n".join(lines)


def read(printed: str) -> Measure:
    """The figures in what wrk printed. Raises LoadFailed."""
    rate, median = _RATE.search(printed), _MEDIAN.search(printed)
    if rate is None or median is None:
        raise LoadFailed(printed.strip() or "wrk printed nothing")
    failed, broken = _FAILED.search(printed), _SOCKET.search(printed)
    if failed is not None:
        raise LoadFailed(f"{failed[1]} answers were refusals")
    if broken is not None:
        raise LoadFailed(f"socket errors: {broken[1]}")
    return Measure(float(rate[1]), float(median[1]) * _MS[median[2]])


def version() -> str:
    """What `wrk -v` says in its first line."""
    done = subprocess.run(
        [load_tool(), "-v"], capture_output=True, text=True, timeout=10, check=False
    )
    return (done.stdout or done.stderr).splitlines()[0].partition(" Copyright")[0].strip()


def lines_of(path: Path, count: int = 15) -> str:
    """The end of a log, for a message."""
    text = path.read_text(errors="replace") if path.exists() else "(no log)"
    return "\n".join(text.splitlines()[-count:])
