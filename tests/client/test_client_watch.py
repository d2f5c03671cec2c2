"""`watch` and `watch_one`: what is told, over failures, restores and rubbish."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from api_running import asynchronous, until
from api_server import serving
from fake_server import FakeServer

from quorate.client import (
    Answer,
    AsyncClient,
    Change,
    ClientError,
    Gap,
    RequestError,
    StatusError,
    TooMany,
)
from quorate.client.calls.call import Call, Request, Waiting
from quorate.client.coordination.watch import Watching
from quorate.client.steps import Steps, carried_out
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.commands import BeginRestore, CommitRestore

LOST = RequestError("GET", "http://x", "connection refused")


class Cluster(Waiting):
    """Variables in memory. `troubles` are met by the next requests, whatever they are."""

    def __init__(self) -> None:
        self.index = 10
        self.rows: dict[str, int] = {}
        self.troubles: list[ClientError | Answer] = []
        self.asked: list[Request] = []
        self.before_reply: list[Any] = []
        self.now = 0.0
        self.paused: list[float] = []

    def put(self, *paths: str) -> None:
        for path in paths:
            self.index += 1
            self.rows[path] = self.index

    def delete(self, path: str) -> None:
        self.index += 1
        del self.rows[path]

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.paused.append(seconds)

    def perform(self, call: Call[Any], /) -> Any:
        self.asked.append(call.request)
        if self.before_reply:
            self.before_reply.pop(0)()
        if self.troubles:
            trouble = self.troubles.pop(0)
            if isinstance(trouble, ClientError):
                raise trouble
            return call.read(trouble)
        return call.read(self._answer(call.request))

    def _answer(self, request: Request) -> Answer:
        query = dict(request.query)
        headers = {"x-nomad-index": str(self.index)}
        if request.path != "/v1/vars":
            path = request.path.removeprefix("/v1/var/")
            if path not in self.rows:
                return Answer(404, "", headers, b"variable not found")
            return Answer(200, "", headers, json.dumps(self._row(path)).encode())
        found = sorted(path for path in self.rows if path.startswith(query.get("prefix", "")))
        found = [path for path in found if f"default.{path}" >= query.get("next_token", "")]
        size = int(query["per_page"])
        if len(found) > size:
            headers["x-nomad-nexttoken"] = f"default.{found[size]}"
        rows = [self._row(path) for path in found[:size]]
        return Answer(200, "", headers, json.dumps(rows).encode())

    def _row(self, path: str) -> dict[str, Any]:
        index = self.rows[path]
        items = {"v": str(index)}
        return {"Namespace": "default", "Path": path, "ModifyIndex": index, "Items": items}

    def watch(self, prefix: str = "", **how: Any) -> Iterator[Change | Gap]:
        return self._told(Watching(prefix=prefix, clock=lambda: self.now, **how).prefixed())

    def watch_one(self, path: str, **how: Any) -> Iterator[Change]:
        return self._told(Watching(prefix=path, clock=lambda: self.now, **how).one())

    def _told(self, steps: Steps[Any]) -> Iterator[Any]:
        return carried_out(steps, self, self.pause)


def seen(change: Change | Gap) -> tuple[str, int, int]:
    """Path, modify index (0: deleted) and how many are left."""
    assert isinstance(change, Change)
    if change.variable is None:
        return change.path, 0, change.left
    assert change.variable.items == {"v": str(change.index)}
    return change.path, change.index, change.left


def test_it_begins_with_all_there_is_and_goes_on_with_what_changes() -> None:
    cluster = Cluster()
    cluster.put("a/1", "a/2", "b")
    watch = cluster.watch("a/")
    first = next(watch)
    assert isinstance(first, Gap)
    assert (first.why, first.index) == ("the watch begins", 13)
    assert [row.path for row in first.variables] == ["a/1", "a/2"]
    assert [seen(next(watch)) for _ in range(2)] == [("a/1", 11, 1), ("a/2", 12, 0)]
    cluster.put("a/2", "a/3")
    cluster.delete("a/1")
    assert [seen(next(watch)) for _ in range(3)] == [("a/2", 14, 2), ("a/3", 15, 1), ("a/1", 0, 0)]
    waited = [request for request in cluster.asked if ("index", "13") in request.query]
    assert [dict(request.query)["wait"] for request in waited] == ["60000ms"]
    assert waited[0].timeout_s == 85


def test_failures_are_waited_for_and_nothing_is_missed() -> None:
    cluster = Cluster()
    cluster.put("a/1", "a/2")
    rubbish = Answer(200, "", {}, b"<html>")
    without_index = Answer(200, "", {}, b"[]")
    watch = cluster.watch("a/")
    cluster.troubles = [LOST, StatusError(500, "No cluster leader"), rubbish]
    assert isinstance(next(watch), Gap)
    cluster.troubles = [rubbish, Answer(200, "", {}, b"[]"), StatusError(429, "slowly"), LOST]
    assert seen(next(watch)) == ("a/1", 11, 1)
    assert seen(next(watch)) == ("a/2", 12, 0)
    cluster.put("a/1")
    cluster.delete("a/2")
    cluster.put("a/3")
    cluster.troubles = [*[LOST] * 5, without_index, Answer(200, "", {}, b"7"), LOST]
    assert [seen(next(watch)) for _ in range(3)] == [("a/1", 13, 2), ("a/3", 15, 1), ("a/2", 0, 0)]
    assert max(cluster.paused) == 2.0
    assert min(cluster.paused) == 0.05


def test_patience_ends_with_the_last_error() -> None:
    cluster = Cluster()
    watch = cluster.watch(patience_s=20.0)
    assert isinstance(next(watch), Gap)
    cluster.troubles = [*[LOST] * 99, StatusError(500, "x")]
    with pytest.raises(RequestError, match="connection refused"):
        next(watch)
    assert 20 <= sum(cluster.paused) < 23
    patient = Cluster().watch_one("a", patience_s=None)
    assert seen(next(patient))[0] == "a"


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_raised_at_once(status: int) -> None:
    cluster = Cluster()
    cluster.troubles = [Answer(status, "", {}, b"Permission denied")]
    with pytest.raises(StatusError, match="Permission denied"):
        next(cluster.watch())
    assert cluster.paused == []


def test_a_restore_and_another_cluster_are_gaps_with_all_there_is() -> None:
    cluster = Cluster()
    cluster.put("a", "b")
    watch = cluster.watch()
    for _ in range(3):
        next(watch)
    cluster.index += 1 << 20  # as a restore: "a" as it was, without "b"
    cluster.delete("b")
    gap = next(watch)
    assert isinstance(gap, Gap)
    assert gap.why.startswith("a snapshot was restored")
    assert [row.path for row in gap.variables] == ["a"]
    assert seen(next(watch)) == ("a", 11, 0)
    cluster.index = 4
    gap = next(watch)
    assert isinstance(gap, Gap)
    assert "another cluster" in gap.why
    assert seen(next(watch)) == ("a", 11, 0)


def test_what_changes_between_the_list_and_the_value_is_told_once() -> None:
    cluster = Cluster()
    cluster.put("a", "b")
    watch = cluster.watch()
    next(watch)
    cluster.before_reply = [lambda: cluster.put("a"), lambda: cluster.delete("b")]
    assert [seen(next(watch)) for _ in range(2)] == [("a", 13, 1), ("b", 0, 0)]
    cluster.put("b")
    assert seen(next(watch)) == ("b", 15, 0)


def test_more_than_may_be_held_is_an_error_and_not_memory() -> None:
    cluster = Cluster()
    cluster.put(*(f"a/{number}" for number in range(6)))
    assert isinstance(next(cluster.watch("a/", most=6)), Gap)
    with pytest.raises(TooMany, match="more than 5 variables begin with 'a/'"):
        next(cluster.watch("a/", most=5))


def test_all_pages_are_read() -> None:
    cluster = Cluster()
    cluster.put(*(f"{number:04}" for number in range(2345)))
    gap = next(cluster.watch())
    assert isinstance(gap, Gap)
    assert len(gap.variables) == 2345
    assert len(cluster.asked) == 3


def test_a_server_that_does_not_wait_is_not_asked_without_a_pause() -> None:
    cluster = Cluster()
    watch = cluster.watch("a")
    assert isinstance(next(watch), Gap)
    cluster.before_reply = [lambda: None] * 40 + [lambda: cluster.put("a")]
    assert seen(next(watch)) == ("a", 11, 0)
    assert sum(cluster.paused) > 30


def test_one_variable() -> None:
    cluster = Cluster()
    watch = cluster.watch_one("a")
    assert seen(next(watch)) == ("a", 0, 0)
    cluster.put("a")
    cluster.troubles = [LOST]
    assert seen(next(watch)) == ("a", 11, 0)
    cluster.before_reply = [lambda: None, lambda: cluster.put("b"), lambda: cluster.put("a")]
    assert seen(next(watch)) == ("a", 13, 0)
    cluster.index += 1 << 20
    assert seen(next(watch)) == ("a", 13, 0)
    cluster.delete("a")
    assert seen(next(watch)) == ("a", 0, 0)


# -- a real application ------------------------------------------------------------------------


def restore(server: FakeServer, tables: tuple[str, ...] = ("variables",)) -> None:
    index = server.log_index + (1 << 20)
    assert server.commit(encode(BeginRestore(id="r", index=index, tables=tables)))
    assert server.commit(encode(CommitRestore(id="r", pieces=0, tables=tables))) == index


@asynchronous
async def test_a_waiting_watch_is_woken_by_changes_and_by_a_restore() -> None:
    server = FakeServer("s3").write_defaults()
    server.commit(encode(RaiseLevel(level=3)))
    async with serving(server.application()) as served, AsyncClient(served.url) as client:
        variables = client.variables
        async with (
            aclosing(variables.watch("app/")) as watch,
            aclosing(variables.watch_one("app/a")) as one,
        ):
            first = await anext(watch)
            assert isinstance(first, Gap)
            assert first.variables == ()
            assert (await anext(one)).variable is None
            told, told_one = asyncio.ensure_future(anext(watch)), asyncio.ensure_future(anext(one))
            await variables.put("other", {"k": "v"})
            made = await variables.put("app/a", {"k": "v"})
            change = await told
            assert isinstance(change, Change)
            assert change.variable == made
            assert (await told_one).variable == made
            told, told_one = asyncio.ensure_future(anext(watch)), asyncio.ensure_future(anext(one))
            await variables.delete("app/a")
            change = await told
            assert isinstance(change, Change)
            assert (change.path, change.variable, change.left) == ("app/a", None, 0)
            assert change.index > made.modify_index
            assert (await told_one).variable is None

            await variables.put("app/a", {"k": "w"})
            assert isinstance(await anext(watch), Change)
            assert (await anext(one)).variable is not None
            told, told_one = asyncio.ensure_future(anext(watch)), asyncio.ensure_future(anext(one))
            restore(server)
            gap = await told
            assert isinstance(gap, Gap)
            assert gap.why.startswith("a snapshot was restored")
            assert [row.path for row in gap.variables] == ["app/a"]
            change = await anext(watch)
            assert isinstance(change, Change)
            assert (change.path, change.left) == ("app/a", 0)
            made = await variables.put("app/a", {"k": "x"})
            change = await anext(watch)
            assert isinstance(change, Change)
            assert change.variable == (await told_one).variable == made


@asynchronous
async def test_a_restore_that_changes_no_variable_is_one_gap_and_none_later() -> None:
    server = FakeServer("s3").write_defaults()
    server.commit(encode(RaiseLevel(level=3)))
    async with serving(server.application()) as served, AsyncClient(served.url) as client:
        variables = client.variables
        await variables.put("app/a", {"k": "v"})
        async with (
            aclosing(variables.watch("app/")) as over,
            aclosing(variables.watch_one("app/a")) as one,
        ):
            assert isinstance(await anext(over), Gap)
            assert isinstance(await anext(over), Change)
            await anext(one)
            waiting = asyncio.ensure_future(anext(over))
            waiting_one = asyncio.ensure_future(anext(one))
            await until(lambda: server.store.watching == 2)
            restore(server, ())
            gap = await waiting
            assert isinstance(gap, Gap)
            assert gap.why.startswith("a snapshot was restored")
            assert (await waiting_one).variable is not None
            assert isinstance(await anext(over), Change)
            async with aclosing(variables.watch("app/")) as behind:
                assert isinstance(await anext(behind), Gap)
                assert isinstance(await anext(behind), Change)
                made = await variables.put("app/a", {"k": "w"})
                for watch in (over, behind):
                    told = await anext(watch)
                    assert isinstance(told, Change), told
                    assert told.variable == made
                assert (await anext(one)).variable == made
