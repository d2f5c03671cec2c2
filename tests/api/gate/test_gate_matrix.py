"""Every endpoint by every right, and without a token: exactly the allowed cells are answered.

What a row needs is read from the table; what a right grants stands here once more.
"""

from __future__ import annotations

import re

import pytest
from api_running import asynchronous
from fake_access import MANAGEMENT, UNKNOWN, rights_of
from fake_server import FakeServer, answered
from table_requests import request

from quorate.acl.capability import OF_OBJECTS, Capability
from quorate.api.app import HttpApplication
from quorate.api.endpoint import Endpoint
from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import Request

DENIED = (403, b"Permission denied")

ROWS = tuple(row for row in TABLE if not row.control_only)

ALSO = {
    Capability.AGENT_WRITE: {Capability.AGENT_READ},
    Capability.OPERATOR_WRITE: {Capability.OPERATOR_READ, Capability.AUTOPILOT_WRITE},
    **{
        each: {Capability.NAMESPACE_ANY}
        for each in OF_OBJECTS
        if each.value.startswith("variables:")
    },
}
"""What a right grants beside itself."""

LISTS = {"/v1/vars", "/v1/namespaces", "/v1/search", "/v1/search/fuzzy"} | {
    row.path
    for row in TABLE
    if row.does == "an empty list; blocking" and row.capability is Capability.NAMESPACE_ANY
}
"""What every known caller may ask for: it is answered with what it may see."""

OWN = {
    "/v1/acl/policy/<name>",
    "/v1/acl/role/<id>",
    "/v1/acl/role/name/<name>",
    "/v1/acl/token/<accessor>",
}
"""What management reads, and callers where it is their own: see test_api_acl_own.py."""

NEVER = {"/v1/agent/pprof/<profile>"}
"""Refused to everybody: see test_api_jobless.py."""

GRANTABLE = sorted(set(Capability) - {Capability.ANY_CALLER, Capability.BY_TOPIC})


def application(role: str = "leader") -> tuple[HttpApplication, FakeServer]:
    """One with access control, which answers a client on a port."""
    server = FakeServer(role=role).write_defaults()
    server.access.turn_on()
    server.ring = []

    async def host() -> dict[str, str]:
        return {}

    server.options.host_data = host
    return server.application(control=False), server


def asked(row: Endpoint, secret: str = "") -> Request:
    """A request that the row answers, with this token."""
    plain = request(row)
    query = b"" if row.path == "/v1/event/stream" else plain.target.partition(b"?")[2]
    target = plain.target.partition(b"?")[0] + b"?" + query
    headers = ((b"x-nomad-token", secret.encode()),) if secret else ()
    return Request(plain.method, target, headers, plain.body)


def is_open(row: Endpoint) -> bool:
    """Whether a caller without any right is answered."""
    if row.capability is Capability.ANY_CALLER:
        return row.path not in OWN
    return row.capability is Capability.NONE or (row.path in LISTS and row.methods != ("DELETE",))


@pytest.mark.parametrize("capability", GRANTABLE)
@asynchronous
async def test_a_right_opens_what_needs_it_and_nothing_else(capability: Capability) -> None:
    app, server = application()
    secret = server.access.give("token-of-the-test", rights_of(capability))
    granted = {capability} | ALSO.get(capability, set())
    if capability is Capability.MANAGEMENT:
        granted = set(Capability)
    wrong = []
    for row in ROWS:
        if row.path in NEVER:
            continue
        answer = await answered(app, asked(row, secret))
        allowed = is_open(row) or row.capability in granted
        if ((answer.status, answer.body) != DENIED) is not allowed:
            wrong.append(f"{row.methods} {row.path}: {answer.status} {answer.body[:80]!r}")
    assert not wrong, "\n".join(wrong)


def rows_of(capability: Capability) -> list[Endpoint]:
    return [row for row in ROWS if row.capability is capability]


def test_each_right_is_needed_somewhere() -> None:
    unused = [each for each in Capability if not rows_of(each)]
    assert set(unused) <= {
        Capability.RECOVER,  # of what the control socket alone serves
    }


@asynchronous
async def test_without_a_token_only_what_needs_no_right_is_answered() -> None:
    app, server = application()
    index = server.log_index
    for row in ROWS:
        answer = await answered(app, asked(row))
        refused = (answer.status, answer.body) == DENIED
        assert refused is not is_open(row) or row.path in NEVER, row.path
    assert server.log_index == index
    assert [*server.restored, *server.removed, *server.left] == []


@asynchronous
async def test_an_unknown_token_opens_less_than_none() -> None:
    app, _ = application()
    for row in ROWS:
        answer = await answered(app, asked(row, UNKNOWN))
        needed = row.capability is not Capability.NONE
        found = (answer.status, answer.body) == (403, b"ACL token not found")
        assert found is needed, f"{row.path} {answer.body!r}"


@asynchronous
async def test_a_follower_decides_nothing_that_the_leader_answers() -> None:
    """Its own state may be older: the token goes on with the request."""
    app, server = application("follower")
    leader_app, leader = application()
    server.leader_application = leader_app
    leader.access.give("new", rights_of(Capability.MANAGEMENT))
    for row in ROWS:
        if row.forwarding.value != "leader" or row.path in NEVER:
            continue
        server.forwarded.clear()
        answer = await answered(app, asked(row, "new"))
        assert answer.status != 403, row.path
        assert (b"x-nomad-token", b"new") in server.forwarded[0].headers
        assert (await answered(app, asked(row, "other"))).status in (
            {403} if row.capability is not Capability.NONE else {200, 400, 404, 501}
        )


@asynchronous
async def test_of_the_rows_of_others_management_sees_all() -> None:
    app, _ = application()
    for row in ROWS:
        answer = await answered(app, asked(row, MANAGEMENT))
        assert answer.status != 403 or row.path in NEVER, row.path


def test_no_row_is_called_by_a_name_that_none_has() -> None:
    paths = {row.path for row in TABLE}
    assert paths >= LISTS | NEVER
    assert all(re.fullmatch(r"[a-z:-]+", each.value) for each in Capability)
