"""The example of the library: three processes, one counter, a killed leader."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from server_processes import free_ports, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "counter.py"


def ask(port: int, line: str) -> int:
    """The number that a server answers; ValueError when it refuses."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(line.encode() + b"\n")
        return int(connection.makefile().readline())


def test_the_counter_survives_its_leader(tmp_path: Path) -> None:
    names = "abc"
    ports = free_ports(6)
    addresses = [f"{name}=127.0.0.1:{port}" for name, port in zip(names, ports[:3], strict=True)]
    processes: dict[int, subprocess.Popen[bytes]] = {}
    for name, port in zip(names, ports[3:], strict=True):
        command = [sys.executable, str(EXAMPLE), name, str(port), str(tmp_path / name), *addresses]
        processes[port] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        leader = 0

        def somebody_adds() -> bool:
            nonlocal leader
            for port in processes:
                try:
                    total = ask(port, "add 5")
                except (OSError, ValueError):
                    continue
                leader = port
                return total >= 5
            return False

        until(somebody_adds, "a first leader")
        before = ask(leader, "get")
        gone = processes.pop(leader)
        gone.kill()
        gone.wait(10)
        until(somebody_adds, "a second leader")
        assert ask(leader, "get") >= before + 5
    finally:
        for process in processes.values():
            process.kill()
            process.wait(10)
