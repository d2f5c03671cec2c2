"""Events of requests for the audit sink: around every answer, and when a disk is full."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_access import MANAGEMENT
from fake_server import IDS, NOW, FakeServer, answered

from quorate.api.app import HttpApplication
from quorate.api.http.messages import Request
from quorate.api.internal import RpcApplication
from quorate.metrics import Metrics
from quorate.server.audit.sink import Filter, Sink, SinkOptions

REMOVE = b"/v1/operator/raft/peer?id=" + IDS["s1"].encode()
VAR = b"/v1/operator/scheduler/configuration?namespace=team"


class File:
    def __init__(self) -> None:
        self.text = ""
        self.full = False

    def open(self, _: Callable[[str], None]) -> File:
        return self

    def write(self, text: str) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.text += text

    def close(self) -> None:
        pass

    def tail(self) -> bytes:
        return b""

    def payloads(self) -> list[Any]:
        return [json.loads(line)["payload"] for line in self.text.splitlines() if line]


class World:
    """A server with a sink; `control` is its control socket."""

    def __init__(self, *filters: Filter, enforced: bool = False) -> None:
        self.server = FakeServer().write_defaults()
        self.file = File()
        options = SinkOptions(
            name="/a.log",
            opened=self.file.open,
            tail=self.file.tail,
            enforced=enforced,
            filters=filters,
        )
        self.sink = Sink(options, Metrics(), lambda: "e", lambda: NOW)

    def application(self, *, control: bool = False) -> HttpApplication:
        parts = msgspec.structs.replace(self.server.parts(), sink=self.sink)
        return HttpApplication(parts, Metrics(), lambda: NOW, Random(1), control=control)


def request(
    method: str, target: bytes, *headers: tuple[bytes, bytes], body: bytes = b""
) -> Request:
    return Request(method, target, headers, body, remote="10.0.0.9:1")


@asynchronous
async def test_each_request_has_an_event_before_and_one_after_it() -> None:
    world = World()
    world.server.access.turn_on()
    app = world.application()
    token = (b"x-nomad-token", MANAGEMENT.encode())
    assert (await answered(app, request("GET", VAR, token))).status == 200
    assert (await answered(app, request("PUT", VAR, token, body=b"{}"))).status == 200
    assert (await answered(app, request("GET", VAR))).status == 403
    assert (await answered(app, request("GET", b"/nowhere"))).status == 404
    world.sink.close()
    found = world.file.payloads()
    assert [each["stage"] for each in found] == ["OperationReceived", "OperationComplete"] * 4
    assert [each["response"]["status_code"] for each in found[1::2]] == [200, 200, 403, 404]
    first = found[0]["request"]
    assert (first["operation"], first["endpoint"]) == ("GET", VAR.partition(b"?")[0].decode())
    assert first["namespace"] == {"id": "team"}
    assert first["request_meta"]["remote_address"] == "10.0.0.9:1"
    assert [each["auth"].get("accessor_id", "") for each in found[::2]] == ["root", "root", "", ""]
    assert found[5]["response"]["error"] == "Permission denied"
    assert first["id"] == found[1]["request"]["id"] != found[2]["request"]["id"]
    assert MANAGEMENT not in world.file.text


@asynchronous
async def test_the_control_socket_has_events_and_what_servers_pass_on_has_none() -> None:
    world = World()
    await answered(world.application(control=True), request("GET", VAR))
    parts = msgspec.structs.replace(world.server.parts(), sink=world.sink)

    class Answers:
        def door(self, _: object) -> Any:
            return self

        def problem(self) -> str:
            return ""

    rpc = RpcApplication(parts, Metrics(), lambda: NOW, Random(1), Answers())  # type: ignore[arg-type]
    assert (await answered(rpc, request("GET", VAR))).status == 200
    world.sink.close()
    found = world.file.payloads()
    assert [each["auth"]["accessor_id"] for each in found] == ["control", "control"]


@asynchronous
async def test_filters_take_the_cost_away() -> None:
    world = World(Filter(operations=("GET",)))
    app = world.application()
    await answered(app, request("GET", VAR))
    await answered(app, request("PUT", VAR, body=b"{}"))
    world.sink.close()
    assert [each["request"]["operation"] for each in world.file.payloads()] == ["PUT", "PUT"]


@pytest.mark.parametrize("enforced", [False, True])
def test_a_full_disk_refuses_requests_only_if_enforced_and_never_a_removal(enforced: bool) -> None:
    @asynchronous
    async def work() -> None:
        world = World(enforced=enforced)
        world.file.full = True
        app = world.application(control=True)
        answer = await answered(app, request("PUT", VAR, body=b"{}"))
        index = world.server.log_index
        assert answer.status == (500 if enforced else 200)
        if enforced:
            assert b"/a.log: No space left" in answer.body
            assert index == FakeServer().write_defaults().log_index  # nothing was written
        assert (await answered(app, request("DELETE", REMOVE))).status == 200
        assert (await answered(app, request("PUT", b"/v1/operator/raft/compact"))).status == 200
        answer = await answered(app, request("PUT", b"/v1/operator/recovery/abort"))
        assert b"/a.log" not in answer.body
        world.sink.close()

    work()
