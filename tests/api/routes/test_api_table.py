"""The table of endpoints: each row is what it says, and what is made from the table is current."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from api_server import connected, message, serving
from fake_server import FakeServer, answered
from golden_setups import all_names, load
from places import DOCS
from table_requests import request

from quorate.acl.rights import EVERYTHING
from quorate.api.app import HttpApplication
from quorate.api.endpoint import ANY, Consistency, Endpoint, Forwarding, Wrong
from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import BODY_BYTES_MAX, Request, Response
from quorate.api.reference import rewritten
from quorate.metrics import Metrics

PAGE = DOCS / "http-api.md"

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.methods[0]} {row.path}")


def switches() -> list[tuple[Endpoint, str]]:
    """The parameters that are shown without a value, but for those whose presence counts."""
    found = []
    for row in TABLE:
        names = re.findall(r"[?&]([a-z-]+)(?![a-z=_-])", row.parameters)
        found += [(row, name) for name in names if not name.startswith("lock-")]
    return found


@pytest.mark.parametrize(("row", "name"), switches(), ids=lambda each: getattr(each, "path", each))
@asynchronous
async def test_a_switch_is_a_boolean(row: Endpoint, name: str) -> None:
    server = FakeServer("s3").write_defaults()
    index = server.log_index
    answer = await answered(server.application(), request(row, f"{name}=maybe"))
    assert answer.status == 400
    assert name in answer.body.decode()
    assert server.log_index == index


def test_there_are_such_switches() -> None:
    assert {name for _, name in switches()} == {
        *("all", "data-may-be-lost", "details", "dry-run", "force", "full", "keep-acl", "prune"),
    }


def follower() -> FakeServer:
    server = FakeServer("s2", role="follower").write_defaults()
    server.access.turn_on().anonymous = EVERYTHING  # with ACL off some rows refuse at once
    server.leader_application = FakeServer("s3").write_defaults().application()
    server.region_applications["west"] = FakeServer("s1", "west").write_defaults().application()
    return server


@rows
@asynchronous
async def test_only_what_the_leader_answers_is_passed_to_it(row: Endpoint) -> None:
    server = follower()
    await answered(server.application(), request(row))
    assert len(server.forwarded) == (row.forwarding is Forwarding.LEADER)


@rows
@asynchronous
async def test_a_stale_read_is_answered_by_the_server_asked(row: Endpoint) -> None:
    server = follower()
    await answered(server.application(), request(row, "stale"))
    assert len(server.forwarded) == (row.consistency is Consistency.LINEARIZABLE)


@rows
@asynchronous
async def test_another_region_is_asked_by_the_rows_that_say_so(row: Endpoint) -> None:
    server = follower()
    await answered(server.application(), request(row, "region=west"))
    assert len(server.forwarded) == (row.forwarding is not Forwarding.NONE)


HELD = [row for row in TABLE if row.body_max <= BODY_BYTES_MAX]
"""Those that take files stream them; test_api_streams.py goes over such a bound."""


@pytest.mark.parametrize("row", HELD, ids=lambda row: f"{row.methods[0]} {row.path}")
@asynchronous
async def test_a_body_over_the_bound_of_its_row_is_refused(row: Endpoint) -> None:
    asked = request(row)
    for size, allowed in ((row.body_max, True), (row.body_max + 1, False)):
        for chunked in (False, True):
            body = b"{}".ljust(size)
            sent = message(asked.method, asked.target.decode(), body=body)
            if chunked:
                head = message(asked.method, asked.target.decode(), "Transfer-Encoding: chunked")
                sent = b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, size, body)
            application = FakeServer().write_defaults().application()
            async with serving(application) as served, connected(served.port) as client:
                client.send(sent)
                answer = await client.answer()
                assert (answer.status != 413) is allowed
                assert allowed or str(row.body_max) in answer.body.decode()


def test_what_is_for_the_control_socket_alone_is_on_no_port() -> None:
    told = [row for row in TABLE if row.control_only]
    assert len(told) >= 4
    application = HttpApplication(FakeServer().parts(), Metrics(), lambda: 0.0, Random(1))
    for row in told:
        answer = application.handle(request(row))
        assert isinstance(answer, Response)
        assert answer.status == 404, row.path


@rows
def test_other_methods_get_the_answer_of_the_path(row: Endpoint) -> None:
    known = {method for other in TABLE if other.path == row.path for method in other.methods}
    application = FakeServer().application()
    for method in {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"} - known:
        if known == set(ANY):
            break
        answer = application.handle(Request(method, request(row).target))
        assert isinstance(answer, Response)
        assert (answer.status, answer.body.decode()) == (row.wrong.status, row.wrong.text)


def test_every_captured_path_is_a_row_or_unknown() -> None:
    """What real servers answer, and this one does not know, is 404 with an empty body."""
    starts = tuple(row.start or row.path for row in TABLE)
    application = FakeServer().write_defaults().application()
    for name in all_names():
        case = load(name)
        if not case.path.startswith(("/v1/", "/ui/")) or case.path.startswith(starts):
            continue
        answer = application.handle(case.request())
        assert isinstance(answer, Response), name
        assert answer.status in {301, 404}, name


@pytest.mark.parametrize("field", ["capability", "consistency", "forwarding"])
def test_a_row_that_says_too_little_is_refused(field: str) -> None:
    told: dict[str, Any] = {name: getattr(TABLE[0], name) for name in TABLE[0].__struct_fields__}
    with pytest.raises(TypeError, match=field):
        Endpoint(**{**told, field: None})
    del told[field]
    with pytest.raises(TypeError, match=field):
        Endpoint(**told)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"methods": ()}, "methods"),
        ({"methods": ("FETCH",)}, "methods"),
        ({"path": "v1/x"}, "no path"),
        ({"does": ""}, "no word"),
        ({"body_max": 0}, "bound"),
        ({"body_max": 2**30}, "bound"),
        ({"forwarding": Forwarding.NONE}, "forwarded"),
    ],
)
def test_a_row_that_cannot_be_is_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        msgspec.structs.replace(TABLE[0], **changed)


@pytest.mark.parametrize(
    ("changed", "why"),
    [({}, "two rows for GET"), ({"methods": ("PUT",), "wrong": Wrong(404)}, "two answers")],
)
def test_rows_that_contradict_each_other_are_refused(changed: dict[str, Any], why: str) -> None:
    table = (*TABLE, msgspec.structs.replace(TABLE[0], **changed))
    with pytest.raises(ValueError, match=why):
        HttpApplication(FakeServer().parts(), Metrics(), lambda: 0.0, None, table)  # type: ignore[arg-type]  # not used so early


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text()
    assert rewritten(page) == page, "run: python -m quorate.api.reference docs/http-api.md"
    with pytest.raises(ValueError, match="mark"):
        rewritten("# a page")
