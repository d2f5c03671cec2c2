"""Clusters whose root keys are wrapped: the key never travels, is replaced, and may be missing."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from api_running import asynchronous
from archive_builders import members_of
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.messages import Request, Response, StreamResponse
from quorate.archive.meta import STATE
from quorate.errors import QuorateError
from quorate.levels import LEVEL
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping, id_of, needed
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.registry import TODAY
from quorate.state.tables import root_keys, variables

FIRST, SECOND = b"1" * 32, b"2" * 32
TARGET = "/v1/var/app/db"
KEYS = "/v1/operator/keyring/keys"
BODY = '{"Items": {"password": "kept secret"}}'


async def ready(servers: ServerCluster) -> int:
    """All servers have a root key."""

    def settled() -> bool:
        stores = [server.machine.store for server in servers.running.values()]
        return all(s.level == LEVEL and root_keys.active(s) is not None for s in stores)

    await until(settled)
    return await servers.leader()


async def wrapped_by(servers: ServerCluster, wanted: frozenset[str]) -> None:
    """All servers have applied that root keys are wrapped with these."""
    stores = [server.machine.store for server in servers.running.values()]
    await until(lambda: all(needed(store) == wanted for store in stores))


async def value(servers: ServerCluster, number: int, query: str = "") -> Response:
    return await servers.ask(number, TARGET + query)


async def all_read(servers: ServerCluster) -> None:
    for number in servers.running:
        answer = await value(servers, number)
        assert msgspec.json.decode(answer.body)["Items"] == {"password": "kept secret"}


async def archive_of(servers: ServerCluster) -> bytes:
    answer = await servers.ask(await servers.leader(), "/v1/operator/snapshot")
    assert isinstance(answer, StreamResponse)
    return b"".join([piece async for piece in answer.pieces])


async def restart(servers: ServerCluster, wrapping: Wrapping) -> int:
    """All of them, with these keys."""
    await servers.stop()
    servers.options["wrapping"] = wrapping
    await servers.start()
    return await ready(servers)


def holding(folder: Path, data: bytes) -> list[Path]:
    """The files below it that hold these bytes."""
    return [each for each in folder.rglob("*") if each.is_file() and data in each.read_bytes()]


@asynchronous
async def test_root_keys_lie_wrapped_and_the_wrapping_key_is_nowhere(tmp_path: Path) -> None:
    wrapping = Wrapping((FIRST,))
    async with cluster(tmp_path, wrapping=wrapping) as servers:
        number = await ready(servers)
        await wrapped_by(servers, wrapping.ids)
        assert (await servers.ask(number, TARGET, "PUT", BODY)).status == 200
        rotated = await servers.ask(number, "/v1/operator/keyring/rotate", "PUT")
        assert msgspec.json.decode(rotated.body)["Key"]["WrappedBy"] == id_of(FIRST)
        await all_read(servers)
        state = members_of(await archive_of(servers))[STATE]
        image = decode_snapshot(io.BytesIO(state).read, TODAY)
        keys = image.tables.rows(root_keys.TABLE)
        assert len(keys) == 2
        for key_id, row in keys.items():
            assert wrapping.unwrap(key_id, row) not in state
    assert not holding(tmp_path, FIRST)


@asynchronous
async def test_a_wrapping_key_comes_later_is_replaced_and_goes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await ready(servers)
        assert (await servers.ask(number, TARGET, "PUT", BODY)).status == 200
        index = msgspec.json.decode((await value(servers, number)).body)["ModifyIndex"]
        for wrapping, wanted in (
            (Wrapping((FIRST,)), {id_of(FIRST)}),
            (Wrapping((SECOND, FIRST)), {id_of(SECOND)}),
            (Wrapping((SECOND,), first_wraps=False), set()),
        ):
            number = await restart(servers, wrapping)
            await wrapped_by(servers, frozenset(wanted))
            await all_read(servers)
        assert msgspec.json.decode((await value(servers, number)).body)["ModifyIndex"] == index


@asynchronous
async def test_nothing_is_wrapped_with_a_key_that_a_member_lacks(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await ready(servers)
        assert (await servers.ask(number, TARGET, "PUT", BODY)).status == 200
        behind = (number + 1) % 3
        await servers.stop(number, (number + 2) % 3)
        servers.options["wrapping"] = Wrapping((FIRST,))
        await servers.start(number, (number + 2) % 3)
        number = await ready(servers)
        if number == behind:
            await servers.stop(number)
            servers.options["wrapping"] = NO_WRAPPING
            await servers.start(number)
            number = await ready(servers)
            servers.options["wrapping"] = Wrapping((FIRST,))
        rotated = await servers.ask(number, "/v1/operator/keyring/rotate", "PUT")
        if number != behind:
            assert rotated.status == 409
            assert f"wrapping key {id_of(FIRST)} is not on".encode() in rotated.body
            assert servers.addresses[behind].encode() in rotated.body
        await wrapped_by(servers, frozenset())
        await servers.stop(behind)
        await servers.start(behind)
        await wrapped_by(servers, frozenset({id_of(FIRST)}))
        await all_read(servers)


@asynchronous
async def test_a_server_that_has_lost_the_key_says_so_and_does_not_lead(tmp_path: Path) -> None:
    async with cluster(tmp_path, wrapping=Wrapping((FIRST,))) as servers:
        number = await ready(servers)
        await wrapped_by(servers, frozenset({id_of(FIRST)}))
        assert (await servers.ask(number, TARGET, "PUT", BODY)).status == 200
        await servers.stop(number)
        given = Wrapping()
        servers.options["wrapping"] = given
        await servers.start(number)
        await wrapped_by(servers, frozenset({id_of(FIRST)}))
        await until(servers.running[number].leadership.leader_address)
        health = await servers.ask(number, "/v1/agent/health")
        assert health.status == 500
        assert f"wrapped with key {id_of(FIRST)}".encode() in health.body
        store = servers.running[number].machine.store
        await until(lambda: variables.by_path(store, "default", "app/db"))
        refused = await value(servers, number, "?stale")
        assert refused.status == 500
        assert id_of(FIRST).encode() in refused.body
        assert refused.header(b"X-Quorate-Error") == b"wrapping-key-missing"
        assert (await value(servers, number)).status == 200, "the leader reads it"
        # It applies what the others do, all the same.
        leader = await servers.leader()
        assert (await servers.ask(leader, "/v1/var/b", "PUT", BODY)).status == 200
        stores = [server.machine.store for server in servers.running.values()]
        await until(lambda: len({store.digest() for store in stores}) == 1)
        target = servers.running[number].replica.server_id
        moved = await servers.ask(
            leader, f"/v1/operator/raft/transfer-leadership?id={target}", "PUT"
        )
        assert moved.status == 200
        await until(lambda: not servers.running[number].leadership.is_leader())
        leader = await servers.leader()
        assert leader != number

        # The leader names it, until it has got the key, without a start.
        view = servers.running[leader].agent
        named = f"{servers.addresses[number]} lack wrapping key {id_of(FIRST)}"
        await until(lambda: named in view.warning())
        assert named.encode() in (await servers.ask(leader, "/v1/agent/health")).body
        (key,) = msgspec.json.decode((await servers.ask(leader, KEYS)).body)
        assert key["LackedBy"] == [servers.addresses[number]]
        with pytest.raises(QuorateError, match="root keys are wrapped with"):
            Wrapping((FIRST,)).take(Wrapping((SECOND,)), store)
        assert given.take(Wrapping((FIRST,)), store)
        assert (await servers.ask(number, "/v1/agent/health")).status == 200
        assert (await value(servers, number, "?stale")).status == 200
        await until(lambda: not view.warning())
        (key,) = msgspec.json.decode((await servers.ask(leader, KEYS)).body)
        assert "LackedBy" not in key


@asynchronous
async def test_a_restore_needs_the_wrapping_key_of_the_archive_and_names_it(tmp_path: Path) -> None:
    async with cluster(tmp_path / "old", wrapping=Wrapping((FIRST,))) as servers:
        number = await ready(servers)
        assert (await servers.ask(number, TARGET, "PUT", BODY)).status == 200
        archive = await archive_of(servers)

    async def restore(servers: ServerCluster, number: int) -> Response:
        put = Request("PUT", b"/v1/operator/snapshot?force=true", body=archive)
        answer = servers.applications[number].handle(put)
        return answer if isinstance(answer, Response) else await answer

    async with cluster(tmp_path / "new", count=1, wrapping=Wrapping((SECOND,))) as servers:
        number = await ready(servers)
        refused = await restore(servers, number)
        assert refused.status == 409
        assert f"wrapped with key {id_of(FIRST)}".encode() in refused.body
        number = await restart(servers, Wrapping((SECOND, FIRST)))
        assert (await restore(servers, number)).status == 200
        await all_read(servers)
        await wrapped_by(servers, frozenset({id_of(SECOND)}))
        await all_read(servers)
