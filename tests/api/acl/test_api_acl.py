"""`/v1/acl/`: bootstrap, tokens, policies and roles as management asks for them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from acl_server import BOSS, AclServer, decoded
from api_running import asynchronous
from fake_admin import admin_of
from fake_server import NOW, FakeServer, answered

from quorate.api.http.messages import Request, Response
from quorate.state.tables.acl import standing, tokens

BOSS_TWO = "aaaaaaaa-f5f1-6f29-b4b4-9a5fa948757a"


async def ready() -> AclServer:
    server = AclServer()
    await server.bootstrap()
    return server


def header(answer: Response, name: str) -> str:
    return answer.header(name.encode()).decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "bootstrap"),
        ("GET", "policies"),
        ("GET", "policy/a"),
        ("PUT", "policy/a"),
        ("DELETE", "policy/a"),
        ("GET", "roles"),
        ("GET", "role/a"),
        ("GET", "role/name/a"),
        ("PUT", "role"),
        ("PUT", "role/a"),
        ("DELETE", "role/a"),
        ("GET", "tokens"),
        ("GET", "token/self"),
        ("GET", "token/a"),
        ("PUT", "token"),
        ("PUT", "token/a"),
        ("DELETE", "token/a"),
    ],
)
@asynchronous
async def test_with_acl_off_each_of_them_says_so_at_once(method: str, path: str) -> None:
    server = FakeServer(role="lost").write_defaults()
    target = f"/v1/acl/{path}".encode()
    answer = await answered(server.application(), Request(method, target, (), b"{"))
    assert (answer.status, answer.body) == (400, b"ACL support disabled")


# -- bootstrap -------------------------------------------------------------------------------------


@asynchronous
async def test_without_a_secret_acl_is_bootstrapped_on_the_machine_alone() -> None:
    server = AclServer()
    for body in (None, {}, {"BootstrapSecret": ""}):
        answer = await server.ask("PUT", "bootstrap", body, token="")
        assert answer.status == 403
        assert "-address=unix://<data_dir>/control.sock" in answer.body.decode()
        assert "control socket" in header(answer, "X-Quorate-Next")
    assert not standing.current(server.store).bootstrap_index
    control = server.application(control=True)
    made = decoded(await answered(control, Request("PUT", b"/v1/acl/bootstrap")))
    assert (made["Type"], made["Global"], made["Name"]) == ("management", True, "Bootstrap Token")
    assert (await server.ask("GET", "tokens", token=made["SecretID"])).status == 200


@asynchronous
async def test_acl_is_bootstrapped_once_and_again_with_the_file(tmp_path: Path) -> None:
    server = AclServer()

    server.acl = admin_of(server, tmp_path)
    server.app = server.application(control=False)
    await server.bootstrap()
    index = standing.current(server.store).bootstrap_index
    file = tmp_path / "acl-bootstrap-reset"
    body = {"BootstrapSecret": BOSS_TWO}
    for text, why in (
        (None, f"ACL bootstrap already done (reset index: {index})"),
        ("5\n", f"Invalid bootstrap reset index (specified 5, reset index: {index})"),
        ("five", f"Invalid bootstrap reset index (specified -1, reset index: {index})"),
        ("9" * 100, f"Invalid bootstrap reset index (specified {'9' * 64}, reset index: {index})"),
    ):
        if text is not None:
            file.write_text(text)
        answer = await server.ask("PUT", "bootstrap", body, token="")
        assert (answer.status, answer.body.decode()) == (400, why)
    file.write_text(f"{index}\n")
    answer = await server.ask("PUT", "bootstrap", body, token="")
    assert decoded(answer)["SecretID"] == BOSS_TWO
    assert standing.current(server.store).bootstrap_index > index
    again = await server.ask("PUT", "bootstrap", {"BootstrapSecret": BOSS}, token="")
    assert again.status == 400  # the file is of an earlier one now
    assert (await server.ask("GET", "tokens", token=BOSS_TWO)).status == 200
    assert (await server.ask("GET", "tokens", token=BOSS)).status == 200


@asynchronous
async def test_the_same_secret_is_no_second_token() -> None:
    server = await ready()
    answer = await server.ask("PUT", "token", {"Type": "client"})
    assert answer.status == 400
    text = "token 0 invalid: 1 error occurred:\n\t* client token missing policies or roles\n\n"
    assert answer.body.decode() == text


# -- tokens ----------------------------------------------------------------------------------------


@asynchronous
async def test_a_token_keeps_secret_age_and_expiry_when_it_is_changed() -> None:
    server = await ready()
    await server.make_policy("p")
    made = await server.make_token(Name="t", Policies=["p"], ExpirationTTL="1h")
    path = f"token/{made['AccessorID']}"
    body = {**made, "Name": "renamed", "Policies": ["p", "p", "q"]}
    changed = decoded(await server.ask("PUT", path, body))
    assert changed["Policies"] == ["p", "q"]
    for name in ("SecretID", "CreateTime", "CreateIndex", "ExpirationTime", "ExpirationTTL"):
        assert changed[name] == made[name], name
    assert changed["ModifyIndex"] > made["ModifyIndex"]
    for more, why in (
        ({"Global": True}, "Global cannot be changed"),
        ({"ExpirationTTL": "2h"}, "its expiration cannot be changed"),
        ({"ExpirationTime": "2031-01-01T00:00:00Z"}, "its expiration cannot be changed"),
    ):
        answer = await server.ask("PUT", path, {**body, **more})
        assert answer.status == 400
        assert why in answer.body.decode()


@asynchronous
async def test_an_expired_token_is_refused() -> None:
    server = await ready()
    await server.make_policy("p")
    for more in ({"ExpirationTTL": "1h"}, {"ExpirationTTL": 3_600_000_000_000}):
        made = await server.make_token(Policies=["p"], **more)
        assert made["ExpirationTTL"] == "1h0m0s"
        secret = made["SecretID"]
        assert (await server.ask("GET", "token/self", token=secret)).status == 200
        row = server.store.rows(tokens.TABLE)[made["AccessorID"]]
        assert row.expires == int(NOW * 10**9) + 3_600_000_000_000
    at = await server.make_token(Policies=["p"], ExpirationTime="2026-11-24T00:00:00Z")
    assert at["ExpirationTime"] == "2026-11-24T00:00:00Z"


@pytest.mark.parametrize(
    "expiry",
    [
        {"ExpirationTTL": -3_600_000_000_000},
        {"ExpirationTTL": "-1h"},
        {"ExpirationTime": "1969-12-31T23:59:59Z"},
        {"ExpirationTime": "2001-01-01T00:00:00Z"},
        {"ExpirationTTL": "1h", "ExpirationTime": "9999-12-31T00:00:00Z"},
        {"ExpirationTTL": "1h", "ExpirationTime": "2001-01-01T00:00:00Z"},
    ],
)
@asynchronous
async def test_no_expiry_that_cannot_be_makes_a_token_for_ever(expiry: dict[str, object]) -> None:
    server = await ready()
    await server.make_policy("p")
    before = server.store.index
    body = {"Type": "client", "Policies": ["p"], **expiry}
    answer = await server.ask("PUT", "token", body)
    assert answer.status == 400, answer.body
    assert "expiration time cannot be" in answer.body.decode()
    assert server.store.index == before


@asynchronous
async def test_no_time_in_the_form_of_go_is_none() -> None:
    server = await ready()
    await server.make_policy("p")
    made = await server.make_token(Policies=["p"], ExpirationTime="0001-01-01T00:00:00Z")
    assert made["ExpirationTime"] is None


@asynchronous
async def test_the_deletion_of_a_token_names_servers_that_lag_behind() -> None:
    server = await ready()
    await server.make_policy("p")
    one, two = await server.make_token(Policies=["p"]), await server.make_token(Policies=["p"])
    server.behind = ("s1.global", "s2.global")
    answer = await server.ask("DELETE", f"token/{one['AccessorID']}")
    assert (answer.status, answer.body) == (200, b"")
    assert header(answer, "X-Quorate-Behind") == "s1.global, s2.global"
    assert int(header(answer, "X-Nomad-Index")) == server.store.table_index("acl_tokens")
    server.behind = ()
    answer = await server.ask("DELETE", f"token/{two['AccessorID']}")
    assert not header(answer, "X-Quorate-Behind")
    for secret in (one["SecretID"], two["SecretID"]):
        answer = await server.ask("GET", "token/self", token=secret)
        assert (answer.status, answer.body) == (403, b"ACL token not found")


@asynchronous
async def test_tokens_come_in_pages_by_age_by_prefix_and_by_filter() -> None:
    server = await ready()
    await server.make_policy("p")
    made = [await server.make_token(Name=f"t{number}", Policies=["p"]) for number in range(7)]
    made.append(await server.make_token(Name="g", Policies=["p"], Global=True))

    async def all_pages(query: str) -> list[str]:
        names, token = [], ""
        while True:
            more = f"&next_token={token}" if token else ""
            answer = await server.ask("GET", f"tokens?{query}{more}")
            assert answer.status == 200, answer.body
            names += [each["Name"] for each in decoded(answer)]
            assert all("SecretID" not in each for each in decoded(answer))
            token = header(answer, "X-Nomad-Nexttoken")
            if not token:
                return names

    by_age = ["Bootstrap Token", *(f"t{number}" for number in range(7)), "g"]
    for query in ("", "per_page=2", "per_page=3", "per_page=100"):
        assert await all_pages(query) == by_age
    assert await all_pages("global=true") == ["Bootstrap Token", "g"]
    assert await all_pages("per_page=1&filter=Name+matches+%22%5Et%5B12%5D%22") == ["t1", "t2"]
    accessor = made[3]["AccessorID"]
    assert await all_pages(f"prefix={accessor[:20]}&per_page=1") == ["t3"]
    found = []
    for first in "0123456789abcdef":
        found += await all_pages(f"prefix={first}&per_page=1")
    assert sorted(found) == sorted(by_age)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("next_token=nothing", "next_token is not one of this list"),
        ("next_token=x.y", "next_token is not one of this list"),
        ("per_page=-1", "per_page is negative"),
        ("filter=Secret+%3D%3D+x", "failed to read filter expression"),
        ("global=maybe", "Expect `true` or `false` for `global`"),
    ],
)
@asynchronous
async def test_a_list_that_cannot_be_is_refused(query: str, text: str) -> None:
    server = await ready()
    answer = await server.ask("GET", f"tokens?{query}")
    assert answer.status == 400
    assert text in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("PUT", "token", b"", "Request body is empty"),
        ("PUT", "token", b'{"Roles":{}}', "Roles: expected an array of objects"),
        ("PUT", "token", b'{"Roles":["a"]}', "Roles: expected an array of objects"),
        ("PUT", "token", b'{"Policies":[1]}', "expected a string"),
        ("PUT", "token", b'{"ExpirationTime":"soon"}', "is no time in RFC 3339"),
        ("PUT", "token/", b"{}", "Missing Token Accessor"),
        ("PUT", "token/a", b'{"AccessorID":"b"}', "accessor does not match request path"),
        ("DELETE", "token/", None, "Missing Token Accessor"),
        ("PUT", "policy/a", b"", "Request body is empty"),
        ("PUT", "policy/a", b"{}", "ACL policy name does not match request path"),
        ("PUT", "policy/a.b", b'{"Name":"a.b"}', "invalid name 'a.b'"),
        ("DELETE", "policy/", None, "Missing Policy Name"),
        ("PUT", "role", b"[]", "expected an object"),
        ("PUT", "role", b'{"Name":"a","Policies":[{}]}', "a policy has no Name"),
        ("PUT", "role/a", b'{"ID":"b"}', "ACL role ID does not match request path"),
        ("PUT", "role", b'{"ID":"b","Name":"a","Policies":[{"Name":"p"}]}', "cannot find role b"),
        ("DELETE", "role/", None, "missing ACL role ID"),
        ("PUT", "bootstrap", b'{"BootstrapSecret":"nope"}', "invalid acl token"),
        ("PUT", "bootstrap", b'{"BootstrapSecret":7}', "expected a string"),
    ],
)
@asynchronous
async def test_a_fault_of_the_caller_is_named_and_changes_nothing(
    method: str, path: str, body: bytes | None, text: str
) -> None:
    server = await ready()
    before = server.store.index
    answer = await server.ask(method, path, body)
    assert answer.status == 400
    assert text in answer.body.decode()
    assert server.store.index == before


@asynchronous
async def test_a_list_waits_until_something_of_it_changes() -> None:
    server = await ready()
    await server.make_policy("p")
    for path, act in (
        ("policies", ("PUT", "policy/q", {"Name": "q"})),
        ("policy/p", ("PUT", "policy/p", {"Name": "p", "Description": "d"})),
        ("roles", ("PUT", "role", {"Name": "r", "Policies": [{"Name": "p"}]})),
        ("tokens", ("PUT", "token", {"Type": "client", "Policies": ["p"]})),
    ):
        index = int(header(await server.ask("GET", path), "X-Nomad-Index"))
        waiting = asyncio.ensure_future(server.ask("GET", f"{path}?index={index}&wait=30s"))
        await asyncio.sleep(0)
        await server.make_policy("unrelated" if path != "policies" else "q")
        assert (await server.ask(*act)).status == 200
        async with asyncio.timeout(10):
            answer = await waiting
        assert int(header(answer, "X-Nomad-Index")) > index


@asynchronous
async def test_no_secret_is_in_what_is_kept_or_told() -> None:
    server = await ready()
    await server.make_policy("p")
    made = await server.make_token(Policies=["p"])
    pieces: list[bytes] = []
    server.store.snapshot()(pieces.append)
    state = b"".join(pieces)
    for secret in (BOSS, made["SecretID"]):
        assert secret.encode() not in state
        assert secret not in json.dumps(decoded(await server.ask("GET", "tokens")))
        assert secret not in repr(server.store.rows(tokens.TABLE)[made["AccessorID"]])
