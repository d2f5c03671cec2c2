"""Which requests are acts, who they are told of, and what is counted of refusals."""

from __future__ import annotations

import pytest
from api_running import asynchronous
from fake_access import MANAGEMENT, UNKNOWN, rights_of
from fake_server import IDS, FakeServer, answered
from table_requests import request

from quorate.acl.capability import Capability
from quorate.api.app import HttpApplication
from quorate.api.endpoint import Endpoint
from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import Request, Response
from quorate.errors import (
    ApplyTimeout,
    ChangeRefused,
    LeadershipLost,
    NoLeader,
    NotLeader,
    QuorateError,
)

WRITES = {"PUT", "POST", "DELETE"}
NO_ACTS = ("/v1/var/", "/v1/vars", "/v1/search", "/v1/system/", "/v1/agent/servers")
"""Reads with a body, data of users, and what does nothing here."""

NOT_HERE = {"/v1/operator/license"}
REMOVE = b"/v1/operator/raft/peer?id=" + IDS["s1"].encode()


async def ask(app: HttpApplication, method: str, target: bytes, secret: str = "") -> Response:
    headers = ((b"x-nomad-token", secret.encode()),) if secret else ()
    return await answered(app, Request(method, target, headers, remote="10.0.0.9:1234"))


def open_server() -> FakeServer:
    server = FakeServer().write_defaults()
    server.ring = []
    return server


def is_writing(row: Endpoint) -> bool:
    of_jobs = row.does.startswith(("an empty", "404", "405", "501", "403")) or not row.listed
    others = row.path.startswith(NO_ACTS) or row.path in NOT_HERE
    return bool(WRITES & set(row.methods)) and not (of_jobs or others)


def test_each_row_that_changes_something_for_operators_is_an_act() -> None:
    silent = [row.path for row in TABLE if is_writing(row) and row.act is None]
    assert silent == []
    read = [row.path for row in TABLE if row.act and not WRITES & set(row.methods)]
    assert read == ["/v1/operator/snapshot"]  # the whole state leaves the cluster
    words = [row.act.what for row in TABLE if row.act]
    assert all(len(each) <= 80 for each in words)


ACTS = [row for row in TABLE if row.act is not None]


@pytest.mark.parametrize("row", ACTS, ids=lambda row: f"{row.methods[0]} {row.path}")
@asynchronous
async def test_what_succeeds_is_entered_or_noted_once(row: Endpoint) -> None:
    server = open_server()
    answer = await answered(server.application(), request(row))
    act = row.act
    assert act is not None
    noted = [each for each in server.recorder.noted if each[0] == act.what and each[2] == "done"]
    refused = [each for each in server.recorder.refused if each[1] == act.what]
    if answer.status < 400:
        carried = act.carried or "settings" in act.what or "bound" in act.what
        # The writes of this fake leader are not put into words: they are noted like all others.
        assert len(noted) == (0 if carried else 1), (answer.status, server.recorder.noted)
        assert refused == []
    else:
        assert noted == []
    begun = [each for each in server.recorder.noted if each[2] == "begun"]
    assert len(begun) == (1 if act.before else 0)


@asynchronous
async def test_the_object_is_named_by_the_request() -> None:
    server = open_server()
    app = server.application()
    assert (await ask(app, "DELETE", REMOVE)).status == 200
    await ask(app, "PUT", b"/v1/agent/force-leave?node=s9&prune=1")
    assert [(what, subject) for what, subject, *_ in server.recorder.noted] == [
        ("remove", IDS["s1"]),
        ("declare a server left", "s9"),
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ChangeRefused("the quorum is at risk", ""), "refused"),
        (ApplyTimeout(), "unknown"),
        (LeadershipLost(), "unknown"),
        (NotLeader(), ""),
        (NoLeader(), ""),
    ],
)
@asynchronous
async def test_what_fails_is_refused_unknown_or_no_act(error: QuorateError, outcome: str) -> None:
    server = open_server()
    app = server.application()

    async def fails(**_: object) -> None:
        raise error

    server.remove = fails  # type: ignore[method-assign]
    answer = await ask(app, "DELETE", REMOVE)
    assert answer.status >= 400
    noted = [(what, how) for what, _, how, _ in server.recorder.noted]
    assert noted == ([("remove", "unknown")] if outcome == "unknown" else [])
    refused = [(what, why) for _, what, why in server.recorder.refused]
    assert refused == ([("remove", error.text)] if outcome == "refused" else [])


@asynchronous
async def test_what_another_server_does_is_told_by_that_one() -> None:
    leader, follower = open_server(), FakeServer(role="follower").write_defaults()
    follower.leader_application = leader.application()
    assert (await ask(follower.application(), "DELETE", REMOVE)).status == 200
    assert follower.recorder.noted == []
    assert [what for what, *_ in leader.recorder.noted] == ["remove"]
    (passed,) = follower.forwarded
    assert (b"x-quorate-caller", b"10.0.0.9:1234") in passed.headers


@asynchronous
async def test_refused_callers_are_counted_by_accessor_and_unknown_ones_only_counted() -> None:
    server = open_server()
    server.access.turn_on()
    secret = server.access.give("weak", rights_of(Capability.AGENT_READ))
    app = server.application(control=False)
    for _ in range(3):
        assert (await ask(app, "DELETE", REMOVE, secret)).status == 403
    assert (
        server.recorder.refused
        == [
            ("accessor-of-weak", "DELETE", "Permission denied"),
        ]
        * 3
    )
    assert (await ask(app, "DELETE", REMOVE, UNKNOWN)).status == 403
    assert (await ask(app, "DELETE", REMOVE)).status == 403
    assert (len(server.recorder.refused), server.recorder.unknown) == (3, 2)
    assert server.recorder.noted == []
    assert (await ask(app, "DELETE", REMOVE, MANAGEMENT)).status == 200
    assert [what for what, *_ in server.recorder.noted] == ["remove"]
    assert server.recorder.callers[-1].accessor == "root"
    assert server.recorder.callers[-1].address == "10.0.0.9:1234"


@asynchronous
async def test_the_control_socket_is_a_caller_of_its_own() -> None:
    server = open_server()
    server.access.turn_on()
    assert (await ask(server.application(), "DELETE", REMOVE)).status == 200
    assert server.recorder.callers[-1].accessor == "control"
