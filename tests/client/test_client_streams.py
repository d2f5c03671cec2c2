"""Streams and files of both clients: events, the log, snapshots."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_running import asynchronous
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply

from quorate.client import AnswerError, AsyncClient, Client, Event, RequestError, StatusError

SNAPSHOT = "/v1/operator/snapshot"
STREAM = "/v1/event/stream"
LINES = "".join(
    json.dumps(line) + "\n"
    for line in ({}, {"Events": [{"Index": 4, "Key": "a"}, {"Index": 4}], "Index": 4}, {})
)


def archive(content: bytes, announced: bytes | None = None) -> Reply:
    digest = hashlib.sha256(content if announced is None else announced).digest()
    return Reply(200, content, (("Digest", "sha-256=" + b64encode(digest).decode()),))


async def in_pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]
        await asyncio.sleep(0)


@asynchronous
async def test_events() -> None:
    routes = {
        f"GET {STREAM}?index=4&namespace=team&region=west&topic=Variable%3Aa": Reply(
            200, LINES.encode()
        ),
        f"GET {STREAM}?region=west": text_reply(403, "Permission denied"),
    }
    with FakeAgent(routes) as agent:
        asked: dict[str, Any] = {"topics": ["Variable:a"], "index": 4, "namespace": "team"}
        with Client(agent.address, region="west") as client:
            found = await asyncio.to_thread(lambda: list(client.events(**asked)))
        async with AsyncClient(agent.address, region="west") as other:
            assert [event async for event in other.events(**asked)] == found
            with pytest.raises(StatusError, match="Permission denied"):
                await anext(other.events())
    assert [(event.index, event.key) for event in found] == [(4, "a"), (4, "")]
    assert all(isinstance(event, Event) for event in found)


@asynchronous
async def test_the_log() -> None:
    routes = {
        "GET /v1/agent/monitor?log_json=true&log_level=DEBUG&plain=true&server_id=x": Reply(
            200, b"one\ntwo\n"
        )
    }
    asked: dict[str, Any] = {"log_level": "DEBUG", "server_id": "x", "as_json": True}
    with FakeAgent(routes) as agent:
        async with AsyncClient(agent.address) as client:
            assert "".join([piece async for piece in client.monitor(**asked)]) == "one\ntwo\n"
        with Client(agent.address) as other:
            assert await asyncio.to_thread(lambda: "".join(other.monitor(**asked))) == "one\ntwo\n"


@asynchronous
async def test_a_snapshot_is_saved_and_checked() -> None:
    content = bytes(range(256)) * 4096
    routes = {
        f"GET {SNAPSHOT}": archive(content),
        f"GET {SNAPSHOT}?stale=": archive(content, b"other"),
    }
    with FakeAgent(routes) as agent:
        async with AsyncClient(agent.address) as client:
            kept = bytearray()
            assert await client.save_snapshot(kept.extend) == len(content)
            assert kept == content
            with pytest.raises(AnswerError, match="have not the digest"):
                await client.save_snapshot(kept.extend, stale=True)
            agent.routes[f"GET {SNAPSHOT}"] = text_reply(500, "No cluster leader")
            with pytest.raises(StatusError, match="No cluster leader"):
                await client.save_snapshot(kept.extend)


@asynchronous
async def test_a_snapshot_is_restored() -> None:
    content = b"an archive " * 1000
    routes = {
        f"PUT {SNAPSHOT}": Reply(200, b""),
        f"PUT {SNAPSHOT}?details=true&force=true": json_reply({"Index": 9}),
        f"PUT {SNAPSHOT}?details=true&dry-run=true": json_reply({"DryRun": True}),
        "GET /v1/operator/upgrade": json_reply({"Level": 3}),
    }
    with FakeAgent(routes) as agent:
        async with AsyncClient(agent.address) as client:
            size = len(content)
            assert await client.restore_snapshot(in_pieces(content, 999), size) is None
            assert agent.requests[-1].body == content
            assert agent.requests[-1].headers["content-length"] == str(size)
            done = await client.restore_snapshot(
                in_pieces(content, 10_000), size, force=True, details=True
            )
            assert done is not None
            assert done.raw == {"Index": 9}
            await client.restore_snapshot(in_pieces(content, 10_000), size, dry_run=True)
            del agent.routes["GET /v1/operator/upgrade"]
            before = len(agent.requests)
            with pytest.raises(StatusError, match="404"):
                await client.restore_snapshot(in_pieces(content, 10_000), size, dry_run=True)
            assert [seen.method for seen in agent.requests[before:]] == ["GET"]


@asynchronous
async def test_an_answer_that_does_not_end_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.client.transport.wire.BODY_MAX", 100_000)
    routes = {"GET /v1/status/leader": Reply(200, b"x" * 1_000_000)}
    with FakeAgent(routes) as agent:
        async with AsyncClient(agent.address) as client:
            with pytest.raises(AnswerError, match="more than 100000 bytes"):
                await client.leader()
        with Client(agent.address) as other, pytest.raises(AnswerError, match="more than 100000"):
            await asyncio.to_thread(other.leader)


@asynchronous
async def test_a_file_that_ends_too_early_is_an_error() -> None:
    cut = Reply(200, b"half", (("Content-Length", "8"),))
    with FakeAgent({f"GET {SNAPSHOT}": cut, f"GET {STREAM}": cut}) as agent:
        async with AsyncClient(agent.address) as client:
            with pytest.raises(RequestError, match="unexpected EOF"):
                await client.save_snapshot(len)
            with pytest.raises(RequestError, match="unexpected EOF"):
                await anext(client.events())
