"""Variables, namespaces and searches by right: what each caller sees and may write."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from api_running import asynchronous
from fake_access import MANAGEMENT
from fake_server import FakeServer, answered

from quorate.acl.rights import NOTHING, Rights
from quorate.acl.values import NamespaceRule, PathRule, PolicyRights
from quorate.api.app import HttpApplication
from quorate.api.endpoints.variables import listing
from quorate.api.http.messages import Request, Response


def rights(**paths: list[str]) -> Rights:
    """By path in `default`; `__` stands for a slash, `_ANY` at the end for `*`."""
    rules = tuple(
        PathRule(path.replace("_ANY", "*").replace("__", "/"), tuple(words))
        for path, words in paths.items()
    )
    return Rights([PolicyRights(namespaces=(NamespaceRule("default", variables=rules),))])


TOKENS = {
    "list": rights(app___ANY=["list"]),
    "ro": rights(app___ANY=["read", "list"]),
    "rw": rights(app___ANY=["write", "read", "list", "destroy"], app__secret=["deny"]),
    "wo": rights(app___ANY=["write"]),
    "team": Rights([PolicyRights(namespaces=(NamespaceRule("team", policy="read"),))]),
    "none": NOTHING,
}


async def served() -> tuple[FakeServer, HttpApplication]:
    """Three variables of `default` and one of `team`."""
    server = FakeServer().write_defaults()
    server.access.turn_on()
    for secret, given in TOKENS.items():
        server.access.give(secret, given)
    app = server.application(control=False)
    for path, namespace in (
        *(("app/x", "default"), ("app/secret", "default"), ("other/x", "default")),
        ("app/x", "team"),
    ):
        answer = await asked(app, "PUT", f"/v1/var/{path}?namespace={namespace}", MANAGEMENT)
        assert answer.status == 200
    await asked(app, "PUT", "/v1/namespace", MANAGEMENT, b'{"Name":"team"}')
    return server, app


async def asked(
    app: HttpApplication, method: str, target: str, token: str, body: bytes = b'{"Items":{"k":"v"}}'
) -> Response:
    headers = ((b"x-nomad-token", token.encode()),)
    return await answered(app, Request(method, target.encode(), headers, body))


@asynchronous
async def test_the_captured_matrix_of_variables() -> None:
    """Of v16acl-var-*: status by token."""
    _, app = await served()
    cases = {
        ("GET", "/v1/var/app/x"): {"ro": 200, "rw": 200, "list": 403, "wo": 403, "none": 403},
        ("GET", "/v1/var/app/secret"): {"ro": 200, "rw": 403, "wo": 403, "list": 403},
        ("GET", "/v1/var/other/x"): {"ro": 403, "rw": 403, "wo": 403, "list": 403},
        ("GET", "/v1/var/app/absent"): {"ro": 404, "none": 403},
        ("PUT", "/v1/var/app/x?cas=1"): {"ro": 403, "rw": 409, "list": 403, "none": 403},
        ("PUT", "/v1/var/app/new"): {"ro": 403, "rw": 200, "wo": 200, "list": 403, "none": 403},
        ("PUT", "/v1/var/app/new?lock-acquire"): {"ro": 403, "wo": 200},
        ("DELETE", "/v1/var/app/gone"): {"ro": 403, "wo": 403, "rw": 204, "none": 403},
    }
    for (method, target), expected in cases.items():
        for token, status in expected.items():
            answer = await asked(app, method, target, token)
            assert answer.status == status, f"{method} {target} {token} {answer.body!r}"


@asynchronous
async def test_the_namespace_of_the_body_is_the_one_that_counts() -> None:
    _, app = await served()
    body = b'{"Namespace":"team","Items":{"k":"v"}}'
    for query in ("", "?namespace=default", "?cas=0"):
        assert (await asked(app, "PUT", f"/v1/var/app/n{query}", "rw", body)).status == 403
    body = b'{"Namespace":"default","Items":{"k":"v"}}'
    assert (await asked(app, "PUT", "/v1/var/app/n?namespace=team", "rw", body)).status == 200


@asynchronous
async def test_a_conflict_shows_the_items_to_those_that_may_read_them() -> None:
    _, app = await served()
    for token, shown in (("rw", {"k": "v"}), ("wo", None)):
        answer = await asked(app, "PUT", "/v1/var/app/x?cas=1", token)
        assert answer.status == 409
        assert msgspec.json.decode(answer.body)["Items"] == shown
        body = b'{"Operations":[{"Op":"set","Path":"app/x","CAS":1,"Items":{"k":"w"}}]}'
        answer = await asked(app, "PUT", "/v1/vars/write", token, body)
        assert answer.status == 409
        assert msgspec.json.decode(answer.body)["Variable"]["Items"] == shown
    answer = await asked(app, "PUT", "/v1/var/app/x?lock-acquire", "wo", b"{}")
    assert answer.status == 200
    assert "Items" not in msgspec.json.decode(answer.body)


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        ("list", ["app/secret", "app/x"]),
        ("ro", ["app/secret", "app/x"]),
        ("rw", ["app/x"]),
        ("wo", []),
        ("none", []),
        ("team", []),
        (MANAGEMENT, ["app/secret", "app/x", "other/x"]),
    ],
)
@asynchronous
async def test_lists_and_searches_leave_out_what_the_caller_may_not_see(
    token: str, seen: list[str]
) -> None:
    _, app = await served()

    async def paths(query: str) -> list[str]:
        answer = await asked(app, "GET", f"/v1/vars{query}", token)
        assert answer.status == 200
        return [each["Path"] for each in msgspec.json.decode(answer.body)]

    assert await paths("") == seen
    everywhere = [*seen, "app/x"] if token == MANAGEMENT else seen
    assert await paths("?namespace=*") == everywhere
    assert await paths("?prefix=app/") == [each for each in seen if each.startswith("app/")]
    pages, next_token = [], ""
    while True:
        answer = await asked(app, "GET", f"/v1/vars?per_page=1&next_token={next_token}", token)
        pages += [each["Path"] for each in msgspec.json.decode(answer.body)]
        next_token = answer.header(b"X-Nomad-Nexttoken").decode()
        if not next_token:
            break
        assert next_token.removeprefix("default.") in seen
    assert pages == seen
    body = b'{"Prefix":"","Context":"vars"}'
    found = msgspec.json.decode((await asked(app, "PUT", "/v1/search", token, body)).body)
    assert found["Matches"]["vars"] == seen


@asynchronous
async def test_namespaces_by_right() -> None:
    _, app = await served()
    for token, seen in (("team", ["team"]), ("wo", ["default"]), ("none", [])):
        answer = await asked(app, "GET", "/v1/namespaces", token)
        assert [each["Name"] for each in msgspec.json.decode(answer.body)] == seen
        for name in ("default", "team"):
            one = await asked(app, "GET", f"/v1/namespace/{name}", token)
            assert one.status == (200 if name in seen else 403)
        body = b'{"Text":"ea","Context":"namespaces"}'
        found = msgspec.json.decode((await asked(app, "PUT", "/v1/search/fuzzy", token, body)).body)
        assert [each["ID"] for each in found["Matches"]["namespaces"]] == (
            ["team"] if "team" in seen else []
        )
    assert (await asked(app, "GET", "/v1/job/x?namespace=team", "team")).status == 404
    assert (await asked(app, "GET", "/v1/job/x", "team")).status == 403
    assert (await asked(app, "GET", "/v1/job/x?namespace=*", "none")).status == 403


@asynchronous
async def test_each_operation_of_one_write_needs_its_own_right() -> None:
    server, app = await served()
    operations = {
        b'{"Op":"set","Path":"app/x","Items":{"k":"v"}}': {"rw", "wo"},
        b'{"Op":"delete","Path":"app/y"}': {"rw"},
        b'{"Op":"check","Path":"app/z","CAS":0}': {"ro", "rw", "wo"},
        b'{"Op":"set","Path":"app/secret","Items":{"k":"v"}}': {"wo"},
        b'{"Op":"set","Path":"app/x","Namespace":"team","Items":{"k":"v"}}': set(),
    }
    for operation, allowed in operations.items():
        for token in TOKENS:
            index = server.log_index
            always = b'{"Op":"check","Path":"app/zz","CAS":0}'
            for body in (operation, b",".join((always, operation))):
                whole = b'{"Operations":[%b]}' % body
                answer = await asked(app, "PUT", "/v1/vars/write", token, whole)
                may = token in allowed and (body is operation or token in {"ro", "rw", "wo"})
                assert answer.status == (200 if may else 403), f"{token} {body!r} {answer.body!r}"
            assert (server.log_index > index) is (token in allowed)


@asynchronous
async def test_a_list_of_many_that_are_not_seen_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quorate.api.endpoints.variables.listing.ROWS_MAX", 2)
    _, app = await served()
    answer = await asked(app, "GET", "/v1/vars", "list")
    assert answer.status == 400
    assert b"more than 2 variables that the token may not list" in answer.body
    assert (await asked(app, "GET", "/v1/vars?prefix=app/", "list")).status == 200


async def at_once(app: HttpApplication, target: str, token: str) -> bool:
    """Whether a query that may wait is answered without it."""
    waiting = asyncio.ensure_future(asked(app, "GET", f"{target}&wait=30s", token))
    for _ in range(100):  # turns of the loop: there is no other server
        await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return done


@pytest.mark.parametrize("token", ["none", "list", "wo"])
@pytest.mark.parametrize(
    ("there", "absent"),
    [
        ("/v1/vars?prefix=other", "/v1/vars?prefix=nowhere"),
        ("/v1/vars?namespace=*&prefix=other", "/v1/vars?namespace=*&prefix=nowhere"),
        ("/v1/vars?namespace=team&prefix=app", "/v1/vars?namespace=nowhere&prefix=app"),
        ("/v1/var/other/x?", "/v1/var/nowhere/x?"),
        ("/v1/var/app/x?namespace=team", "/v1/var/app/x?namespace=nowhere"),
        ("/v1/namespaces?prefix=team", "/v1/namespaces?prefix=nowhere"),
        ("/v1/namespace/team?", "/v1/namespace/nowhere?"),
    ],
)
@asynchronous
async def test_a_wait_does_not_tell_what_is_there(there: str, absent: str, token: str) -> None:
    """What the caller may not see neither ends a wait nor begins one."""
    server, app = await served()
    before = server.store.table_index("variables" if "/var" in there else "namespaces") - 1
    while before >= 0 and server.store.table_index("variables") - before < 6:
        ends = [await at_once(app, f"{each}&index={before}", token) for each in (there, absent)]
        assert ends[0] == ends[1], before
        before -= 1


@asynchronous
async def test_a_list_that_shows_all_waits_for_its_prefix_alone() -> None:
    server, app = await served()
    answer = await asked(app, "PUT", "/v1/var/other/y", MANAGEMENT)
    assert answer.status == 200
    before = server.store.table_index("variables") - 1
    for token, prefix, ends in (
        *(("list", "app/", False), ("list", "app/x", False), ("list", "", True)),
        *(("rw", "app/x", False), ("rw", "app/", True), (MANAGEMENT, "app/", False)),
    ):
        target = f"/v1/vars?prefix={prefix}&index={before}"
        assert await at_once(app, target, token) is ends, (token, prefix)


@asynchronous
async def test_below_a_prefix_without_a_right_no_row_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bound that is met, or the time that it takes, would tell how many there are."""
    _, app = await served()
    monkeypatch.setattr(listing, "ROWS_MAX", 1)
    for path in ("b", "c", "d"):
        assert (await asked(app, "PUT", f"/v1/var/other/{path}", MANAGEMENT)).status == 200
    for prefix in ("other/", "nowhere/"):
        answer = await asked(app, "GET", f"/v1/vars?prefix={prefix}", "list")
        assert (answer.status, answer.body) == (200, b"[]"), prefix
