"""The sink of audit events: what is written, what is left out, and what a full disk does."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from audit_life import a_life, live_on
from server_cluster import until

from quorate.audit.check import Chained, check_file
from quorate.cli.commands.operator.audit.sources import link_of
from quorate.errors import AuditUnwritable
from quorate.metrics import Metrics
from quorate.server.audit import sink as sinks
from quorate.server.audit.following import Following, known_places
from quorate.server.audit.sink import Answered, Asked, Auth, Filter, RequestMeta, Sink, SinkOptions
from quorate.shapes.audit import AuditRecord
from quorate.state.engine.store import StateStore


class Lines:
    """A file in memory, on a disk that may be full or hang."""

    def __init__(self) -> None:
        self.text = ""
        self.full = False
        self.free = threading.Event()
        self.free.set()
        self.opened = 0
        self.closed = False

    def open(self, _: Callable[[str], None]) -> Lines:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.opened += 1
        return self

    def write(self, text: str) -> None:
        self.free.wait(20)
        if self.full:
            self.text += text[:7]  # a line is cut off
            raise OSError(errno.ENOSPC, "No space left on device")
        self.text += text

    def close(self) -> None:
        self.closed = True

    def tail(self) -> bytes:
        return self.text.encode()

    def events(self) -> list[Any]:
        found = []
        for line in self.text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


def options(lines: Lines, *filters: Filter, enforced: bool = False) -> SinkOptions:
    return SinkOptions(
        name="/x/audit.log",
        opened=lines.open,
        tail=lines.tail,
        enforced=enforced,
        filters=filters,
    )


def asked(endpoint: str = "/v1/agent/self", operation: str = "GET") -> Asked:
    return Asked(
        id="r1",
        operation=operation,
        endpoint=endpoint,
        namespace={"id": "default"},
        request_meta=RequestMeta("10.0.0.9:1", "curl"),
        node_meta={"ip": "s1"},
    )


def with_sink(
    work: Callable[[Sink], Awaitable[None]], chosen: SinkOptions, metrics: Metrics | None = None
) -> None:
    async def run() -> None:
        sink = Sink(chosen, metrics or Metrics(), lambda: "id", lambda: 1_600_000_000.5)
        try:
            await work(sink)
        finally:
            sink.close()

    asyncio.run(run())


def test_an_event_has_the_known_form() -> None:
    lines = Lines()

    async def work(sink: Sink) -> None:
        await sink.received(asked(), Auth("acc", "ann"))
        await sink.completed(asked(), Auth("acc", "ann"), Answered(200))

    with_sink(work, options(lines))
    first, second = lines.events()
    assert first == {
        "created_at": "2020-09-13T12:26:40.500000Z",
        "event_type": "audit",
        "payload": {
            "id": "id",
            "stage": "OperationReceived",
            "type": "audit",
            "timestamp": "2020-09-13T12:26:40.500000Z",
            "version": 1,
            "auth": {"accessor_id": "acc", "name": "ann"},
            "request": {
                "id": "r1",
                "operation": "GET",
                "endpoint": "/v1/agent/self",
                "namespace": {"id": "default"},
                "request_meta": {"remote_address": "10.0.0.9:1", "user_agent": "curl"},
                "node_meta": {"ip": "s1"},
            },
        },
    }
    assert second["payload"]["stage"] == "OperationComplete"
    assert second["payload"]["response"] == {"status_code": 200}
    assert lines.closed


@pytest.mark.parametrize(
    ("chosen", "written"),
    [
        (Filter(), 0),
        (Filter(endpoints=("/v1/agent/*",)), 0),
        (Filter(endpoints=("/v1/metrics",)), 2),
        (Filter(stages=("OperationReceived",)), 1),
        (Filter(operations=("PUT", "DELETE")), 2),
        (Filter(operations=("GET",), stages=("OperationComplete",)), 1),
    ],
)
def test_filters_leave_events_out(chosen: Filter, written: int) -> None:
    lines = Lines()

    async def work(sink: Sink) -> None:
        assert sink.wants("/v1/agent/self", "GET") is (written > 0)
        await sink.received(asked(), Auth())
        await sink.completed(asked(), Auth(), Answered(200))

    with_sink(work, options(lines, chosen))
    assert len(lines.events()) == written


def test_best_effort_waits_for_nothing_and_counts_what_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks, "LINES_MAX", 10)
    lines, metrics = Lines(), Metrics()
    lines.free.clear()

    async def work(sink: Sink) -> None:
        for _ in range(50):  # the disk hangs
            await sink.received(asked(), Auth())
        lines.free.set()

    with_sink(work, options(lines), metrics)
    written = len(lines.events())
    assert 10 <= written <= 21
    assert metrics.counter("quorate.audit.sink_dropped").count == 50 - written


def test_a_full_disk_refuses_where_delivery_is_enforced_and_the_next_line_is_whole() -> None:
    lines = Lines()

    async def work(sink: Sink) -> None:
        lines.full = True
        with pytest.raises(AuditUnwritable, match=r"/x/audit\.log: No space left"):
            await sink.received(asked(), Auth())
        lines.full = False
        await sink.received(asked(), Auth())
        lines.full = True
        with pytest.raises(AuditUnwritable):
            await sink.received(asked(), Auth())
        lines.full = False
        await sink.received(asked("/v1/after"), Auth())

    with_sink(work, options(lines, enforced=True))
    assert [each["payload"]["request"]["endpoint"] for each in lines.events()] == [
        "/v1/agent/self",
        "/v1/after",
    ]


class Machine:
    """What the sink follows."""

    def __init__(self, store: StateStore) -> None:
        self.store = store

    def readable(self) -> StateStore:
        return self.store


def records(lines: Lines) -> list[Chained]:
    found = []
    for each in lines.events():
        payload = each["payload"]
        record = msgspec.convert(payload["record"], AuditRecord)
        found.append(
            Chained(
                link=link_of(record),
                hash=bytes.fromhex(record.hash),
                before=bytes.fromhex(payload.get("before", "")),
            )
        )
    return found


def test_records_of_the_journal_follow_and_prove_themselves_over_restarts() -> None:
    lines, store = Lines(), a_life()

    async def follow(sink: Sink, wanted: int) -> None:
        following = Following(Machine(store), sink)  # type: ignore[arg-type]
        task = asyncio.get_running_loop().create_task(following.run())
        await until(lambda: len(lines.events()) == wanted)
        task.cancel()

    with_sink(lambda sink: follow(sink, 20), options(lines))
    assert check_file("f", records(lines)) == ([], 0)
    live_on(store, range(5, 7))  # while no server was there
    with_sink(lambda sink: follow(sink, 28), options(lines))
    assert check_file("f", records(lines)) == ([], 0)
    assert lines.events()[-1]["payload"]["head"] != lines.events()[0]["payload"]["head"]


def test_what_a_file_holds_is_known_by_its_last_lines() -> None:
    assert known_places(b"") == {}
    assert known_places(b'garbage "RecordEntered" "Lane":"other","Number":3,\n') == {}
    line = b'{"payload":{"stage":"RecordEntered","record":{"Lane":"act","Number":41,"Index":5}}}\n'
    assert known_places(line * 2) == {"act": 42}
