"""Calls of tokens, policies and roles, by both clients, with recorded answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from client_both import BOTH, use
from client_fake_agent import FakeAgent, Reply, golden_http, json_reply, text_reply
from msgspec.structs import replace

from quorate.client import AnswerError, Client, StatusError

ACCESSOR = "07ebf3f9-29cb-e376-0fc5-19a9edd2e6fe"
EMPTY = Reply(200, b"", ())
ROLE = {"ID": "r-1", "Name": "ops", "Policies": [{"Name": "a"}, {"Name": "b"}], "Hash": "x"}


@pytest.fixture(autouse=True, params=BOTH)
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, sys.modules[__name__], request.param)


def ask(route: str, reply: Reply, call: Callable[[Client], Any]) -> tuple[Any, Any]:
    """The result of one call, and the body that it sent."""
    with FakeAgent({route: reply}) as agent, Client(agent.address) as client:
        result = call(client)
    assert agent.asked == [route]
    body = agent.requests[0].body
    return result, json.loads(body) if body else None


def test_tokens() -> None:
    token, _ = ask(
        f"GET /v1/acl/token/{ACCESSOR}",
        golden_http("acl-token-get"),
        lambda c: c.acl_token(ACCESSOR),
    )
    assert (token.name, token.type, token.policies, token.roles) == (
        *("reader", "client", ("op-read",)),
        None,
    )
    assert token.secret_id == "07a31cc8-350c-f953-e12c-cc614e92be85"
    assert token.secret_id not in repr(token)
    listed, _ = ask(
        "GET /v1/acl/tokens?prefix=07",
        golden_http("acl-mgmt-tokens"),
        lambda c: c.acl_tokens(prefix="07"),
    )
    assert [each.raw for each in listed] == json.loads(golden_http("acl-mgmt-tokens").body)
    _, sent = ask(
        f"PUT /v1/acl/token/{ACCESSOR}",
        golden_http("acl-token-update"),
        lambda c: c.update_acl_token(replace(token, name="reader2")),
    )
    assert sent == {
        "AccessorID": ACCESSOR,
        "Name": "reader2",
        "Type": "client",
        "Policies": ["op-read"],
        "Roles": None,
        "Global": False,
    }
    for reply, behind in (
        (golden_http("acl-token-delete"), ()),
        (
            Reply(200, b"", (("X-Quorate-Behind", "s2.global, s3.global"),)),
            ("s2.global", "s3.global"),
        ),
    ):
        route = f"DELETE /v1/acl/token/{ACCESSOR}"
        assert ask(route, reply, lambda c: c.delete_acl_token(ACCESSOR)) == (behind, None)


def test_bootstrap() -> None:
    token, sent = ask(
        "PUT /v1/acl/bootstrap", golden_http("acl-bootstrap"), lambda c: c.bootstrap_acl()
    )
    assert (token.type, token.is_global, token.policies) == ("management", True, None)
    assert sent is None


def test_the_transition() -> None:
    route, body = "GET /v1/acl/transition", {"Callers": {"anonymous": 2}, "InForce": True}
    found, _ = ask(route, json_reply(body), lambda c: c.acl_transition())
    assert (found.callers, found.in_force, found.ended) == ({"anonymous": 2}, True, False)
    with pytest.raises(StatusError) as refused:
        ask(route, text_reply(404, "Invalid method"), lambda c: c.acl_transition())
    assert "only Quorate's servers answer this" in refused.value.next_step
    _, sent = ask("PUT /v1/acl/transition", EMPTY, lambda c: c.end_acl_transition(ended=False))
    assert sent == {"Ended": False}


def test_policies() -> None:
    policy, _ = ask(
        "GET /v1/acl/policy/op-read",
        golden_http("acl-policy-get"),
        lambda c: c.acl_policy("op-read"),
    )
    assert policy.rules.startswith("operator { policy")
    assert policy.rules_json["Operator"] == {"Policy": "read"}
    listed, _ = ask("GET /v1/acl/policies", golden_http("acl-policies"), Client.acl_policies)
    assert "op-read" in {each.name for each in listed}
    _, sent = ask(
        "PUT /v1/acl/policy/p", EMPTY, lambda c: c.put_acl_policy("p", "text", description="d")
    )
    assert sent == {"Name": "p", "Description": "d", "Rules": "text"}
    ask("DELETE /v1/acl/policy/p", EMPTY, lambda c: c.delete_acl_policy("p"))


def test_roles() -> None:
    for route, call in (
        ("GET /v1/acl/role/r-1", lambda c: c.acl_role("r-1")),
        ("GET /v1/acl/role/name/ops", lambda c: c.acl_role_by_name("ops")),
    ):
        role, _ = ask(route, json_reply(ROLE), call)
        assert (role.id, role.policy_names) == ("r-1", ("a", "b"))
    _, sent = ask(
        "PUT /v1/acl/role/r-1",
        json_reply(ROLE),
        lambda c: c.update_acl_role(replace(role, description="d")),
    )
    links = [{"Name": "a"}, {"Name": "b"}]
    assert sent == {"ID": "r-1", "Name": "ops", "Description": "d", "Policies": links}
    _, sent = ask(
        "PUT /v1/acl/role", json_reply(ROLE), lambda c: c.create_acl_role("ops", ["a", "b"])
    )
    assert sent == {"Name": "ops", "Description": "", "Policies": links}
    ask("DELETE /v1/acl/role/r-1", EMPTY, lambda c: c.delete_acl_role("r-1"))
    listed, _ = ask(
        "GET /v1/acl/roles?prefix=r", json_reply([ROLE]), lambda c: c.acl_roles(prefix="r")
    )
    assert listed == [role]


def test_what_is_wrong() -> None:
    with pytest.raises(StatusError, match="403 \\(Permission denied\\)"):
        ask(
            "GET /v1/acl/token/self",
            text_reply(403, "Permission denied"),
            lambda c: c.acl_token_self(),
        )
    with pytest.raises(AnswerError, match="no list"):
        ask("GET /v1/acl/policies", json_reply({}), lambda c: c.acl_policies())
