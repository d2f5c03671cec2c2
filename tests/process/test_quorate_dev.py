"""`quorate dev` with its real servers: up, explained, stopped; only the data folder stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from server_processes import free_ports, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


def alive(pid: int) -> bool:
    """A process that is neither gone nor a zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_three_servers_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    passing = tmp_path / "tmp"
    passing.mkdir()
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "quorate", "dev", "-servers=3"]
    output = tmp_path / "said"
    with output.open("wb") as said:
        process = subprocess.Popen(
            [*command, f"-http-port={min(port, 60_000)}"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(passing)},
        )
    children: list[int] = []
    try:
        until(lambda: "Ctrl-C stops all servers." in output.read_text(), "the explanation", 40)
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        children = [int(pid) for pid in listed.split()]
        assert len(children) == 3
        rows = re.findall(r"^server-\d\.global .*$", output.read_text(), re.MULTILINE)
        assert len(rows) == 3
        assert sum("leader" in row for row in rows) == 1
        process.send_signal(number)
        assert process.wait(20) == 0
        until(lambda: not any(map(alive, children)), "the servers to be gone")
    finally:
        for pid in (process.pid, *children):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)
    (folder,) = passing.iterdir()
    kinds = ("", ".json", ".log")
    assert {path.name for path in folder.iterdir()} == {
        f"server-{number}{kind}" for number in (1, 2, 3) for kind in kinds
    }
    text = output.read_text()
    assert str(folder) in text
    assert "Traceback" not in text
    assert {path.name for path in tmp_path.iterdir()} == {"tmp", "said"}
