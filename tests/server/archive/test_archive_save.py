"""`/v1/operator/snapshot` of three servers: what is saved, by which server, and what ends it."""

from __future__ import annotations

import asyncio
import io
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from api_running import asynchronous
from archive_builders import members_of
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.messages import Response, StreamResponse
from quorate.archive.meta import META, STATE
from quorate.archive.reading import read_archive
from quorate.errors import QuorateError, StorageFull
from quorate.levels import LEVEL
from quorate.server.archive import transfers
from quorate.server.archive.spool import Spool
from quorate.server.archive.transfers import PLACES
from quorate.state.engine.digest import digest_of
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.registry import TODAY

SNAPSHOT = "/v1/operator/snapshot"


async def body_of(response: Response) -> bytes:
    """All of an answer, checked against its digest and its length."""
    assert isinstance(response, StreamResponse)
    archive = b"".join([piece async for piece in response.pieces])
    assert response.header(b"Digest") == b"sha-256=" + b64encode(sha256(archive).digest())
    assert response.header(b"Content-Type") == b"application/x-gzip"
    assert response.length == len(archive)
    return archive


async def saved(servers: ServerCluster, number: int, query: str = "") -> bytes:
    return await body_of(await servers.ask(number, SNAPSHOT + query))


@asynchronous
async def test_the_leader_saves_its_state(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await servers.leader()
        leader = servers.running[number]
        store = leader.machine.store
        await until(lambda: store.level == LEVEL)
        while True:  # what the leader writes by itself may come in between
            archive = await saved(servers, number)
            checked = read_archive(io.BytesIO(archive).read)
            if checked.meta.index == store.applied_index:
                break
        image = decode_snapshot(io.BytesIO(members_of(archive)[STATE]).read, TODAY)
        assert digest_of(image, TODAY) == store.digest()
        assert checked.meta.index == image.applied_index
        assert checked.meta.quorate_cluster == leader.identity().cluster_id
        found = {server.id for server in checked.meta.configuration.servers or ()}
        assert found == {server.replica.server_id for server in servers.running.values()}
        assert b'"Version":1,"ID":"' in members_of(archive)[META]


@asynchronous
async def test_the_last_entries_before_a_save_may_be_of_the_log_alone(tmp_path: Path) -> None:
    """A leader's first entry and a configuration never reach the state machine."""
    async with cluster(tmp_path) as servers:
        number = await servers.leader()
        leader = servers.running[number]
        await until(lambda: leader.machine.store.level == LEVEL)
        archive = await saved(servers, number)
        image = decode_snapshot(io.BytesIO(members_of(archive)[STATE]).read, TODAY)
        image.applied_index -= 1
        leader.machine.restore(image)
        assert leader.machine.store.applied_index < leader.replica.node.applied_index
        archive = await saved(servers, number)
        checked = read_archive(io.BytesIO(archive).read)
        again = decode_snapshot(io.BytesIO(members_of(archive)[STATE]).read, TODAY)
        assert checked.meta.index == again.applied_index > image.applied_index


@asynchronous
async def test_a_server_without_a_leader_answers_if_stale(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await servers.leader()
        other = (number + 1) % 3
        assert read_archive(io.BytesIO(await saved(servers, other, "?stale")).read).meta.index
        await servers.stop(number, (number + 2) % 3)
        refused = await servers.ask(other, SNAPSHOT)
        assert (refused.status, refused.body) == (500, b"No cluster leader")
        assert read_archive(io.BytesIO(await saved(servers, other, "?stale")).read).meta.index


@asynchronous
async def test_one_save_at_a_time(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as servers:
        answers = await asyncio.gather(*(servers.ask(0, SNAPSHOT) for _ in range(2)))
        first, second = sorted(answers, key=lambda answer: answer.status)
        assert second.status == 503
        assert b"saving a snapshot already" in second.body
        assert second.header(b"X-Quorate-Next")
        assert await body_of(first)


@asynchronous
async def test_a_client_that_does_not_read_keeps_nobody_from_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path, 1) as servers:
        standing = [await servers.ask(0, SNAPSHOT) for _ in range(PLACES)]
        refused = await servers.ask(0, SNAPSHOT)
        assert (refused.status, b"4 archives are being sent" in refused.body) == (503, True)
        monkeypatch.setattr(transfers, "PROGRESS_S", 0.0)
        assert await saved(servers, 0)
        with pytest.raises(QuorateError, match="has let the archive stand"):
            await body_of(standing[0])
        for each in standing[1:]:
            assert await body_of(each)


@asynchronous
async def test_what_is_spooled_has_no_name_and_leaves_the_reserve(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as servers:
        folder = servers.running[0].folder.server
        before = {path.name for path in folder.rglob("*")}
        response = await servers.ask(0, SNAPSHOT)
        assert {path.name for path in folder.rglob("*")} == before
        assert await body_of(response)
    spool = Spool(tmp_path, reserve_bytes=0)
    spool.write(b"x")
    spool.close()


def test_a_full_disk_refuses_before_its_reserve_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.server.archive.spool.free_bytes", lambda _: 17 << 20)
    spool = Spool(tmp_path)
    with pytest.raises(StorageFull) as caught:
        spool.write(b"x")
    assert "no room" in caught.value.text
    assert not spool.size
    spool.close()
