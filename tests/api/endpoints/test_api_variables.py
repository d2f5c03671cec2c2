"""`/v1/vars` and `/v1/var/<path>`: what the captures of a real server do not show."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from api_running import asynchronous, until
from fake_server import FakeServer, answered
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.api.codec import filters
from quorate.api.endpoints.variables import listing
from quorate.api.endpoints.variables.rules import ITEMS_BYTES_MAX, ITEMS_MAX
from quorate.api.http.messages import Request, Response
from quorate.errors import KeyMissing
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.sealer import HasSealed, Sealer
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.tables.variables import TABLE, Sealed


class Variables:
    """A leader of level 3, and its application."""

    def __init__(self) -> None:
        self.server = FakeServer("s3").write_defaults()
        self.server.commit(encode(RaiseLevel(level=3)))
        self.application = self.server.application()

    async def ask(self, method: str, path: str, body: Any = None) -> Response:
        sent = (
            b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        )
        return await answered(self.application, Request(method, path.encode(), (), sent))

    async def put(self, path: str, **items: str) -> int:
        """Its modify index."""
        answer = await self.ask("PUT", f"/v1/var/{path}", {"Items": items or {"k": "v"}})
        assert answer.status == 200, answer.body
        index: int = msgspec.json.decode(answer.body)["ModifyIndex"]
        assert answer.header(b"X-Nomad-Index") == b"%d" % index
        return index

    async def paths(self, query: str = "") -> list[str]:
        answer = await self.ask("GET", f"/v1/vars?{query}")
        assert answer.status == 200, answer.body
        return [row["Path"] for row in msgspec.json.decode(answer.body)]


@asynchronous
async def test_items_come_back_sorted_and_whatever_they_hold() -> None:
    served = Variables()
    await served.put("a", z="1", é="\x00\n", a="")
    answer = await served.ask("GET", "/v1/var/a")
    found = msgspec.json.decode(answer.body)
    assert list(found["Items"].items()) == [("a", ""), ("z", "1"), ("é", "\x00\n")]
    assert b"Items" not in (await served.ask("GET", "/v1/vars")).body


@asynchronous
async def test_a_client_may_write_back_what_it_has_read() -> None:
    served = Variables()
    index = await served.put("a")
    read = (await served.ask("GET", "/v1/var/a")).body
    answer = await served.ask("PUT", f"/v1/var/b?cas={0}", read)
    assert msgspec.json.decode(answer.body)["Path"] == "b"
    assert (await served.ask("POST", f"/v1/var/a?cas={index}", read)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("PUT", "/v1/var/a?namespace=x%00y", {"Items": {"k": "v"}}, 'invalid namespace "x\\x00y"'),
        ("PUT", "/v1/var/a", {"Namespace": "x y", "Items": {"k": "v"}}, 'invalid namespace "x y"'),
        ("PUT", "/v1/var/a%00b", {"Items": {"k": "v"}}, 'invalid path "a\\x00b"'),
        ("PUT", "/v1/var/a%0a", {"Items": {"k": "v"}}, 'invalid path "a\\n"'),
        ("PUT", "/v1/var/a.b", {"Items": {"k": "v"}}, 'invalid path "a.b"'),
        ("PUT", "/v1/var/a", {"Items": []}, "Items: expected an object, got an array"),
        ("PUT", "/v1/var/a", {"Items": {"k": {}}}, 'Items: "k": expected a string, got an object'),
        ("PUT", "/v1/var/a", [], "expected an object, got an array"),
        ("PUT", "/v1/var/a", b"[" * 9999, "invalid JSON: nested too deeply"),
        ("PUT", "/v1/var/a?cas=99999999999999999999", {"Items": {"k": "v"}}, "can not parse cas"),
        ("PUT", "/v1/var/a", {"Items": {"é": "x" * (ITEMS_BYTES_MAX - 1)}}, "limited to 64KiB"),
        ("GET", "/v1/vars?next_token=x", None, "next_token is not one of this list"),
        ("GET", "/v1/vars?next_token=team.a", None, "next_token is not one of this list"),
        ("GET", "/v1/vars?per_page=x", None, "Expect a number for `per_page`"),
        ("GET", "/v1/vars?per_page=-1", None, "per_page is negative"),
        ("DELETE", "/v1/var/a?namespace=*", None, 'can not target wildcard ("*")namespace'),
        ("DELETE", "/v1/var/a?namespace=x%20y", None, 'invalid namespace "x y"'),
    ],
)
@asynchronous
async def test_what_is_wrong_is_named(method: str, path: str, body: Any, why: str) -> None:
    served = Variables()
    index = served.server.log_index
    answer = await served.ask(method, path, body)
    assert (answer.status, why in answer.body.decode()) == (400, True), answer.body
    assert served.server.log_index == index, "nothing was written"


@asynchronous
async def test_a_variable_has_so_many_items_and_no_more() -> None:
    served = Variables()
    items = {f"{n:x}": "" for n in range(ITEMS_MAX)}
    await served.put("many", **items)
    several = {f"{n:x}": "" for n in range(3 * ITEMS_MAX)}
    for more in ({**items, "more": ""}, several):
        refused = await served.ask("PUT", "/v1/var/many", {"Items": more})
        assert refused.status == 400
        wanted = (b"limited to 8192 items", b"more than 16448 names and values")
        assert any(text in refused.body for text in wanted)
    operation = {"Op": "set", "Path": "a", "Items": several}
    refused = await served.ask("PUT", "/v1/vars/write", {"Operations": [operation]})
    assert (refused.status, b"names and values" in refused.body) == (400, True)


@asynchronous
async def test_texts_within_texts_do_not_count() -> None:
    """A value may be a whole document of JSON."""
    served = Variables()
    value = '{"a":"b"},' * 6000
    await served.put("document", k=value)
    found = msgspec.json.decode((await served.ask("GET", "/v1/var/document")).body)
    assert found["Items"] == {"k": value}


@asynchronous
async def test_a_variable_of_64_kib_is_written_whatever_its_escapes() -> None:
    served = Variables()
    value = "\x01" * (ITEMS_BYTES_MAX - 1)  # six bytes of JSON for each
    await served.put("big", k=value)
    found = msgspec.json.decode((await served.ask("GET", "/v1/var/big")).body)
    assert found["Items"] == {"k": value}


@asynchronous
async def test_pages_go_on_where_the_page_before_ended() -> None:
    served = Variables()
    for name in ("a/1", "a/2", "a/3", "b/1"):
        await served.put(name)
        await served.put(f"{name}?namespace=team")
    for namespace, number in (("default", 3), ("*", 6)):
        found, token = [], ""
        while True:
            answer = await served.ask(
                "GET",
                f"/v1/vars?namespace={namespace}&prefix=a/&per_page=2&next_token={token}",
            )
            found += [(row["Namespace"], row["Path"]) for row in msgspec.json.decode(answer.body)]
            token = answer.header(b"X-Nomad-Nexttoken").decode()
            if not token:
                break
        assert found == sorted(found)
        assert len(set(found)) == len(found) == number
    # The row of a token may be gone by the time of the next page.
    assert await served.paths("next_token=default.a/15") == ["a/2", "a/3", "b/1"]


@asynchronous
async def test_filters_choose_rows_of_the_page() -> None:
    served = Variables()
    for name in ("a/1", "a/2", "b/1"):
        index = await served.put(name)
    assert await served.paths('filter=Path+matches+"1$"') == ["a/1", "b/1"]
    assert await served.paths(f"filter=ModifyIndex+=={index}") == ["b/1"]
    assert await served.paths('prefix=a&per_page=1&filter=Path+!="a/1"') == ["a/2"]


@asynchronous
async def test_one_answer_looks_at_so_many_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ROWS_MAX", 3)
    served = Variables()
    for name in "abcde":
        await served.put(name)
    refused = await served.ask("GET", "/v1/vars")
    assert refused.status == 400
    assert "more variables than one answer looks at: ask for pages" in refused.body.decode()
    page = await served.ask("GET", "/v1/vars?per_page=9&filter=Path+==e")
    assert (page.body, page.header(b"X-Nomad-Nexttoken")) == (b"[]", b"default.d")
    assert await served.paths("per_page=9&filter=Path+==e&next_token=default.d") == ["e"]


@pytest.mark.parametrize("expression", ['Path matches "no*pe[0-9]+$"', 'Path matches "17$"'])
@asynchronous
async def test_a_costly_filter_is_gone_through_page_by_page(
    monkeypatch: pytest.MonkeyPatch, expression: str
) -> None:
    monkeypatch.setattr(filters, "STEPS_MAX", 300)
    served = Variables()
    for number in range(40):
        await served.put(f"service/{number:02}")
    refused = await served.ask("GET", f"/v1/vars?filter={quote(expression)}")
    assert refused.status == 400
    assert "ask for pages of them" in refused.body.decode()
    found, tokens = [], [""]
    while tokens[-1] or len(tokens) == 1:
        query = f"per_page=1&filter={quote(expression)}&next_token={tokens[-1]}"
        page = await served.ask("GET", f"/v1/vars?{query}")
        assert page.status == 200, page.body
        found += [row["Path"] for row in msgspec.json.decode(page.body)]
        tokens.append(page.header(b"X-Nomad-Nexttoken").decode())
        assert tokens[-1] not in tokens[:-1] or not tokens[-1], "each page gets further"
    assert found == (["service/17"] if "17" in expression else [])
    assert len(tokens) > 3


@asynchronous
async def test_a_filter_that_is_too_much_for_one_row_is_refused() -> None:
    served = Variables()
    await served.put("a" * 120)
    expression = quote('Path matches "' + "(a*)*" * 60 + 'b"')
    refused = await served.ask("GET", f"/v1/vars?per_page=1&filter={expression}")
    assert refused.status == 400
    assert "too many steps" in refused.body.decode()


@pytest.mark.parametrize(
    ("query", "wakes", "sleeps"),
    [
        ("/v1/var/a?", "a", "ab"),
        ("/v1/vars?prefix=a", "ab", "b"),
        ("/v1/vars?", "b", "a?namespace=team"),
        ("/v1/vars?namespace=*", "a?namespace=team", None),
    ],
)
@asynchronous
async def test_a_blocking_query_wakes_for_its_own_changes(
    query: str, wakes: str, sleeps: str | None
) -> None:
    served = Variables()
    index = await served.put("a")
    path = f"{query}&index={index}&wait=9s"
    asked = asyncio.ensure_future(served.ask("GET", path))
    await until(lambda: served.server.store.watching == 1)
    if sleeps is not None:
        await served.put(sleeps)
        assert not asked.done()
    at = await served.put(wakes)
    assert (await asked).header(b"X-Nomad-Index") == b"%d" % at


@asynchronous
async def test_a_deletion_wakes_too() -> None:
    served = Variables()
    index = await served.put("a")
    asked = asyncio.ensure_future(served.ask("GET", f"/v1/var/a?index={index}"))
    await until(lambda: served.server.store.watching == 1)
    assert (await served.ask("DELETE", "/v1/var/a")).status == 204
    answer = await asked
    assert (answer.status, answer.header(b"X-Nomad-Index")) == (404, b"%d" % (index + 1))


@asynchronous
async def test_several_at_once_are_written_or_none() -> None:
    served = Variables()
    index = await served.put("old")
    operations: list[dict[str, Any]] = [
        {"Op": "set", "Path": "new", "Items": {"k": "v"}, "CAS": 0},
        {"Op": "delete", "Path": "old", "CAS": index},
        {"Op": "check", "Namespace": "team", "Path": "none", "CAS": 0},
    ]
    wrong = [*operations, {"Op": "check", "Path": "x", "CAS": 9}]
    refused = await served.ask("PUT", "/v1/vars/write", {"Operations": wrong})
    assert refused.header(b"X-Quorate-Conflict") == b"cas"
    assert refused.status == 409
    told = msgspec.json.decode(refused.body)
    assert (told["Operation"], told["Variable"]["Path"], told["Variable"]["Items"]) == (
        3,
        "x",
        None,
    )
    assert await served.paths() == ["old"]
    assert refused.header(b"X-Nomad-Index") == b"%d" % served.server.log_index

    done = await served.ask("POST", "/v1/vars/write", {"Operations": operations})
    answer = msgspec.json.decode(done.body)
    assert (done.status, answer["Index"]) == (200, served.server.log_index)
    assert [row and row["Path"] for row in answer["Variables"]] == ["new", None, None]
    assert await served.paths() == ["new"]


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        ([], "give 1 to 64 operations, not 0"),
        ([{"Op": "check", "Path": "a", "CAS": 0}] * 65, "give 1 to 64 operations, not 65"),
        ([{"Op": "check", "Path": "a", "CAS": 0}] * 2, "operation 1: its variable is named by"),
        ([{"Op": "check", "Path": "a"}], "operation 0: check needs CAS, or Lock"),
        (
            [{"Op": "delete", "Path": "a", "Items": {"k": "v"}}],
            "operation 0: delete takes no Items",
        ),
        ([{"Op": "set", "Path": "a"}], "operation 0: variable missing required Items"),
        (
            [{"Op": "set", "Path": "nomad", "Items": {"k": "v"}}],
            'operation 0: "nomad" is a reserved',
        ),
        ([{"Op": "delete", "Path": "a", "CAS": -1}], "operation 0: CAS is no index"),
        ([{"Op": "drop", "Path": "a"}], "Invalid enum value 'drop' - at `$.Operations[0].Op`"),
        ([{"Op": "set", "Path": 1}], "Expected `str`, got `int` - at `$.Operations[0].Path`"),
        ([{"Op": "set", "Pth": "a"}], "contains unknown field `Pth` - at `$.Operations[0]`"),
    ],
)
@asynchronous
async def test_bad_operations_are_named(operations: list[dict[str, Any]], why: str) -> None:
    served = Variables()
    index = served.server.log_index
    answer = await served.ask("PUT", "/v1/vars/write", {"Operations": operations})
    assert (answer.status, why in answer.body.decode()) == (400, True), answer.body
    assert served.server.log_index == index, "nothing was written"


@asynchronous
async def test_several_at_once_are_bounded_in_bytes() -> None:
    served = Variables()
    operations = [
        {"Op": "set", "Path": str(n), "Items": {"k": "x" * (ITEMS_BYTES_MAX - 1)}} for n in range(9)
    ]
    answer = await served.ask("PUT", "/v1/vars/write", {"Operations": operations})
    assert answer.status == 400
    assert "bytes in the log, and 524288 are allowed" in answer.body.decode()


class Locked(Sealer):
    """It seals for a key that it does not open with."""

    def seal(self, namespace: str, path: str, items: Mapping[str, str]) -> Sealed:
        plain = super().seal(namespace, path, items)
        return Sealed(plain.data, "k-9", b"n")

    def open(self, record: HasSealed) -> dict[str, str]:
        raise KeyMissing(record.key_id)


@asynchronous
async def test_without_the_key_all_but_the_values_is_answered() -> None:
    served = Variables()
    store = served.server.store
    served.server.sealer = Locked(store, KeyRing(store), lambda: True)
    served.application = served.server.application()
    index = await served.put("a")
    assert await served.paths() == ["a"]
    for method, path in (("GET", "/v1/var/a"), ("DELETE", "/v1/var/a?cas=1")):
        answer = await served.ask(method, path)
        assert answer.status >= 500
        assert "k-9" in answer.body.decode()
    assert (await served.ask("DELETE", f"/v1/var/a?cas={index}")).status == 204


@asynchronous
async def test_a_follower_has_the_leader_seal_and_write() -> None:
    served = Variables()
    follower = FakeServer("s2", role="follower")
    follower.leader_application = served.application
    request = Request("PUT", b"/v1/var/a", (), b'{"Items":{"k":"v"}}')
    assert (await answered(follower.application(), request)).status == 200
    assert await served.paths() == ["a"]
    refused = Request("DELETE", b"/v1/var/a?cas=1", (), b"")
    answer = await answered(follower.application(), refused)
    assert answer.status == 409
    assert msgspec.json.decode(answer.body)["Items"] == {"k": "v"}


_TEXTS = st.text(st.sampled_from('a"\\\n\u00e9\u2028\ud800'), max_size=3)
_VALUES = st.one_of(st.none(), st.integers(-1, 2**64), st.booleans(), _TEXTS)
_FIELDS = st.sampled_from(["Items", "items", "Namespace", "Path", "CreateIndex", "Lock", "Other"])
_BODIES = st.one_of(
    st.dictionaries(_FIELDS, st.one_of(_VALUES, st.dictionaries(_TEXTS, _VALUES, max_size=2))),
    st.fixed_dictionaries(
        {"Items": st.dictionaries(_TEXTS, _TEXTS, max_size=3)},
        optional={"Namespace": st.sampled_from(["", "team", "x y", "*"]), "Path": _TEXTS},
    ),
)


_ODD = (b"", b"null", b"[]", b'{"Items": {"a": "b"}} x', b'{"Items":{"a":"\xff"}}')


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        _BODIES.map(lambda body: json.dumps(body).encode()),
        _BODIES.map(lambda body: json.dumps(body, ensure_ascii=False).encode(errors="ignore")),
        st.sampled_from(
            [b"", b"null", b"[]", b'{"Items": {"a": "b"}} x', b'{"Items":{"a":"\xff"}}']
        ),
        st.sampled_from([30_000, 40_000, 70_000]).map(
            lambda n: b'{"Items":{"a":"%b"}}' % (b"v" * n)
        ),
        st.sampled_from([4000, 9000]).map(
            lambda n: msgspec.json.encode({"Items": {str(at): "" for at in range(n)}})
        ),
    ),
    st.sampled_from(["a", "b/c", "nomad/x", "a.b"]),
)
def test_a_usual_body_is_read_as_any_other(body: bytes, path: str) -> None:
    """A query takes the long way, whatever it says."""

    @asynchronous
    async def test() -> None:
        short, long = Variables(), Variables()
        answers = [
            await short.ask("PUT", f"/v1/var/{path}", body),
            await long.ask("PUT", f"/v1/var/{path}?other", body),
        ]
        for answer in answers:
            answer.body = re.sub(rb'Time":\d+', b"", answer.body)
        assert answers[0].status == answers[1].status
        assert answers[0].body == answers[1].body
        assert short.server.store.rows(TABLE).keys() == long.server.store.rows(TABLE).keys()

    test()
