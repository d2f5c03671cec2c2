"""Lines leave through a bounded queue, in order; what does not fit is counted and told."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

import pytest

from quorate.agent import outlet as module
from quorate.agent.log_file import LogFile
from quorate.agent.outlet import Descriptor, Outlet
from quorate.loglines.formats import JsonFormatter


class Slow:
    """A sink that takes lines while `open` is set, and fails with `error` if there is one."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.error: OSError | None = None
        self.text = ""

    def write(self, text: str) -> None:
        self.entered.set()
        assert self.open.wait(30)
        if self.error is not None:
            raise self.error
        self.text += text


def told(text: str) -> str:
    return f"# {text}\n"


def test_what_does_not_fit_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINES_MAX", 5)
    sink = Slow()
    outlet = Outlet(sink, "test", told)
    outlet.put("first\n")
    assert sink.entered.wait(10)
    for number in range(20):
        outlet.put(f"{number}\n")
    assert outlet.dropped == 15
    sink.open.set()
    assert outlet.flush(10)
    outlet.put("last\n")
    outlet.close(10)
    lines = sink.text.splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["first", *"01234", "last"]
    assert "# 15 lines are missing here: the queue of lines was full" in lines


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_MAX", 100)
    sink = Slow()
    outlet = Outlet(sink, "test", told)
    outlet.put("first\n")
    assert sink.entered.wait(10)
    outlet.put("x" * 99 + "\n")
    outlet.put("y\n")
    assert outlet.dropped == 1
    sink.open.set()
    outlet.close(10)


def test_a_sink_that_fails_costs_its_lines_only() -> None:
    sink = Slow()
    sink.open.set()
    sink.error = OSError(28, "No space left on device")
    outlet = Outlet(sink, "test", told)
    outlet.put("lost\nlost\n")
    assert outlet.flush(10)
    assert outlet.dropped == 2
    sink.error = None
    outlet.put("kept\n")
    outlet.close(10)
    what = "2 lines are missing here: [Errno 28] No space left on device"
    assert sink.text == f"# {what}\nkept\n"


def test_a_sink_that_is_stuck_does_not_hold_up_the_end() -> None:
    sink = Slow()
    outlet = Outlet(sink, "test", told)
    outlet.put("x\n")
    assert not outlet.flush(0.05)
    outlet.close(0.05)
    sink.open.set()


def test_a_pipe_that_does_not_block_gets_all() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    outlet = Outlet(Descriptor(writing), "test", told)
    text = "".join(f"{number}\n" for number in range(5000)) * 10
    for start in range(0, len(text), 1000):
        outlet.put(text[start : start + 1000])
    received = b""
    while len(received) < len(text):
        received += os.read(reading, 65536)
    outlet.close(10)
    os.close(reading)
    os.close(writing)
    assert received.decode() == text


def lines_in(folder: Path) -> list[str]:
    """All lines of all files, the oldest file first."""
    files = [*sorted(folder.glob("q-*.log")), folder / "q.log"]
    return [line for file in files for line in file.read_text().splitlines()]


def test_rotation_by_size_loses_no_line(tmp_path: Path) -> None:
    complaints: list[str] = []
    path = tmp_path / "q.log"
    file = LogFile(path, seconds=60, bytes_max=100, files_max=0, trouble=complaints.append)
    for number in range(500):
        file.write(f"line {number}\n")
    assert lines_in(tmp_path) == [f"line {number}" for number in range(500)]
    assert len(list(tmp_path.iterdir())) > 40
    assert all(each.stat().st_size <= 100 for each in tmp_path.iterdir())
    assert complaints == []


def test_only_so_many_old_files_are_kept_and_no_other_file_goes(tmp_path: Path) -> None:
    (tmp_path / "q-notes.log").write_text("mine")
    file = LogFile(
        tmp_path / "q.log", seconds=60, bytes_max=50, files_max=3, trouble=lambda _: None
    )
    for number in range(100):
        file.write(f"line {number}\n")
    names = sorted(each.name for each in tmp_path.iterdir())
    assert len(names) == 5
    assert "q-notes.log" in names
    newest = [line for line in lines_in(tmp_path) if line != "mine"]
    assert newest[-1] == "line 99"


def test_rotation_by_time_begins_a_file(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "q.log", seconds=0, bytes_max=0, files_max=0, trouble=lambda _: None)
    file.write("one\n")
    file.write("two\n")
    assert lines_in(tmp_path) == ["one", "two"]
    assert len(list(tmp_path.iterdir())) == 3  # an empty one first, of before the first line


def test_a_line_of_the_log_about_missing_ones_is_json() -> None:
    record = logging.makeLogRecord({"msg": "x", "levelname": "WARN"})
    assert json.loads(JsonFormatter().format(record))["@level"] == "warn"
