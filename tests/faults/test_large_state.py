"""A follower of a large state is wiped: it catches up by snapshot, and nobody calls an election."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import big_replica
import pytest
from lengths import cases, huge
from server_processes import free_ports, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(540)]

VALUE_BYTES = 64 << 10


class Replicas:
    """Three processes of `big_replica.py`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = {str(n): f"127.0.0.1:{port}" for n, port in enumerate(free_ports(3))}
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, *names: str, options: tuple[str, ...] = ()) -> None:
        for name in names or tuple(self.servers):
            folder = str(self.folder / name)
            self.processes[name] = subprocess.Popen(
                [
                    sys.executable,
                    big_replica.__file__,
                    name,
                    json.dumps(self.servers),
                    folder,
                    *options,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def ask(self, name: str, **what: Any) -> dict[str, Any]:
        process = self.processes[name]
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def status(self, name: str) -> dict[str, Any]:
        return self.ask(name, do="status")

    def leader(self) -> str:
        """Who leads; empty if nobody does."""
        return next((n for n in self.servers if self.status(n)["leads"]), "")

    def kill(self, *names: str) -> None:
        for name in names or tuple(self.processes):
            with self.processes.pop(name) as process:
                process.kill()


@contextmanager
def running(folder: Path) -> Iterator[Replicas]:
    replicas = Replicas(folder)
    replicas.start()
    try:
        yield replicas
    finally:
        replicas.kill()


@pytest.mark.parametrize(
    ("state_bytes", "limit_s"),
    [*cases([(32 << 20, 60.0)], [(100 << 20, 120.0)]), huge(1 << 30, 400.0)],
)
def test_a_wiped_follower_of_a_large_state_catches_up_without_an_election(
    tmp_path: Path, state_bytes: int, limit_s: float
) -> None:
    with running(tmp_path) as replicas:
        count = state_bytes // VALUE_BYTES

        def filled() -> bool:
            found = until(replicas.leader, "a leader", 60)
            status = replicas.ask(found, do="fill", count=count, bytes=VALUE_BYTES)
            return bool(status["leads"] and status["keys"] == count)

        until(filled, "the state to be written", limit_s)
        leader = replicas.leader()
        assert leader
        until(lambda: replicas.status(leader)["snapshot"] > 0, "a snapshot", 60)
        follower, other = [n for n in replicas.servers if n != leader]
        before = {n: replicas.status(n) for n in (leader, other)}
        replicas.kill(follower)
        shutil.rmtree(tmp_path / follower)
        del replicas.servers[follower]
        replicas.ask(leader, do="steady", on=True)
        began = time.monotonic()
        # Its votes are lost with its disk: it comes back as another server.
        follower = f"{follower}-again"
        (port,) = free_ports(1)
        replicas.servers[follower] = f"127.0.0.1:{port}"
        replicas.start(follower, options=("--join",))

        def caught_up() -> bool:
            newest = replicas.status(leader)["newest"]
            now = replicas.status(follower)
            return bool(now["keys"] == count + 1 and now["newest"] >= newest > 10)

        until(caught_up, "the wiped follower to catch up", limit_s)
        took = time.monotonic() - began
        threading.Event().wait(1.0)
        after = {n: replicas.status(n) for n in replicas.servers}
    print(
        f"{state_bytes >> 20} MiB caught up in {took:.1f} s; {after[leader]['written']} writes "
        f"meanwhile, the slowest {after[leader]['slowest_s']:.2f} s; largest process "
        f"{max(s['resident_max_bytes'] for s in after.values()) >> 20} MiB"
    )
    assert after[follower]["bytes"] >= state_bytes
    assert {s["term"] for s in after.values()} == {before[leader]["term"]}
    assert after[follower]["elections"] == 0
    for name, status in before.items():
        assert after[name]["elections"] == status["elections"]
