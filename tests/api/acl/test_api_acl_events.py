"""Events of tokens, policies and roles: as captured, and without a secret."""

from __future__ import annotations

import json
from typing import Any

from acl_server import BOSS, AclServer
from api_running import asynchronous
from places import GOLDEN

from quorate.server.events.hub import Topics

EVERYTHING = Topics(frozenset({("*", "*")}), "*")


def captured() -> dict[str, dict[str, Any]]:
    """The first captured event of each type."""
    found: dict[str, dict[str, Any]] = {}
    text = (GOLDEN / "events" / "v16acl-events.stream.txt").read_text()
    for line in text.splitlines():
        if line.startswith('{"Events"'):
            for event in json.loads(line)["Events"]:
                found.setdefault(event["Type"], event)
    return found


def told(server: AclServer, topics: Topics = EVERYTHING) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    reader = server.events.open(topics, 0)
    while True:
        _, text = reader.take()
        if not text:
            server.events.close(reader)
            return found
        for line in text.splitlines():
            found += json.loads(line)["Events"]


def form(value: Any) -> Any:
    """The names of fields; types of what is no object."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    return "list" if isinstance(value, list) or value is None else type(value).__name__


async def acted() -> tuple[AclServer, dict[str, Any], dict[str, Any]]:
    server = AclServer()
    await server.bootstrap()
    await server.make_policy("op-read")
    role = await server.make_role("ops", "op-read")
    token = await server.make_token(Name="t", Policies=["op-read"], Roles=[{"ID": role["ID"]}])
    body = {**role, "Description": "e"}
    assert (await server.ask("PUT", f"role/{role['ID']}", body)).status == 200
    for path in (f"token/{token['AccessorID']}", f"role/{role['ID']}", "policy/op-read"):
        assert (await server.ask("DELETE", path)).status == 200
    return server, token, role


@asynchronous
async def test_each_captured_type_is_told_in_its_form() -> None:
    server, _, _ = await acted()
    ours = {event["Type"]: event for event in told(server)}
    theirs = captured()
    of_acl = {kind for kind in theirs if kind.startswith("ACL")}
    assert len(of_acl) == 6
    for kind in of_acl:
        assert list(ours[kind]) == list(theirs[kind])
        assert form(ours[kind]) == form(theirs[kind]), kind
        payload, captured_one = ours[kind]["Payload"], theirs[kind]["Payload"]
        assert [list(each) for each in payload.values()] == [
            list(each) for each in captured_one.values()
        ]


@asynchronous
async def test_a_token_is_told_without_its_secret_and_found_by_its_accessor() -> None:
    server, token, _ = await acted()
    text = json.dumps(told(server))
    assert token["SecretID"] not in text
    assert BOSS not in text
    of_it = told(server, Topics(frozenset({("ACLToken", token["AccessorID"])}), "*"))
    assert [event["Type"] for event in of_it] == ["ACLTokenUpserted", "ACLTokenDeleted"]
    assert {event["Payload"]["ACLToken"]["SecretID"] for event in of_it} == {""}


@asynchronous
async def test_a_role_is_found_by_its_id_and_by_its_name() -> None:
    server, _, role = await acted()
    for key in (role["ID"], "ops"):
        found = told(server, Topics(frozenset({("ACLRole", key)}), "*"))
        assert [event["Type"] for event in found] == [
            *("ACLRoleUpserted", "ACLRoleUpserted", "ACLRoleDeleted"),
        ]
        assert [event["FilterKeys"] for event in found] == [["ops"]] * 3
