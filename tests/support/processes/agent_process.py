"""One real agent, alone in its cluster, whose streams and environment a test chooses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from patience import PATIENCE_S
from server_processes import Answer, Servers, until


class OneAgent(Servers):
    """`keys` go into its configuration, at the top level."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        super().__init__(folder, 1)
        self.prefix: list[str] = []  # what starts it, if it is not started directly
        self.change(**keys)

    def command(self, number: int) -> list[str]:
        return [*self.prefix, *super().command(number)]

    def change(self, **keys: Any) -> None:
        config = json.loads(self.config(0).read_text())
        config.update(keys)
        self.config(0).write_text(json.dumps(config))

    def run(
        self,
        *,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start it with these streams."""
        process = subprocess.Popen(
            [*self.command(0), *more],
            env={**os.environ, **(environment or {})},
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
        )
        self.processes[0] = process
        return process

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.processes[0]

    def serves(self) -> None:
        """Wait until it leads."""
        until(self.ends_or_leads, "a leader")

    def ends_or_leads(self) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}"
        return bool(self.ask(0, "/v1/status/leader").json == self.rpc_address(0))

    def write(self) -> Answer:
        """A write, which goes through Raft and the disk."""
        path = "/v1/operator/scheduler/configuration"
        answer = self.ask(0, path, "PUT", {"SchedulerAlgorithm": "spread"})
        assert answer.status == 200, answer.text
        return answer

    def ended(self, which: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(which)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def one_agent(folder: Path, **keys: Any) -> Iterator[OneAgent]:
    """Configured, not started; gone afterwards."""
    agent = OneAgent(folder, **keys)
    try:
        yield agent
    finally:
        agent.stop_all()


def program(*words: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    """A command of the program, with `shell` behind it (redirections)."""
    line = f'exec "$0" -m quorate "$@" {shell}'
    return subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
