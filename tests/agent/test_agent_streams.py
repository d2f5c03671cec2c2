"""No reader of its output, and no disk under it, stops or ends an agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent_process import one_agent, program
from patience import PATIENCE_S
from server_processes import until

pytestmark = pytest.mark.process


def full_pipe() -> tuple[int, int]:
    """A pipe that takes no byte more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(writing, b"\n" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize("log_json", [False, True])
def test_a_reader_that_does_not_read_stops_nothing(tmp_path: Path, log_json: bool) -> None:
    reading, writing = full_pipe()
    keys = {"leave_on_terminate": True, "log_level": "TRACE", "log_json": log_json}
    with one_agent(tmp_path, **keys) as agent:
        agent.run(stdout=writing, stderr=writing)
        os.close(writing)
        agent.serves()
        agent.write()
        agent.process.send_signal(signal.SIGHUP)
        agent.change(name="changed")  # a reload that has something to say
        agent.process.send_signal(signal.SIGHUP)
        agent.write()
        assert agent.ended() == 0
    os.close(reading)


def test_a_reader_that_comes_back_gets_all_lines(tmp_path: Path) -> None:
    reading, writing = full_pipe()
    with one_agent(tmp_path, log_level="DEBUG") as agent:
        agent.run(stdout=writing)
        os.close(writing)
        agent.serves()
        agent.process.send_signal(signal.SIGTERM)
        with os.fdopen(reading, "rb") as file:
            text = file.read().decode()
        assert agent.process.wait(PATIENCE_S) == 1
    places = [text.index(words) for words in ("Starting", "serves HTTP", "Caught signal")]
    assert places == sorted(places)


def test_a_reader_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    with one_agent(tmp_path, leave_on_terminate=True) as agent:
        process = agent.run(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        agent.serves()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        agent.change(log_level="DEBUG", name="changed")
        process.send_signal(signal.SIGHUP)
        agent.config(0).write_text("{")
        process.send_signal(signal.SIGHUP)
        agent.write()
        assert agent.ended() == 0


def test_it_starts_with_its_output_on_a_full_disk(tmp_path: Path) -> None:
    with one_agent(tmp_path) as agent, Path("/dev/full").open("wb") as full:
        agent.run(stdout=full, stderr=full)
        agent.serves()
        agent.process.send_signal(signal.SIGHUP)
        agent.write()
        assert agent.ended() == 1


def test_closed_streams_are_no_place_for_its_data(tmp_path: Path) -> None:
    with one_agent(tmp_path, log_level="TRACE") as agent:
        line = 'exec "$@" <&- >&- 2>&-'
        agent.processes[0] = subprocess.Popen(["/bin/sh", "-c", line, "sh", *agent.command(0)])
        agent.serves()
        agent.write()
        links = [f"/proc/{agent.process.pid}/fd/{number}" for number in (0, 1, 2)]
        assert [Path(link).readlink() for link in links] == [Path("/dev/null")] * 3
        assert agent.ended() == 1


@pytest.mark.parametrize("shell", ["2>&-", ">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_commands_work_with_closed_streams(shell: str) -> None:
    done = program("version", shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("Quorate" in done.stdout) == (">&- " not in f"{shell} " or shell == "2>&-")


def test_a_command_that_fails_says_nothing_of_its_closed_stderr() -> None:
    done = program("nope", shell="2>&-")
    assert done.returncode == 127
    assert "Usage" in done.stdout


def test_no_thread_to_be_had_is_named() -> None:
    code = (
        "import sys, threading\n"
        "from quorate.cli.main import main\n"
        'def refuse(self): raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = refuse\n"
        "sys.exit(main(['agent', '-dev']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no thread (can't start new thread); raise the limit" in done.stderr


def test_lines_that_are_lost_are_a_metric(tmp_path: Path) -> None:
    keys = {"telemetry": {"prometheus_metrics": True}}
    with one_agent(tmp_path, **keys) as agent, Path("/dev/full").open("wb") as full:
        agent.run(stdout=full)
        agent.serves()

        def lost() -> bool:
            lines = agent.ask(0, "/v1/metrics?format=prometheus").text.splitlines()
            counts = [line for line in lines if line.startswith("quorate_log_dropped")]
            return any(float(line.split()[-1]) > 0 for line in counts)

        until(lost, "the metric")


def test_prometheus_finds_what_its_conventions_name(tmp_path: Path) -> None:
    keys = {"telemetry": {"prometheus_metrics": True, "disable_hostname": True}}
    with one_agent(tmp_path, **keys) as agent:
        agent.run()
        agent.serves()
        agent.write()

        def complete() -> bool:
            lines = agent.ask(0, "/v1/metrics?format=prometheus").text.splitlines()
            values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            return (
                values.get("quorate_raft_isLeader") == "1.0"
                and float(values.get("quorate_raft_write_seconds_count", 0)) >= 1
                and float(values.get("quorate_http_request_seconds_count", 0)) >= 1
                and float(values.get("quorate_disk_sync_seconds_count", 0)) >= 1
                and float(values.get("nomad_http_request_total", 0)) >= 1
                and float(values.get("process_open_fds", 0)) > 0
                and float(values["process_open_fds"]) <= float(values["process_max_fds"])
                and float(values["process_cpu_seconds_total"]) > 0
                and float(values["process_resident_memory_bytes"]) > 1e6
                and abs(float(values["process_start_time_seconds"]) - time.time()) < 120
            )

        until(complete, "all measurements")
