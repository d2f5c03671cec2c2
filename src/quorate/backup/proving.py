"""Starts the process that checks a backup, and hears what it found. In a thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Final

import msgspec

from quorate.backup.check import UNKNOWN, Job, Result

_GRACE_S: Final = 5
_MODULE: Final = "quorate.backup.check"


class Proof:
    """One check. `stop` ends it, from any thread."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> Result:
        """Waits for its end. Never raises OSError."""
        command = [sys.executable, "-P", "-m", _MODULE]
        try:
            with self._lock:
                if self._stopped:
                    return Result(failed=UNKNOWN, why="the check was stopped")
                process = self._process = subprocess.Popen(  # noqa: S603  our own program
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    # Each arena of malloc takes address space, which is what is bounded.
                    env={**os.environ, "MALLOC_ARENA_MAX": "2"},
                )
        except OSError as error:
            return Result(failed=UNKNOWN, why=f"the check cannot be started: {error}")
        with process:
            try:
                out, _ = process.communicate(
                    msgspec.json.encode(self._job), timeout=self._job.deadline_s + _GRACE_S
                )
            except subprocess.TimeoutExpired:
                process.kill()
                out = b""
        try:
            return msgspec.json.decode(out, type=Result)
        except msgspec.MsgspecError:
            return Result(
                failed=UNKNOWN,
                why=f"the check ended with code {process.returncode} and no result, after at most "
                f"{self._job.deadline_s} s",
            )

    def stop(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
