"""Namespaces: the captured cases, writes, bounds, and who writes where (docs/namespaces.md)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from api_running import asynchronous, until
from fake_server import FakeServer, answered
from golden_setups import load, lost, west_of_east

from quorate.api.http.messages import Request, Response
from quorate.state.engine.commands import encode
from quorate.state.tables.namespaces import NAMESPACES_MAX, Namespace, UpsertNamespace
from quorate.state.tables.variables import DeleteVariable, PutVariable

TEAM = {"Name": "team", "Description": "d", "Meta": {"a": "b"}}
VOLATILE = ("CreateIndex", "ModifyIndex")


async def ask(server: FakeServer, method: str, target: str, body: Any = None) -> Response:
    raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    return await answered(server.application(), Request(method, target.encode(), (), raw))


def leader() -> FakeServer:
    return FakeServer().write_defaults()


def steady(value: Any) -> Any:
    if isinstance(value, list):
        return [steady(each) for each in value]
    return {name: each for name, each in value.items() if name not in VOLATILE}


async def put(server: FakeServer, body: Any) -> Response:
    answer = await ask(server, "PUT", "/v1/namespace", body)
    assert answer.status == 200, answer.body
    return answer


# -- captured of real servers ----------------------------------------------------------------------


@asynchronous
async def test_captured_reads_and_writes() -> None:
    server = leader()
    await put(server, TEAM)
    for name in ("v16-ns-list", "v16-ns-get", "v16-ns-put-caps", "v16-ns-get-caps"):
        case = load(name)
        answer = await answered(server.application(), case.request())
        assert answer.status == case.status
        assert (answer.header(b"X-Nomad-Index") != b"") is ("X-Nomad-Index" in case.headers)
        if case.json is None:
            assert answer.body == b""
        else:
            assert steady(json.loads(answer.body)) == steady(case.json), "the hash too"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "v16-ns-bad-name",
            'Invalid namespace "bad name!": invalid name "bad name!". Must match regex ^[a-zA-Z',
        ),
        ("v16-ns-desc-long", 'Invalid namespace "longd": description longer than 256'),
        ("v16-ns-mismatch", "Namespace name does not match request path"),
        ("v16-ns-del-default", "can not delete default namespace"),
        (
            "r3-namespace-create-noname",
            'Invalid namespace "": invalid name "". Must match regex ^[a-zA-Z0-9-]{1,128}$',
        ),
        ("r3-namespace-create-longdesc", 'Invalid namespace "team-d": description longer than 256'),
        ("r3-namespace-create-empty", "Request body is empty"),
        ("r3-namespace-create-badname", 'Invalid namespace "bad name!": invalid name "bad name!"'),
        ("r3-namespace-delete-default", "can not delete default namespace"),
    ],
)
@asynchronous
async def test_captured_mistakes_are_400_and_change_nothing(name: str, text: str) -> None:
    server = leader()
    case = load(name)
    answer = await answered(server.application(), case.request())
    assert case.status in {400, 500}
    assert answer.status == 400
    assert answer.body.decode().startswith(text)
    assert set(re_worded(case.body)) <= set(re_worded(answer.body.decode()))
    assert server.log_index == 5, "nothing was written"


def re_worded(text: str) -> list[str]:
    """The words of a text, without the frame that Go puts around a list of one error."""
    return text.replace("1 error occurred:", "").replace("*", "").split()


@asynchronous
async def test_captured_without_a_leader() -> None:
    case = load("lq-namespaces-stale")
    server = lost(case)
    for each in case.json[1:]:
        namespace = Namespace(name=each["Name"], description=each["Description"])
        server.commit(encode(UpsertNamespace(namespace=namespace)))
    answer = await answered(server.application(), case.request())
    got = json.loads(answer.body)
    assert [one["Hash"] for one in got] == [one["Hash"] for one in case.json]
    assert [one["Name"] for one in got] == [one["Name"] for one in case.json]
    assert answer.header(b"X-Nomad-Knownleader") == b"false"


# -- writing ---------------------------------------------------------------------------------------


@asynchronous
async def test_a_write_replaces_all_of_it() -> None:
    server = leader()
    await put(server, {**TEAM, "Quota": "q", "Capabilities": {"EnabledTaskDrivers": ["docker"]}})
    first = json.loads((await ask(server, "GET", "/v1/namespace/team")).body)
    assert first["Quota"] == "q"
    assert first["Capabilities"] == {
        "DisabledTaskDrivers": None,
        "EnabledTaskDrivers": ["docker"],
    }
    await put(server, {"name": "team"})
    second = json.loads((await ask(server, "GET", "/v1/namespace/team")).body)
    assert (second["Quota"], second["Meta"], second["Capabilities"]) == ("", None, None)
    assert second["CreateIndex"] == first["CreateIndex"] < second["ModifyIndex"]
    assert second["Hash"] != first["Hash"]


@asynchronous
async def test_what_a_read_gives_can_be_written_back() -> None:
    server = leader()
    await put(server, {**TEAM, "Capabilities": {"DisabledTaskDrivers": ["exec"]}})
    first = (await ask(server, "GET", "/v1/namespace/team")).body
    assert (await ask(server, "POST", "/v1/namespace/team", first)).status == 200
    second = (await ask(server, "GET", "/v1/namespace/team")).body
    assert steady(json.loads(second)) == steady(json.loads(first))


@asynchronous
async def test_a_namespace_with_variables_is_not_deleted() -> None:
    """The captured server deletes it, and the variables stay in a namespace that is not there."""
    case = load("v16-ns-del-with-var")
    assert case.status == 200
    server = leader()
    await put(server, TEAM)
    await put(server, {"Name": "tea"})
    variable = PutVariable(namespace="team", path="a/b", time_ns=1, data=b"")
    server.commit(encode(variable))
    answer = await answered(server.application(), case.request())
    assert (answer.status, answer.body) == (
        409,
        b'Cannot delete namespace "team": it holds variables, among them a/b: delete them first',
    )
    assert (await ask(server, "DELETE", "/v1/namespace/tea")).status == 200
    server.commit(encode(DeleteVariable(namespace="team", path="a/b")))
    assert (await answered(server.application(), case.request())).status == 200


@asynchronous
async def test_the_default_namespace_can_be_described_but_not_deleted() -> None:
    server = leader()
    await put(server, {"Name": "default", "Description": "ours"})
    assert b'"Description":"ours"' in (await ask(server, "GET", "/v1/namespace/default")).body
    assert (await ask(server, "DELETE", "/v1/namespace/default")).status == 400


@asynchronous
async def test_a_deletion_wakes_who_waits_for_that_namespace_alone() -> None:
    server = leader()
    await put(server, TEAM)
    await put(server, {"Name": "other"})
    index = int((await ask(server, "GET", "/v1/namespaces")).header(b"X-Nomad-Index"))

    async def wait(target: str) -> Response:
        return await ask(server, "GET", f"{target}index={index}&wait=10s")

    one = asyncio.create_task(wait("/v1/namespace/team?"))
    with_prefix = asyncio.create_task(wait("/v1/namespaces?prefix=te&"))
    others = asyncio.create_task(wait("/v1/namespaces?prefix=o&"))
    await until(lambda: server.store.watching == 3)
    assert (await ask(server, "DELETE", "/v1/namespace/team")).status == 200
    assert (await one).status == 404
    assert (await with_prefix).body == b"[]"
    assert not others.done()
    others.cancel()


@asynchronous
async def test_the_number_of_namespaces_is_bounded() -> None:
    server = leader()
    for number in range(NAMESPACES_MAX - 1):
        namespace = Namespace(name=f"n{number}")
        assert server.commit(encode(UpsertNamespace(namespace=namespace))) == ""
    answer = await ask(server, "PUT", "/v1/namespace", TEAM)
    assert answer.status == 409
    assert answer.body == (
        b'Cannot write namespace "team": there are 4096 namespaces, which is the most there can be'
    )
    await put(server, {"Name": "n0", "Description": "one that is there"})


LONG = "x" * 129


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "invalid JSON"),
        (b"[]", "expected an object"),
        (b"null", 'invalid name ""'),
        ({"Name": 1}, "Name: expected a string"),
        ({"Name": LONG}, "invalid name"),
        ({"Name": "team\n"}, "invalid name"),
        ({"Name": "t\u00e9am"}, "invalid name"),
        ({"Name": "t", "Description": "\u00e9" * 129}, "description longer than 256"),
        ({"Name": "t", "Quota": LONG}, "quota longer than 128"),
        ({"Name": "t", "Meta": []}, "Meta: expected an object"),
        ({"Name": "t", "Meta": {"a": 1}}, 'Meta: "a": expected a string'),
        ({"Name": "t", "Meta": {"": "v"}}, "a key in meta is empty"),
        ({"Name": "t", "Meta": {LONG: "v"}}, "a key in meta is empty or longer than 128"),
        ({"Name": "t", "Meta": {"a": "x" * 513}}, "a value in meta is longer than 512"),
        ({"Name": "t", "Meta": {str(n): "" for n in range(65)}}, "more than 64 keys in meta"),
        ({"Name": "t", "Capabilities": "docker"}, "Capabilities: expected an object"),
        ({"Name": "t", "Capabilities": {"EnabledTaskDrivers": "docker"}}, "expected an array"),
        ({"Name": "t", "Capabilities": {"EnabledTaskDrivers": [1]}}, "expected a string"),
        ({"Name": "t", "Capabilities": {"EnabledTaskDrivers": ["d"] * 65}}, "more than 64 task"),
        ({"Name": "t", "Capabilities": {"DisabledTaskDrivers": [LONG]}}, "longer than 128"),
        ({"Name": "t", "NodePoolConfiguration": {"Default": "p"}}, "no node pools here"),
    ],
)
@asynchronous
async def test_a_bad_body_is_one_line_and_changes_nothing(body: Any, text: str) -> None:
    server = leader()
    answer = await ask(server, "PUT", "/v1/namespace", body)
    assert answer.status == 400
    assert text in answer.body.decode()
    assert b"\n" not in answer.body
    assert server.log_index == 5


@asynchronous
async def test_a_null_field_counts_as_absent_and_unknown_ones_are_passed_over() -> None:
    server = leader()
    await put(
        server,
        {"Name": "t", "Meta": None, "Capabilities": None, "NodePoolConfiguration": None, "New": 1},
    )
    assert b'"Meta":null' in (await ask(server, "GET", "/v1/namespace/t")).body


@pytest.mark.parametrize("name", ["bad%20name", LONG])
@asynchronous
async def test_a_name_that_cannot_be_is_not_deleted(name: str) -> None:
    assert (await ask(leader(), "DELETE", f"/v1/namespace/{name}")).status == 400


@pytest.mark.parametrize("target", ["/v1/namespace/team", "/v1/namespace/team?region=west"])
@asynchronous
async def test_a_deletion_goes_to_the_authoritative_region(target: str) -> None:
    server = west_of_east(load("fed-namespace-put-west"))
    assert (await ask(server, "DELETE", target)).status == 200
    assert len(server.forwarded) == 1
    assert server.log_index == 5, "nothing was written here"


@asynchronous
async def test_the_authoritative_region_writes_itself_whatever_region_is_named() -> None:
    server = FakeServer("e5", region="east").write_defaults()
    server.options.authoritative_region = "east"
    answer = await ask(server, "PUT", "/v1/namespace?region=west", TEAM)
    assert answer.status == 200
    assert server.forwarded == []
