"""Signals at any moment, what systemd is told, and log files that other programs rename."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from agent_process import OneAgent, one_agent
from patience import PATIENCE_S
from server_processes import until

pytestmark = pytest.mark.process


class Reading:
    """A configuration file that an agent waits for: a pipe to which nothing is written yet."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "late.json"
        os.mkfifo(self.path)
        self._hold()

    def _hold(self) -> None:
        self._writer = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def _is_open(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, f"ended with {process.returncode}"
        folder = Path(f"/proc/{process.pid}/fd")
        with suppress(OSError):  # one that was closed meanwhile
            return any(each.readlink() == self.path for each in folder.iterdir())
        return False

    def is_waited_for(self, process: subprocess.Popen[bytes]) -> bool:
        """True once the agent has begun to read; then it gets an empty configuration."""
        if not self._is_open(process):
            return False
        os.write(self._writer, b"{}")
        os.close(self._writer)
        until(lambda: not self._is_open(process), "the end of the reading")
        self._hold()
        return True

    def close(self) -> None:
        os.close(self._writer)


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Reading]:
    reading = Reading(tmp_path)
    yield reading
    reading.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[OneAgent]:
    with one_agent(tmp_path) as one:
        yield one


def handled(process: subprocess.Popen[bytes], which: signal.Signals) -> bool:
    """Whether the process has a handler for it."""
    assert process.poll() is None
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask.split()[1], 16) >> (which - 1) & 1)


def test_a_reload_during_the_start_is_kept(agent: OneAgent, late: Reading, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = agent.run(stdout=file, stderr=file, more=["-config", str(late.path)])
    until(lambda: handled(process, signal.SIGHUP), "a handler")
    process.send_signal(signal.SIGHUP)
    until(lambda: late.is_waited_for(process), "the configuration to be read")
    until(lambda: "Caught signal: hangup" in log.read_text(), log.read_text)
    until(lambda: late.is_waited_for(process), "the configuration to be read again")
    agent.serves()
    assert log.read_text().index("agent started!") < log.read_text().index("hangup")


def test_a_reload_reads_the_wrapping_keys_again(agent: OneAgent, tmp_path: Path) -> None:
    key, log, more = tmp_path / "key", tmp_path / "log", tmp_path / "more.hcl"
    key.touch(0o600)
    one, other = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    key.write_text(one)
    more.write_text(f'server {{ wrapping_key_file = "{key}" }}')
    with log.open("wb") as file:
        process = agent.run(stdout=file, stderr=file, more=["-config", str(more)])
    agent.serves()
    key.write_text(f"{other}\n{one}")
    process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded the wrapping keys: Wrapping(" in log.read_text(), log.read_text)
    assert one not in log.read_text()
    key.write_text("rubbish")
    process.send_signal(signal.SIGHUP)
    until(lambda: "key 1 is not base64 of 32 bytes" in log.read_text(), log.read_text)
    assert agent.ask(0, "/v1/agent/health").status == 200


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_the_start_stops(
    agent: OneAgent, late: Reading, which: signal.Signals
) -> None:
    process = agent.run(more=["-config", str(late.path)])
    until(lambda: handled(process, signal.SIGHUP), "a handler")
    assert agent.ended(which) == 1


def test_a_stop_comes_before_a_reload_that_waits(agent: OneAgent, late: Reading) -> None:
    process = agent.run(more=["-config", str(late.path)])
    until(lambda: late.is_waited_for(process), "the configuration to be read")
    agent.serves()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    watch = agent.stopwatch()
    assert agent.ended() == 1  # nobody writes what the reload waits for
    assert watch.seconds() < 10


@pytest.mark.skipif(not shutil.which("unshare"), reason="process 1 is made by unshare")
def test_as_process_1_it_hears_all_signals(agent: OneAgent, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["unshare", "--pid", "--fork", "--kill-child", *agent.command(0)]
    with log.open("wb") as file:
        outer = agent.processes[0] = subprocess.Popen(command, stdout=file, stderr=file)
    until(lambda: outer.poll() is not None or log.stat().st_size, "its first words")
    if "unshare" in log.read_text():
        pytest.skip(log.read_text())
    agent.serves()
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()
    inner = int(children)
    os.kill(inner, signal.SIGHUP)
    until(lambda: "Caught signal: hangup" in log.read_text(), log.read_text)
    os.kill(inner, signal.SIGTERM)
    assert outer.wait(PATIENCE_S) == 1


# -- systemd ---------------------------------------------------------------------------------


class Manager:
    """Plays systemd: the socket of NOTIFY_SOCKET, and all that was said to it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.socket.settimeout(20)
        self.said: list[dict[str, str]] = []

    def close(self) -> None:
        self.socket.close()

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, **more}

    def hears(self, name: str, value: str = "") -> dict[str, str]:
        """The next message with that name (and a value that contains `value`)."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            message = dict(line.split("=", 1) for line in lines)
            self.said.append(message)
            if name in message and value in message[name]:
                return message

    def hears_no_more(self, name: str) -> None:
        """Returns when nothing is heard for two seconds."""
        self.socket.settimeout(2)
        with contextlib.suppress(TimeoutError):
            while True:
                self.hears(name)
        self.socket.settimeout(20)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_of_a_life(agent: OneAgent, tmp_path: Path, abstract: bool) -> None:
    address = f"@quorate-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with contextlib.closing(Manager(address)) as manager:
        agent.run(environment=manager.environment())
        manager.hears("READY")
        assert agent.ask(0, "/v1/agent/self").status == 200  # ready means: it serves
        manager.hears("STATUS", "leads 1 server")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        agent.process.send_signal(signal.SIGHUP)
        message = manager.hears("RELOADING")
        assert before <= int(message["MONOTONIC_USEC"]) <= before + 60_000_000
        manager.hears("READY")
        agent.config(0).write_text("{")
        agent.process.send_signal(signal.SIGHUP)
        manager.hears("RELOADING")
        manager.hears("READY")  # a broken file is no reason to count as reloading for ever
        agent.process.send_signal(signal.SIGTERM)
        manager.hears("STOPPING")
        assert agent.process.wait(PATIENCE_S) == 1
        assert not any("WATCHDOG" in message for message in manager.said)


def test_the_watchdog_is_fed_while_the_loop_turns(agent: OneAgent, tmp_path: Path) -> None:
    with contextlib.closing(Manager(str(tmp_path / "notify"))) as manager:
        agent.run(environment=manager.environment(WATCHDOG_USEC="200000"))
        for _ in range(3):
            manager.hears("WATCHDOG", "1")
        agent.process.send_signal(signal.SIGSTOP)
        manager.hears_no_more("WATCHDOG")
        agent.process.send_signal(signal.SIGCONT)
        manager.hears("WATCHDOG")


def test_a_manager_that_does_not_read_stops_nothing(agent: OneAgent, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.closing(manager), contextlib.closing(sender):
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"x", manager.address)
        agent.run(environment=manager.environment(WATCHDOG_USEC="20000"))
        agent.serves()
        agent.write()
        assert agent.ended() == 1


@pytest.mark.parametrize("address", ["", "nonsense", "/nonexistent/socket", "vsock:2:1"])
def test_an_address_of_nobody_is_no_harm(agent: OneAgent, address: str) -> None:
    agent.run(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "x"})
    agent.serves()


# -- log files -------------------------------------------------------------------------------


def test_a_renamed_log_file_is_opened_again_at_sighup(tmp_path: Path) -> None:
    path, old = tmp_path / "q.log", tmp_path / "q.log.1"
    with one_agent(tmp_path, log_file=str(path), log_level="DEBUG") as agent:
        out = tmp_path / "out"
        with out.open("wb") as file:
            agent.run(stdout=file)
        agent.serves()
        path.rename(old)
        agent.change(log_level="TRACE")
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: "reloaded log_level" in path.read_text(), "the line in the new file")
        assert agent.ended() == 1
        logged = [line for line in out.read_text().splitlines() if line.startswith("    20")]
        both = old.read_text().splitlines() + path.read_text().splitlines()
        assert both == logged
        assert old.read_text()


def test_a_file_that_cannot_be_opened_again_is_named_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "q.log"
    with one_agent(tmp_path, log_file=str(path)) as agent:
        out = tmp_path / "out"
        with out.open("wb") as file:
            agent.run(stdout=file)
        agent.serves()
        folder.rename(tmp_path / "moved")
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: f"log_file: cannot open {path} again: No such file" in out.read_text(), "it")
        text = (tmp_path / "moved" / "q.log").read_text
        until(lambda: "cannot open" in text(), "the line in the old file")


def test_a_log_file_that_cannot_be_written_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with one_agent(tmp_path, log_file=str(tmp_path / "file" / "q.log")) as agent:
        command = [sys.executable, "-m", "quorate", "agent", "-config", str(agent.config(0))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    path = json.dumps(str(tmp_path / "file" / "q.log"))[1:-1]
    assert f"==> log_file: cannot write to {path}: " in done.stderr.splitlines()[-1]
