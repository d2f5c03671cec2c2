"""Bodies in pieces between real servers, on connections that both sides have proven."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from api_server import connected, get, message, serving
from server_cluster import ServerCluster
from streaming import STREAMS, produced_digest

SIZE = 2 * 1024 * 1024


def test_a_follower_passes_streams_on_to_the_leader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServerCluster, "table", STREAMS)

    async def scenario() -> None:
        servers = ServerCluster(tmp_path)
        await servers.start()
        try:
            asked = (await servers.leader() + 1) % 3
            async with (
                serving(servers.applications[asked]) as served,
                connected(served.port) as client,
            ):
                client.send(get(f"/v1/test/down?bytes={SIZE}&length"))
                answer = await client.answer()
                assert hashlib.sha256(answer.body).hexdigest() == produced_digest(SIZE)
                body = b"x" * SIZE
                client.send(message("PUT", "/v1/test/up", body=body))
                expected = f"{SIZE} {hashlib.sha256(body).hexdigest()}"
                assert (await client.answer()).body.decode() == expected
        finally:
            await servers.stop()

    asyncio.run(scenario())
