"""The lock of a variable by `/v1/var/<path>?lock-acquire`, `?lock-renew`, `?lock-release`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered

from quorate.api.http.messages import Request, Response
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel


class Locks:
    """A leader of level 3, and its application."""

    def __init__(self) -> None:
        self.server = FakeServer("s3").write_defaults()
        self.server.commit(encode(RaiseLevel(level=3)))
        self.application = self.server.application()

    async def ask(self, method: str, path: str, body: Any = None) -> Response:
        sent = b"" if body is None else msgspec.json.encode(body)
        return await answered(self.application, Request(method, path.encode(), (), sent))

    async def lock(self, what: str, lock_id: str = "", **more: Any) -> Response:
        body = {"Lock": {"ID": lock_id, **more.pop("lock", {})}, **more}
        return await self.ask("PUT", f"/v1/var/a?lock-{what}", body)


@asynchronous
async def test_a_lock_is_acquired_shown_renewed_and_released() -> None:
    locks = Locks()
    made = await locks.lock("acquire", Items={"k": "v"}, lock={"TTL": "20s", "LockDelay": "1s"})
    found = msgspec.json.decode(made.body)
    lock_id = found["Lock"]["ID"]
    assert (made.status, found["Items"]) == (200, {"k": "v"})
    told = {"Fence": found["ModifyIndex"], "ID": lock_id, "LockDelay": "1s", "TTL": "20s"}
    assert found["Lock"] == told
    assert len(lock_id) == 36
    assert msgspec.json.decode((await locks.ask("GET", "/v1/vars")).body)[0]["Lock"] == told

    other = await locks.lock("acquire", "other")
    assert (other.status, msgspec.json.decode(other.body)) == (409, found)
    assert other.header(b"X-Quorate-Conflict") == b"locked"
    plain = await locks.ask("PUT", "/v1/var/a", {"Items": {"k": "w"}})
    assert (plain.status, plain.header(b"X-Quorate-Conflict")) == (409, b"locked")
    assert (await locks.ask("DELETE", "/v1/var/a")).status == 409
    mine = {"Items": {"k": "w"}, "Lock": {"ID": lock_id}}
    assert (await locks.ask("PUT", "/v1/var/a", mine)).status == 200

    renewed = await locks.lock("renew", lock_id)
    assert (renewed.status, msgspec.json.decode(renewed.body)["Lock"]) == (200, told)
    freed = await locks.lock("release", lock_id)
    assert (freed.status, b"Lock" in freed.body) == (200, False)
    kept = msgspec.json.decode((await locks.lock("acquire", "other")).body)
    assert (kept["Items"], kept["Lock"]["TTL"]) == ({"k": "w"}, "15s")


@asynchronous
async def test_a_lock_that_is_not_held_is_told_as_clients_know_it() -> None:
    locks = Locks()
    gone = await locks.lock("renew", "one")
    assert (gone.status, gone.body) == (404, b"variable doesn't exist")
    await locks.ask("PUT", "/v1/var/a", {"Items": {"k": "v"}})
    free = await locks.lock("release", "one")
    assert (free.status, free.body) == (409, b"variable doesn't hold a lock")
    await locks.lock("acquire", "one")
    others = await locks.lock("renew", "two")
    assert (others.status, others.body) == (409, b"attempting to modify locked variable")


@pytest.mark.parametrize(
    ("query", "lock", "why"),
    [
        ("lock-acquire&lock-renew", {}, "multiple lock operations"),
        ("lock-acquire&cas=1", {}, "CAS can't be used with lock operations"),
        ("lock-renew", {}, "Lock: ID: the ID that the acquiring answer gave is required"),
        ("lock-acquire", {"ID": "a b"}, "Lock: ID: a lock's ID is 1 to 128"),
        ("lock-acquire", {"ID": "x" * 129}, "Lock: ID: a lock's ID is 1 to 128"),
        ("lock-acquire", {"TTL": "9s"}, "Lock: TTL: 9s is not 10s to 24h"),
        ("lock-acquire", {"TTL": "25h"}, "Lock: TTL: 25h0m0s is not 10s to 24h"),
        ("lock-acquire", {"TTL": "x"}, "TTL"),
        ("lock-acquire", {"LockDelay": "-1s"}, "Lock: LockDelay: -1s is not 0s to 24h"),
        ("lock-acquire", {"ID": 7}, "Lock: ID: expected a string, got number 7"),
    ],
)
@asynchronous
async def test_what_is_wrong_is_named(query: str, lock: dict[str, Any], why: str) -> None:
    locks = Locks()
    answer = await locks.ask("PUT", f"/v1/var/a?{query}", {"Lock": lock})
    assert (answer.status, why in answer.body.decode()) == (400, True), answer.body
