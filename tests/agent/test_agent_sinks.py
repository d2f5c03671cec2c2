"""The log in syslog and the numbers at a statsd server: bounded, and never a reason to wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_process import one_agent
from patience import PATIENCE_S
from server_processes import until

from quorate.agent.console import Console
from quorate.agent.logs import Logs
from quorate.agent.outlet import Outlet
from quorate.agent.sinks import statsd, syslog
from quorate.agent.sinks.statsd import PACKET_BYTES_MAX, News, Statsd, packets
from quorate.agent.sinks.syslog import LINE_BYTES_MAX, Syslog, SyslogFormatter
from quorate.config import AgentConfig
from quorate.config.checks.endpoint import parse_endpoint
from quorate.config.model import Telemetry
from quorate.loglines.formats import BareFormatter
from quorate.metrics import Metrics, Totals


@contextlib.contextmanager
def listening(path: Path, kind: int = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    daemon = socket.socket(socket.AF_UNIX, kind)
    daemon.settimeout(10)
    daemon.bind(str(path))
    if kind == socket.SOCK_STREAM:
        daemon.listen()
    try:
        yield daemon
    finally:
        daemon.close()
        path.unlink()


def record(level: int, text: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("quorate.server", level, "/x/server/a.py", 7, text, (), info)


def about(text: str) -> str:
    return f"<0>{text}\n"


# -- syslog --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "facility", "priority"),
    [
        (logging.ERROR, "LOCAL0", 16 * 8 + 3),
        (logging.WARNING, "local7", 23 * 8 + 4),
        (logging.INFO, "DAEMON", 3 * 8 + 6),
        (logging.DEBUG, "USER", 1 * 8 + 7),
        (5, "USER", 1 * 8 + 7),
    ],
)
def test_a_line_has_its_priority_time_and_process(level: int, facility: str, priority: int) -> None:
    line = SyslogFormatter(facility, BareFormatter()).format(record(level, "it leads"))
    stamp = r"[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"<{priority}>{stamp} quorate\[\d+\]: \[\w+\] +quorate\.server: it leads", line
    )


def test_each_line_of_a_traceback_is_one_of_syslog() -> None:
    form = SyslogFormatter("USER", BareFormatter())
    with pytest.raises(ValueError, match="odd") as caught:
        parse_endpoint("odd one", 1)
    lines = form.format(record(logging.ERROR, "x", caught.value)).splitlines()
    assert len(lines) >= 4
    assert all(line.startswith("<11>") for line in lines)
    assert lines[-1].endswith('ValueError: "odd one" is no IP address or host name')


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_lines_arrive_over_both_kinds_of_socket(tmp_path: Path, kind: int) -> None:
    with listening(tmp_path / "log", kind) as daemon:
        sink = Syslog(pytest.fail, str(tmp_path / "log"))
        sink.write("<1>one\n<1>two\n" + "x" * 2 * LINE_BYTES_MAX + "\n")
        if kind == socket.SOCK_DGRAM:
            got = [daemon.recv(1 << 16) for _ in range(3)]
        else:
            connection, _ = daemon.accept()
            data = b""
            while data.count(b"\0") < 3:
                data += connection.recv(1 << 16)
            connection.close()
            got = data.split(b"\0")[:3]
        assert got == [b"<1>one", b"<1>two", b"x" * LINE_BYTES_MAX]
        sink.close()


def test_a_daemon_that_comes_goes_and_comes_again(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "log"
    sink = Syslog(told.append, str(path))
    outlet = Outlet(sink, "test", about)
    for number in range(3):
        outlet.put(f"<1>{number}\n")
        assert outlet.flush(10)
    assert outlet.dropped == 3
    assert len(told) == 1, told
    assert f"enable_syslog: cannot send to {path}: No such file" in told[0]
    for text in ("first", "second"):  # the second time at another socket of the same name
        with listening(path) as daemon:
            outlet.put(f"<1>{text}\n")
            lines = [daemon.recv(1 << 16).decode()]
            while lines[-1] != f"<1>{text}":
                lines.append(daemon.recv(1 << 16).decode())
            assert len(lines) == 2 if text == "first" else 1
    outlet.put("<1>gone\n")
    assert outlet.flush(10)
    assert len(told) == 2
    outlet.do(sink.close)
    outlet.close(10)


def test_a_daemon_that_does_not_read_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "SEND_TIMEOUT_S", 0.05)
    told: list[str] = []
    path = tmp_path / "log"
    with listening(path):
        sink = Syslog(told.append, str(path))
        outlet = Outlet(sink, "test", about)
        longest = 0.0
        for number in range(200):
            began = time.monotonic()
            outlet.put(f"<1>{number} {'x' * 4000}\n")
            longest = max(longest, time.monotonic() - began)
        until(lambda: outlet.dropped > 0, "lines that are lost")
        assert longest < 1.0
        assert told
        assert outlet.flush(60), "what waits is given up line by line"
        sink.close()
        outlet.close(10)


def test_the_log_goes_to_syslog_and_to_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(syslog, "PATH", str(tmp_path / "log"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with listening(tmp_path / "log") as daemon:
        console = Console()
        config = AgentConfig(
            enable_syslog=True, syslog_facility="LOCAL3", log_include_location=True, log_json=True
        )
        logs = Logs(config, console)
        try:
            logging.getLogger("quorate.agent").warning("said to both")
            line = daemon.recv(1 << 16).decode()
            assert console.out.flush(10)
        finally:
            logs.close()
            console.close()
            root.handlers[:], root.level = handlers, level
    assert line.startswith("<156>")
    place = r"agent/test_agent_sinks\.py:\d+"
    assert re.search(rf"quorate\[\d+\]: \[WARN\]  {place}: quorate\.agent: said to both$", line)
    assert re.search(rf'"@caller": "{place}"', capfd.readouterr().out)


# -- statsd --------------------------------------------------------------------------------------


def news_of(change: Callable[[Metrics], Any], **labels: str) -> list[bytes]:
    metrics = Metrics(labels=labels)
    metrics.incr("nomad.http.request", 5)
    metrics.sample("quorate.loop.lag_ms", 3.0)
    metrics.histogram("quorate.http.request_seconds").observe(0.5)
    news = News(metrics.labels)
    news.lines(metrics.totals())
    change(metrics)
    return news.lines(metrics.totals())


def test_what_is_sent_of_each_kind() -> None:
    def change(metrics: Metrics) -> None:
        metrics.incr("nomad.http.request", 2)
        metrics.incr("nomad.serf.events")
        metrics.gauge("nomad.raft.appliedIndex", 812)
        metrics.gauge("quorate.below", -5.25)
        metrics.gauge("quorate.odd", float("nan"))
        metrics.sample("quorate.loop.lag_ms", 1.0)
        metrics.sample("quorate.loop.lag_ms", 4.0)
        metrics.histogram("quorate.http.request_seconds").observe(0.25)
        metrics.peers("quorate.raft.peer_lag_entries", {"s:2": 3.0})

    assert news_of(change, host="s1.example") == [
        b"nomad.http.request.s1.example:2|c",
        b"nomad.serf.events.s1.example:1|c",
        b"nomad.raft.appliedIndex.s1.example:812|g",
        b"quorate.below.s1.example:0|g",
        b"quorate.below.s1.example:-5.25|g",
        b"quorate.raft.peer_lag_entries.s_2.s1.example:3|g",
        b"quorate.loop.lag_ms.s1.example:2.5|ms|@0.5",
        b"quorate.http.request_ms.s1.example:250|ms",
    ]
    assert news_of(lambda _: None) == []


def test_packets_fit_into_a_frame() -> None:
    rows = [b"x" * (number % 90) for number in range(1, 500)]
    made = list(packets(rows))
    assert b"\n".join(made).split(b"\n") == rows
    assert max(map(len, made)) <= PACKET_BYTES_MAX
    assert len(made) < 25


class Asked(Metrics):
    """`enough` is set when its numbers were asked for often."""

    def __init__(self) -> None:
        super().__init__()
        self.enough = asyncio.Event()
        self._times = 0

    def totals(self) -> Totals:
        self._times += 1
        if self._times > 20:
            self.enough.set()
        return super().totals()


def test_a_server_that_is_not_there_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
            place.bind(("127.0.0.1", 0))
            port = place.getsockname()[1]
        metrics = Asked()
        metrics.gauge("nomad.raft.term", 3)
        work = asyncio.ensure_future(Statsd("127.0.0.1", port, metrics, 0.01).run())
        await metrics.enough.wait()
        work.cancel()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))
    assert len(caplog.records) == 1
    assert "telemetry.statsd_address: 127.0.0.1:" in caplog.records[0].getMessage()
    assert "Connection refused" in caplog.records[0].getMessage()


def test_a_name_that_does_not_resolve_is_looked_up_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statsd, "LOOK_UP_S", 0.05)
    found: list[Any] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)

        def resolve(host: str, port: int, **_: Any) -> list[Any]:
            found.append((host, port))
            if len(found) < 3:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            kind = (socket.AF_INET, socket.SOCK_DGRAM, 0)
            return [(*kind, "", server.getsockname())]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        metrics = Metrics()
        metrics.gauge("nomad.raft.term", 3)

        async def scenario() -> bytes:
            (sender,) = Statsd.of(
                Telemetry(statsd_address="stats.example", collection_interval_ns=10_000_000),
                metrics,
            )
            work = asyncio.ensure_future(sender.run())
            while True:
                with contextlib.suppress(BlockingIOError):
                    data = server.recv(1 << 16)
                    work.cancel()
                    return data
                await asyncio.sleep(0.01)

        assert asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S)) == b"nomad.raft.term:3|g"
    assert found[0] == ("stats.example", 8125)
    assert len(caplog.records) == 1
    assert "stats.example:8125 is not reached: Name or service" in caplog.records[0].getMessage()


@pytest.mark.process
def test_an_agent_sends_its_numbers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(1)
        telemetry = {
            "statsd_address": f"127.0.0.1:{server.getsockname()[1]}",
            "collection_interval": "100ms",
            "disable_hostname": True,
        }
        with one_agent(tmp_path, telemetry=telemetry) as agent:
            agent.run()
            agent.serves()
            agent.write()
            got: dict[str, str] = {}

            def complete() -> bool:
                for line in server.recv(1 << 16).decode().splitlines():
                    name, _, value = line.partition(":")
                    got[name] = value
                return (
                    got.get("quorate.raft.isLeader") == "1|g"
                    and float(got.get("nomad.raft.appliedIndex", "0|g").partition("|")[0]) > 1
                    and "|c" in got.get("nomad.http.request", "")
                    and "|ms" in got.get("quorate.raft.write_ms", "")
                )

            until(complete, lambda: f"the numbers: {got}")
