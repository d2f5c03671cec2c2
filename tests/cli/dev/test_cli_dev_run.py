"""`quorate dev` with processes: stubs stand for the servers, all else is real."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE_S
from places import SUPPORT
from stopwatch import Stopwatch

STUB = str(SUPPORT / "cli" / "cli_stub_agent.py")
DRIVER = """
import sys
import quorate.cli.dev.processes as processes, quorate.cli.dev.run as run
from quorate.cli.main import main
def agent_argv(server): return [sys.executable, sys.argv[1], str(server.config)]
processes.agent_argv = agent_argv
processes.GRACE_S = 0.5
run.READY_TIMEOUT_S = 2.0
sys.exit(main(sys.argv[2:]))
"""


class Dev:
    """A running `quorate dev` and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said = ""

    def hear(self, text: str) -> str:
        """Read until a line has this text; the line. Ends with the process at the latest."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return line
        raise AssertionError(f"never heard {text!r} in:\n{self.said}")

    def end(self) -> int:
        assert self.process.stdout
        self.said += self.process.stdout.read()
        return self.process.wait(PATIENCE_S)


@contextmanager
def dev(folder: Path, *argv: str) -> Iterator[Dev]:
    command = [sys.executable, "-c", DRIVER, STUB, "dev", f"-data-dir={folder}", *argv]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Dev(process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids_in(folder: Path) -> list[int]:
    """The processes that the logs tell of."""
    logs = "".join(path.read_text() for path in sorted(folder.glob("*.log")))
    return [int(pid) for pid in re.findall(r"^started as (\d+)$", logs, flags=re.MULTILINE)]


# A range of ports of its own, far from the usual ones and from the ephemeral ones.
PORTS = f"-http-port={20000 + os.getpid() % 300 * 40}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_break_down(number: signal.Signals, tmp_path: Path) -> None:
    with dev(tmp_path, PORTS) as cluster:
        cluster.hear("Ctrl-C stops all servers.")
        assert "server-1.global  id-1  127.0.0.1:" in cluster.said
        children = pids_in(tmp_path)
        assert len(children) == 3
        match = re.search(r"kill -9 (\d+)", cluster.said)
        assert match
        victim = int(match[1])
        assert victim in children
        os.kill(victim, signal.SIGKILL)
        assert f"server-1 (pid {victim}) was ended by SIGKILL" in cluster.hear("was ended")
        assert cluster.process.poll() is None
        cluster.process.send_signal(number)
        assert cluster.end() == 0
    assert f"Data and logs stay in {tmp_path}" in cluster.said
    assert not any(map(is_alive, children))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"server-{n}{end}" for n in (1, 2, 3) for end in ("", ".json", ".log")}


def test_a_server_that_was_started_again_by_hand_is_named(tmp_path: Path) -> None:
    with dev(tmp_path, PORTS, "-servers=1") as cluster:
        cluster.hear("Ctrl-C stops all servers.")
        (first,) = pids_in(tmp_path)
        os.kill(first, signal.SIGKILL)
        cluster.hear("none is left")
        with subprocess.Popen(
            [sys.executable, STUB, str(tmp_path / "server-1.json")],
            stdout=subprocess.PIPE,
            text=True,
        ) as by_hand:
            assert by_hand.stdout
            by_hand.stdout.readline()
            cluster.process.send_signal(signal.SIGINT)
            assert cluster.end() == 0
            assert by_hand.poll() is None
            by_hand.send_signal(signal.SIGINT)
    assert "==> server-1 runs in another terminal (http://127.0.0.1:" in cluster.said


def test_the_same_cluster_comes_back(tmp_path: Path) -> None:
    for first, argv in (
        ("==> Starting: 2 servers", [PORTS, "-servers=2"]),
        ("==> Starting again: 2 servers", []),
    ):
        with dev(tmp_path, *argv) as cluster:
            cluster.hear(first)
            cluster.hear("Ctrl-C stops all servers.")
            cluster.process.send_signal(signal.SIGINT)
            assert cluster.end() == 0
    assert len(set(pids_in(tmp_path))) == 4


def last_pid(folder: Path, number: int) -> int:
    """The newest process of a server."""
    words = (folder / f"server-{number}.log").read_text().split()
    return int(words[-1])


def test_two_regions_come_up_and_come_back(tmp_path: Path) -> None:
    for argv in ([PORTS, "-servers=2", "-regions=2"], []):
        with dev(tmp_path, *argv) as cluster:
            cluster.hear("4 servers of 2 regions (global, west) on 127.0.0.1")
            cluster.hear("Region global:")
            cluster.hear("server-2.global")
            cluster.hear("Region west:")
            cluster.hear("server-3.west  id-3  127.0.0.1:")
            cluster.hear("server-4.west  id-4  127.0.0.1:")
            victims = [int(pid) for pid in cluster.hear("kill -9 ").split()[2:]]
            assert victims == [last_pid(tmp_path, 3), last_pid(tmp_path, 4)]
            cluster.hear("Ctrl-C stops all servers.")
            cluster.process.send_signal(signal.SIGINT)
            assert cluster.end() == 0
    assert not any(map(is_alive, pids_in(tmp_path)))


def prepared(folder: Path, name: str) -> None:
    """Lay out one server and put a mark for its stub."""
    with dev(folder, PORTS, "-servers=1") as cluster:
        cluster.hear("Ctrl-C stops all servers.")
    (folder / name).touch()


def test_a_server_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    prepared(tmp_path, "server-1.deaf")
    with dev(tmp_path) as cluster:
        cluster.hear("Ctrl-C stops all servers.")
        watch = Stopwatch(lambda: [cluster.process.pid])
        cluster.process.send_signal(signal.SIGINT)
        assert cluster.end() == 0
        assert watch.seconds() < 5
    assert not any(map(is_alive, pids_in(tmp_path)))


def test_a_cluster_that_cannot_start_says_why_and_ends(tmp_path: Path) -> None:
    prepared(tmp_path, "server-1.broken")
    with dev(tmp_path) as cluster:
        assert cluster.end() == 1
    assert "server-1 (pid" in cluster.said
    assert "exited with code 3" in cluster.said
    assert "    | ==> the disk is on fire" in cluster.said
    assert "Error: all servers ended before there was a leader" in cluster.said
    assert "Data and logs stay in" in cluster.said


def test_a_server_that_dies_while_founding_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others need it: a port was taken between the check and the start, say."""
    monkeypatch.setenv("STUB_BROKEN", "server-2")
    with dev(tmp_path, PORTS, "-servers=3") as cluster:
        assert cluster.end() == 1
    assert "server-2 (pid" in cluster.said
    assert "the disk is on fire" in cluster.said
    assert "Error: server-2 ended before there was a leader" in cluster.said
    assert not any(map(is_alive, pids_in(tmp_path)))
