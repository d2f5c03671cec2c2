"""A full disk on every server: writes are refused in words, reads go on, writes resume."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_processes import Servers, running, until

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system"),
]

SCHEDULER = "/v1/operator/scheduler/configuration"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def write(servers: Servers, number: int) -> tuple[int, str]:
    answer = servers.ask(number, SCHEDULER, "PUT", {"SchedulerAlgorithm": "spread"})
    return answer.status, answer.text


def test_a_full_disk_refuses_writes_and_nothing_else(small_disk: Path) -> None:
    with running(small_disk) as servers:
        leader = servers.leader()
        assert write(servers, leader)[0] == 200
        term = servers.stats(leader)["term"]
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        until(lambda: write(servers, leader)[0] == 507, "writes to be refused")
        status, text = write(servers, leader)
        assert (status, "no space left" in text) == (507, True)
        assert servers.ask(leader, SCHEDULER).json["SchedulerConfig"]["SchedulerAlgorithm"]
        follower = (leader + 1) % 3
        assert servers.ask(follower, "/v1/operator/raft/configuration").status == 200
        assert servers.stats(leader)["disk_full"] == "true"
        ballast.unlink()
        until(lambda: write(servers, leader)[0] == 200, "writes to resume")
        assert servers.stats(leader)["term"] == term
        servers.kill(0, 1, 2)
        servers.start()
        assert write(servers, servers.leader())[0] == 200
