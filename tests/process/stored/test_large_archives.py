"""A large state is saved and restored: what the server and the command take for that in memory."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lengths import cases, huge
from server_processes import Servers, running, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]

MEBI = 1 << 20
VALUE_BYTES = 32_000
AT_ONCE = 12  # in one entry of the log, of 512 KiB at most
STREAM_MAX = 96 * MEBI
"""What a body of any size may take at once, on its way through buffers, pieces and a digest."""


def fill(servers: Servers, size: int) -> int:
    """Write variables of so many bytes in all; how many there are."""
    number = 0
    while number * VALUE_BYTES < size:
        operations = []
        for _ in range(AT_ONCE):
            value = secrets.token_hex(VALUE_BYTES // 2)
            operations.append({"Op": "set", "Path": f"large/{number}", "Items": {"v": value}})
            number += 1
        until(partial(_written, servers, operations), "a write of variables", 120.0)
    return number


def _written(servers: Servers, operations: list[dict[str, Any]]) -> bool:
    """A write that may not stand is written once more: it says the same."""
    answer = servers.ask(0, "/v1/vars/write", "PUT", {"Operations": operations}, 60.0)
    assert answer.status in {200, 500, 503, 507}, answer.text
    return answer.status == 200


class Memory:
    """Of a process that runs: the most since it was last `restart`ed, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")

    def restart(self) -> int:
        """Count from now on; what it has."""
        (self._process / "clear_refs").write_text("5")
        return self.most()

    def most(self) -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", (self._process / "status").read_text())
        assert found is not None
        return int(found[1]) * 1024


def memory_of(servers: Servers, *words: str) -> int:
    """A command, which must succeed; the most that it ever had in memory, in bytes."""
    address = f"http://127.0.0.1:{servers.http[0]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "quorate", *words],
        env={**os.environ, "QUORATE_ADDR": address},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return usage.ru_maxrss * 1024


@pytest.mark.parametrize("size", [*cases([], [200 * MEBI]), huge(2048 * MEBI)])
def test_a_large_state_streams_in_constant_memory(tmp_path: Path, size: int) -> None:
    with running(tmp_path, 1) as servers:
        until(lambda: servers.ask(0, "/v1/operator/upgrade").json["Level"] >= 2, "its level")
        memory = Memory(servers.processes[0].pid)
        before_state = memory.restart()
        count = fill(servers, size)
        archive = tmp_path / "large.snap"
        small = memory_of(servers, "status")

        before = memory.restart()
        command = memory_of(servers, "operator", "snapshot", "save", str(archive))
        saving = memory.most() - before
        assert archive.stat().st_size > size // 4
        print(f"save: server {saving >> 20} MiB, command {command - small >> 20} MiB")
        assert command - small < STREAM_MAX
        assert saving < STREAM_MAX

        before = memory.restart()
        state = before - before_state
        command = memory_of(servers, "operator", "snapshot", "restore", str(archive))
        restoring = memory.most() - before
        print(f"restore: server {restoring >> 20} MiB, command {command - small >> 20} MiB")
        assert command - small < STREAM_MAX
        # The state of the archive is beside the one before until it takes its place.
        assert restoring < 1.5 * state + STREAM_MAX
        last = servers.ask(0, f"/v1/var/large/{count - 1}", timeout_s=60.0)
        assert len(last.json["Items"]["v"]) == VALUE_BYTES
