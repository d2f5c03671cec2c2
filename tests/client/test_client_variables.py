"""`Client.variables`: what is sent, and what answers become."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from client_both import BOTH, use
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply

from quorate.client import (
    AnswerError,
    Client,
    Operation,
    StatusError,
    VariableConflict,
    VariableMetadata,
)

ONE = {
    "CreateIndex": 5,
    "CreateTime": 1,
    "Items": {"k": "v"},
    "ModifyIndex": 7,
    "ModifyTime": 2,
    "Namespace": "default",
    "Path": "a/b",
}


@pytest.fixture(autouse=True, params=BOTH)
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, sys.modules[__name__], request.param)


def conflict(body: Any) -> Reply:
    return Reply(409, json.dumps(body).encode(), (("Content-Type", "text/plain"),))


def test_one_variable_is_read_written_and_deleted() -> None:
    routes = {
        "GET /v1/var/a/b?namespace=team&stale=": json_reply(ONE),
        "GET /v1/var/none": text_reply(404, "variable not found"),
        "PUT /v1/var/a/b?cas=0": json_reply(ONE),
        "DELETE /v1/var/a/b?cas=7": Reply(204, b"", ()),
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        found = client.variables.get("a/b", namespace="team", stale=True)
        assert found is not None
        assert (found.items, found.modify_index, found.raw) == ({"k": "v"}, 7, ONE)
        assert client.variables.get("none") is None
        assert client.variables.put("a/b", {"k": "v"}, cas=0).path == "a/b"
        client.variables.delete("a/b", cas=7)
        assert agent.asked == list(routes)


def test_a_lost_race_has_the_present_variable() -> None:
    routes = {"PUT /v1/var/a/b?cas=1": conflict(ONE), "DELETE /v1/var/a/b?cas=1": conflict(ONE)}
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        with pytest.raises(VariableConflict) as lost:
            client.variables.put("a/b", {"k": "w"}, cas=1)
        assert (lost.value.status, lost.value.current.modify_index) == (409, 7)
        assert lost.value.current.items == {"k": "v"}
        assert "7" in str(lost.value)
        assert '"v"' not in str(lost.value) + lost.value.body  # ends in logs and traces
        with pytest.raises(VariableConflict):
            client.variables.delete("a/b", cas=1)


@pytest.mark.parametrize(
    ("why", "lock", "step"),
    [
        ("locked", {"TTL": "20s", "ID": "x"}, "20s after the last renewal"),
        ("locked", None, "no ID holds the lock now"),
        ("delay", None, "its delay runs"),
        ("cas", None, "its modify index as cas"),
    ],
)
def test_the_cure_of_a_conflict_is_by_its_cause(why: str, lock: Any, step: str) -> None:
    body = json.dumps(ONE | ({"Lock": lock} if lock else {})).encode()
    routes = {"PUT /v1/var/a/b": Reply(409, body, (("X-Quorate-Conflict", why),))}
    with (
        FakeAgent(routes) as agent,
        Client(agent.address) as client,
        pytest.raises(VariableConflict) as lost,
    ):
        client.variables.put("a/b", {"k": "w"})
    assert lost.value.why == why
    assert step in lost.value.next_step


def test_409_of_the_cluster_is_no_lost_race() -> None:
    reply = Reply(409, b"this needs level 3", (("X-Quorate-Error", "level-too-low"),))
    with FakeAgent({"PUT /v1/var/a": reply}) as agent, Client(agent.address) as client:
        with pytest.raises(StatusError, match="needs level 3") as refused:
            client.variables.put("a", {"k": "v"})
        assert not isinstance(refused.value, VariableConflict)


def test_a_list_goes_through_its_pages() -> None:
    def page(path: str, token: str) -> Reply:
        body = json.dumps([{**ONE, "Path": path}]).encode()
        headers = (("X-Nomad-Index", "9"), *((("X-Nomad-NextToken", token),) if token else ()))
        return Reply(200, body, headers)

    start = "GET /v1/vars?namespace=%2A&"
    routes = {
        f"{start}per_page=1&prefix=a": page("a/1", "default.a/2"),
        f"{start}next_token=default.a%2F2&per_page=1&prefix=a": page("a/2", ""),
        "GET /v1/vars?filter=Path+%3D%3D+x": page("x", ""),
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        rows = list(client.variables.list("a", namespace="*", per_page=1))
        assert all(isinstance(row, VariableMetadata) for row in rows)
        assert [row.path for row in rows] == ["a/1", "a/2"]
        found = client.variables.page(filter="Path == x")
        assert (found.index, found.next_token) == (9, "")
        assert agent.asked == list(routes)


def test_a_page_that_names_itself_ends_the_list() -> None:
    """As of Nomad's servers, for a page that has no room for a row."""
    itself = Reply(200, b"[]", (("X-Nomad-NextToken", "default.a"),))
    routes = {
        "GET /v1/vars?per_page=1": itself,
        "GET /v1/vars?next_token=default.a&per_page=1": itself,
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        with pytest.raises(AnswerError, match="the same one again"):
            list(client.variables.list(per_page=1))
        assert len(agent.asked) == 2
        with pytest.raises(ValueError, match="1 or more"):
            next(client.variables.list(per_page=-1))


def test_several_at_once() -> None:
    wrong = {"Operation": 1, "Variable": ONE}
    with FakeAgent({}) as agent, Client(agent.address) as client:
        with pytest.raises(StatusError, match="404") as missing:
            client.variables.write(Operation(op="delete", path="a"))
        assert "only Quorate's servers" in missing.value.next_step
    with FakeAgent({"PUT /v1/vars/write": conflict(wrong)}) as agent:
        with Client(agent.address) as client, pytest.raises(VariableConflict) as lost:
            client.variables.write(Operation(op="set", path="a", items={"k": "v"}, cas=0))
        assert (lost.value.operation, lost.value.current.path) == (1, "a/b")
        sent = {"Op": "set", "Path": "a", "Items": {"k": "v"}, "CAS": 0}
        assert json.loads(agent.requests[0].body) == {"Operations": [sent]}
    done = json_reply({"Index": 12, "Variables": [None]})
    with FakeAgent({"PUT /v1/vars/write": done}) as agent, Client(agent.address) as client:
        assert client.variables.write(Operation(op="delete", path="a")) == 12


@pytest.mark.parametrize("body", [b"", b"[]", b'{"ModifyIndex": "x"}', b"nope"])
def test_an_answer_that_is_none_is_said(body: bytes) -> None:
    routes = {"GET /v1/var/a": Reply(200, body, ())}
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        variables = client.variables
        with pytest.raises(AnswerError, match="unexpected answer to"):
            variables.get("a")
