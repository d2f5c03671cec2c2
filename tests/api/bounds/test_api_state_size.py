"""`/v1/operator/state`, and writes that a bound refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered

from quorate.api.http.messages import Request, Response
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.tables.limits import RecordMemory, SetLimit
from quorate.state.tables.namespaces import Namespace, UpsertNamespace
from quorate.state.tables.variables import DeleteVariable

MIB = 1 << 20


class Served:
    """A leader of level 3."""

    def __init__(self) -> None:
        self.server = FakeServer("s3").write_defaults()
        self.server.commit(encode(RaiseLevel(level=3)))
        self.application = self.server.application()

    async def ask(self, method: str, path: str, body: Any = None) -> Response:
        sent = b"" if body is None else msgspec.json.encode(body)
        return await answered(self.application, Request(method, path.encode(), (), sent))

    async def put(self, path: str, size: int = 10, query: str = "") -> Response:
        return await self.ask("PUT", f"/v1/var/{path}?{query}", {"Items": {"k": "v" * size}})

    async def limit(self, bytes_max: int, namespace: str = "") -> Response:
        body = {"BytesMax": bytes_max, "Namespace": namespace}
        return await self.ask("PUT", "/v1/operator/state/limit", body)

    async def size(self) -> dict[str, Any]:
        answer = await self.ask("GET", "/v1/operator/state")
        assert answer.status == 200
        found: dict[str, Any] = msgspec.json.decode(answer.body)
        return found


@asynchronous
async def test_a_full_state_names_bound_prefixes_and_cure() -> None:
    served = Served()
    for number in range(20):
        await served.put(f"app/cache/{number}", 40_000)
    await served.put("x")
    assert (await served.limit(MIB)).status == 200
    for number in range(10):
        answer = await served.put(f"more/{number}", 60_000)
    assert answer.status == 507
    text = answer.body.decode()
    assert text.startswith("the state takes ")
    assert '"app/cache/" in namespace "default" (0.8 MiB in 20)' in text
    assert answer.header(b"X-Quorate-Next") == (
        b"delete variables, or raise the bound: quorate operator state limit BYTES"
    )
    assert (await served.put("x")).status == 200, "no larger"
    assert (await served.put("x", query="cas=1")).status == 409, "a condition is told first"
    assert (await served.ask("DELETE", "/v1/var/app/cache/1")).status == 204


@asynchronous
async def test_what_the_leader_let_through_is_refused_where_it_is_applied() -> None:
    served = Served()
    served.server.usage.check = lambda command: None  # type: ignore[method-assign]
    served.server.commit(encode(SetLimit(bytes_max=1)))
    several = {"Operations": [{"Op": "set", "Path": "a", "Items": {"k": "v"}}]}
    answers = [
        await served.put("a"),
        await served.ask("PUT", "/v1/vars/write", several),
        await served.ask("PUT", "/v1/var/a?lock-acquire", {"Items": {"k": "v"}}),
    ]
    assert [answer.status for answer in answers] == [507, 507, 507]
    assert (await served.ask("GET", "/v1/vars")).body == b"[]"


@asynchronous
async def test_a_bound_that_sinks_counts_at_once() -> None:
    """Though one look of the leader is for many writes while there is much room."""
    served = Served()
    served.server.commit(encode(SetLimit(bytes_max=1 << 30)))
    for number in range(100):
        assert (await served.put(f"{number}")).status == 200
    served.server.commit(encode(SetLimit(bytes_max=1)))
    assert (await served.put("new")).status == 507
    assert (await served.put("1")).status == 200, "no larger"


@asynchronous
async def test_the_leader_refuses_without_an_entry_in_the_log() -> None:
    served = Served()
    served.server.commit(encode(SetLimit(bytes_max=1)))
    index = served.server.log_index
    several = {"Operations": [{"Op": "set", "Path": "a", "Items": {"k": "v"}}]}
    answers = [
        await served.put("a"),
        await served.ask("PUT", "/v1/vars/write", several),
        await served.ask("PUT", "/v1/var/a?lock-acquire", {"Items": {"k": "v"}}),
    ]
    assert [answer.status for answer in answers] == [507, 507, 507]
    assert served.server.log_index == index


@asynchronous
async def test_a_namespace_that_is_full_names_its_own_prefixes() -> None:
    served = Served()
    await served.put("other/a", 50_000)
    for number in range(16):
        await served.put(f"web/{number}", 60_000, "namespace=team")
    assert (await served.limit(MIB, "team")).status == 200
    answer = Response(200, b"")
    while answer.status == 200:
        number += 1
        answer = await served.put(f"web/{number}", 60_000, "namespace=team")
    assert answer.status == 507
    assert answer.body.startswith(b'namespace "team" takes ')
    assert b'"web/"' in answer.body
    assert b"other" not in answer.body
    assert b"-of=team BYTES" in (answer.header(b"X-Quorate-Next") or b"")


@asynchronous
async def test_sizes_bounds_and_prefixes_are_shown() -> None:
    served = Served()
    served.server.commit(encode(RecordMemory(memory=(("s1", 8 * MIB), ("s2", 16 * MIB)))))
    await served.put("app/db", 1000)
    served.server.commit(encode(UpsertNamespace(namespace=Namespace(name="web"))))
    assert (await served.limit(3 * MIB, "web")).status == 200
    found = await served.size()
    assert found["BytesMax"] == 2 * MIB
    assert (found["SmallestServer"], found["SmallestMemory"]) == ("s1", 8 * MIB)
    assert (found["Limit"], found["Warning"], found["Variables"]) == (0, "", 1)
    assert [(each["Namespace"], each["BytesMax"]) for each in found["Namespaces"]] == [
        ("default", 0),
        ("web", 3 * MIB),
    ]
    assert [(each["Prefix"], each["Variables"]) for each in found["Prefixes"]] == [("app/", 1)]
    assert found["Namespaces"][0]["Bytes"] == found["Prefixes"][0]["Bytes"] > 1000


@asynchronous
async def test_no_bound_for_a_namespace_that_is_not_there() -> None:
    served = Served()
    index = served.server.log_index
    for bytes_max in (MIB, 0):
        answer = await served.limit(bytes_max, "wbe")
        assert answer.status == 404
        assert answer.body == (
            b'there is no namespace "wbe", and no variable in it; there are: default'
        )
        assert answer.header(b"X-Quorate-Next") == (
            b"look at the name; or make the namespace: quorate namespace apply wbe"
        )
    assert served.server.log_index == index, "nothing was written"
    await served.put("a", 1, "namespace=wbe")
    assert (await served.limit(MIB, "wbe")).status == 200, "it holds a variable"
    served.server.commit(encode(DeleteVariable(namespace="wbe", path="a")))
    assert (await served.limit(0, "wbe")).status == 200, "it has a bound to take away"
    assert (await served.limit(0, "wbe")).status == 404
    for number in range(7):
        namespace = Namespace(name=f"team-{number}")
        served.server.commit(encode(UpsertNamespace(namespace=namespace)))
    answer = await served.limit(MIB, "wbe")
    assert answer.body.endswith(b"there are: default, team-0, team-1, team-2, team-3 and 3 more")


@asynchronous
async def test_health_warns_at_four_fifths() -> None:
    served = Served()
    await served.put("a", 60_000)
    size = (await served.size())["Bytes"]
    served.server.commit(encode(SetLimit(bytes_max=size * 5 // 4 + 5)))
    health = await served.ask("GET", "/v1/agent/health")
    assert msgspec.json.decode(health.body) == {"server": {"message": "ok", "ok": True}}
    served.server.commit(encode(SetLimit(bytes_max=size * 5 // 4)))
    health = await served.ask("GET", "/v1/agent/health")
    message = msgspec.json.decode(health.body)["server"]["message"]
    assert health.status == 200
    assert message.startswith("the state takes 80 % of the ")
    assert message == (await served.size())["Warning"]
    served.server.commit(encode(SetLimit(bytes_max=0)))
    served.server.commit(encode(SetLimit(bytes_max=size // 2, namespace="default")))
    assert served.server.usage.warning().startswith('namespace "default" takes ')


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "BytesMax"),
        ({"BytesMax": "1"}, "BytesMax"),
        ({"BytesMax": -1}, "BytesMax is 0, or 1048576"),
        ({"BytesMax": 1000}, "BytesMax is 0, or 1048576"),
        ({"BytesMax": 2**61}, "BytesMax is 0, or 1048576"),
        ({"BytesMax": MIB, "Namespace": "*"}, "Namespace is no name"),
        ({"BytesMax": MIB, "Namespace": "n" * 129}, "Namespace is no name"),
        ({"BytesMax": MIB, "What": 1}, "unknown field"),
        ([], "the body is not what is expected"),
    ],
)
@asynchronous
async def test_bad_bounds(body: Any, text: str) -> None:
    answer = await Served().ask("PUT", "/v1/operator/state/limit", body)
    assert answer.status == 400
    assert text in answer.body.decode()
