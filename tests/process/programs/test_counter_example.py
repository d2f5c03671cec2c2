"""The example of the library: three processes, one counter, a killed leader."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S
from places import ROOT
from server_processes import free_ports, until

pytestmark = pytest.mark.process

EXAMPLE = ROOT / "examples" / "counter.py"


def say(port: int, line: str) -> str:
    """What a server answers to a line."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(line.encode() + b"\n")
        return connection.makefile().readline().strip()


def ask(port: int, line: str) -> int:
    """The number that a server answers; ValueError when it refuses."""
    return int(say(port, line))


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
        gone.wait(PATIENCE_S)
        until(somebody_adds, "a second leader")
        assert ask(leader, "get") >= before + 5
    finally:
        for process in processes.values():
            process.kill()
            process.wait(PATIENCE_S)


class Counters:
    """Processes of the example by server ID; all addresses are settled before the first starts."""

    def __init__(self, folder: Path, names: str) -> None:
        ports = free_ports(2 * len(names))
        self.folder = folder
        self.addresses = dict(zip(names, ports[: len(names)], strict=True))
        self.ports = dict(zip(names, ports[len(names) :], strict=True))
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, servers: str, *options: str, folder: str = "") -> None:
        listed = [f"{each}=127.0.0.1:{self.addresses[each]}" for each in servers]
        where = str(self.folder / (folder or name))
        command = [*options, name, str(self.ports[name]), where, *listed]
        self.running[name] = subprocess.Popen(
            [sys.executable, str(EXAMPLE), *command], stderr=subprocess.PIPE, text=True
        )

    def kill(self, name: str) -> None:
        gone = self.running.pop(name)
        gone.kill()
        gone.communicate(timeout=10)

    def refusal(self, name: str) -> str:
        """What the server said when it ended by itself."""
        ended = self.running.pop(name)
        _, said = ended.communicate(timeout=30)
        assert ended.returncode == 1, said
        return said

    def at_the_leader(self, line: str) -> str:
        """The answer of the server that does not refuse."""
        found = ""

        def answered() -> bool:
            nonlocal found
            for name in self.running:
                with contextlib.suppress(OSError):
                    found = say(self.ports[name], line)
                    if found and not found.startswith("error"):
                        return True
            return False

        until(answered, f"an answer to {line!r}")
        return found


def test_a_fourth_joins_and_a_lost_disk_comes_back_under_a_new_id(tmp_path: Path) -> None:
    counters = Counters(tmp_path, "abcde")
    try:
        for name in "abc":
            counters.start(name, "abc")
        assert counters.at_the_leader("add 5") == "5"
        counters.start("d", "abcd", "--join")
        until(lambda: "d(no vote)" in counters.at_the_leader("members"), "d is taken in")
        counters.at_the_leader("promote d")
        assert set(counters.at_the_leader("members").split()) == set("abcd")
        # The disk of b is lost: under its ID it would vote twice.
        counters.kill("b")
        shutil.rmtree(tmp_path / "b")
        counters.start("b", "abc")
        said = counters.refusal("b")
        assert "another key than the one on record" in said
        assert "new server ID" in said
        counters.start("e", "acde", "--join")
        until(lambda: "e(no vote)" in counters.at_the_leader("members"), "e is taken in")
        counters.at_the_leader("promote e")
        counters.at_the_leader("remove b")
        assert set(counters.at_the_leader("members").split()) == set("acde")
        # Three of four make a majority, two of them joiners.
        counters.kill("a")
        assert counters.at_the_leader("add 2") == "7"
        # One folder is for one process.
        counters.start("a", "acde")
        until(lambda: say(counters.ports["a"], "members") != "", "a listens again")
        counters.ports["x"], counters.addresses["x"] = free_ports(2)
        counters.start("x", "acdex", "--join", folder="a")
        assert "use" in counters.refusal("x")
    finally:
        for name in list(counters.running):
            counters.kill(name)
