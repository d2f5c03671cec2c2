"""What a server without jobs says to clients that ask for jobs, nodes, ACLs and paid features."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered

from quorate.api.endpoints.jobless.answers import SERVERS_ONLY
from quorate.api.endpoints.jobless.search import FOUND_MAX
from quorate.api.http.messages import Request, Response
from quorate.state.tables import namespaces
from quorate.state.tables.namespaces import Namespace

LISTS = [
    "jobs",
    "nodes",
    "node/pools",
    "allocations",
    "evaluations",
    "deployments",
    "volumes",
    "plugins",
    "services",
    "scaling/policies",
]


async def ask(method: str, target: str, body: bytes = b"", role: str = "leader") -> Response:
    server = FakeServer(role=role).write_defaults()
    return await answered(server.application(), Request(method, target.encode(), (), body))


@pytest.mark.parametrize("name", LISTS)
@asynchronous
async def test_a_list_is_empty_and_has_the_headers_of_a_read(name: str) -> None:
    answer = await ask("GET", f"/v1/{name}?prefix=x&namespace=*")
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.header(b"X-Nomad-Index") == b"1"
    assert answer.header(b"X-Nomad-Knownleader") == b"true"
    assert answer.header(b"X-Nomad-Lastcontact") == b"0"


@pytest.mark.parametrize("name", LISTS)
@asynchronous
async def test_a_list_is_read_stale_without_a_leader(name: str) -> None:
    answer = await ask("GET", f"/v1/{name}?stale", role="lost")
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.header(b"X-Nomad-Knownleader") == b"false"


@asynchronous
async def test_a_blocking_query_waits_for_a_list_that_never_changes() -> None:
    server = FakeServer().write_defaults()
    result = server.application().handle(Request("GET", b"/v1/jobs?index=1&wait=20ms"))
    assert not isinstance(result, Response), "it did not wait"
    assert (await result).body == b"[]"
    assert isinstance(server.application().handle(Request("GET", b"/v1/jobs")), Response)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("name", [*LISTS, "job/x", "node/x/drain", "jobs/parse", "service/x"])
@asynchronous
async def test_a_write_is_refused_with_one_line(method: str, name: str) -> None:
    answer = await ask(method, f"/v1/{name}", b'{"Job":{}}')
    assert (answer.status, answer.body.decode()) == (501, SERVERS_ONLY)
    assert "\n" not in SERVERS_ONLY


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("job/x", "job not found"),
        ("job/x/allocations", "job not found"),
        ("node/x", "node not found"),
        ("node/pool/x", "node pool not found"),
        ("allocation/x", "alloc not found"),
        ("evaluation/x", "eval not found"),
        ("deployment/x", "deployment not found"),
        ("volume/csi/x", "volume not found"),
        ("plugin/csi/x", "plugin not found"),
        ("scaling/policy/x", "policy not found"),
    ],
)
@asynchronous
async def test_one_of_them_is_not_found(path: str, text: str) -> None:
    answer = await ask("GET", f"/v1/{path}", role="lost")
    assert (answer.status, answer.body.decode()) == (404, text)


@pytest.mark.parametrize("path", ["quotas", "quota/x", "sentinel/policies", "recommendations"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@asynchronous
async def test_paid_features_are_named_as_such(method: str, path: str) -> None:
    answer = await ask(method, f"/v1/{path}")
    assert (answer.status, answer.body) == (501, b"Nomad Enterprise only endpoint")


@pytest.mark.parametrize("path", ["roles", "role/x", "token/self", "auth-methods", "login"])
@asynchronous
async def test_acl_endpoints_say_that_acls_are_off(path: str) -> None:
    answer = await ask("GET", f"/v1/acl/{path}")
    assert (answer.status, answer.body) == (400, b"ACL support disabled")


@asynchronous
async def test_there_are_no_public_keys() -> None:
    answer = await ask("GET", "/.well-known/jwks.json")
    assert (answer.status, answer.body) == (200, b'{"keys":[]}')


async def search(path: str, body: bytes, names: int = 0) -> tuple[int, Any]:
    """Status and answer of a search, with so many more namespaces than can be made here yet."""
    more = [Namespace(name=f"team-{n:02}") for n in range(names)]

    def every(*_: object) -> list[Namespace]:
        return [namespaces.BUILT_IN, *more]

    server = FakeServer().write_defaults()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(namespaces, "with_prefix", every)
        answer = await answered(server.application(), Request("POST", path.encode(), (), body))
    text = answer.body.decode()
    return answer.status, json.loads(text) if answer.status == 200 else text


@asynchronous
async def test_a_search_finds_what_begins_so() -> None:
    status, value = await search("/v1/search", b'{"Prefix":"de","Context":"all"}')
    assert status == 200
    assert value["Matches"].pop("namespaces") == ["default"]
    assert set(map(tuple, value["Matches"].values())) == {()}
    assert value["Truncations"].keys() == {"namespaces", *value["Matches"]}
    assert not any(value["Truncations"].values())
    _, value = await search("/v1/search", b'{"Prefix":"fault","Context":"namespaces"}')
    assert value["Matches"] == {"namespaces": []}
    _, value = await search("/v1/search", b'{"Prefix":"","Context":"jobs"}')
    assert value["Matches"] == {"jobs": []}


@asynchronous
async def test_a_fuzzy_search_finds_what_is_inside() -> None:
    status, value = await search("/v1/search/fuzzy", b'{"Text":"FAUL","Context":"all"}')
    assert status == 200
    assert value["Matches"]["namespaces"] == [{"ID": "default"}]


@asynchronous
async def test_a_search_is_cut_and_says_so() -> None:
    body = b'{"Prefix":"team","Context":"namespaces"}'
    _, value = await search("/v1/search", body, names=FOUND_MAX + 1)
    assert len(value["Matches"]["namespaces"]) == FOUND_MAX
    assert value["Truncations"] == {"namespaces": True}
    _, value = await search("/v1/search", body, names=FOUND_MAX)
    assert value["Truncations"] == {"namespaces": False}


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/v1/search", b"", "Request body is empty"),
        ("/v1/search", b'{"Prefix":3,"Context":"all"}', "Prefix: expected a string"),
        ("/v1/search", b'{"Prefix":"x"}', "context must be one of [allocs "),
        ("/v1/search", b'{"Prefix":"x","Context":"' + b"y" * 9000 + b'"}', "context must be"),
        ("/v1/search/fuzzy", b'{"Text":"x","Context":"all"}', "fuzzy search query must be at"),
    ],
)
@asynchronous
async def test_a_bad_search_says_what_is_wrong(path: str, body: bytes, text: str) -> None:
    status, value = await search(path, body)
    assert status == 400
    assert value.startswith(text)
    assert len(value) < 400


@pytest.mark.parametrize("path", ["gc", "reconcile/summaries"])
@asynchronous
async def test_there_is_nothing_to_collect_or_to_count(path: str) -> None:
    answer = await ask("PUT", f"/v1/system/{path}")
    assert (answer.status, answer.body) == (200, b"")


@asynchronous
async def test_there_are_no_workers() -> None:
    answer = await ask("GET", "/v1/agent/schedulers")
    assert json.loads(answer.body) == {"schedulers": [], "server_id": "s3.global"}
    answer = await ask("GET", "/v1/agent/schedulers/config")
    assert json.loads(answer.body)["num_schedulers"] == 0
    answer = await ask("PUT", "/v1/agent/schedulers/config", b'{"num_schedulers":2}')
    assert (answer.status, answer.body.decode()) == (501, SERVERS_ONLY)
