"""A snapshot stands alone: another cluster reads its values, or hears what is missing."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
from api_running import asynchronous
from archive_builders import archive_of, members_of, some_state, state_bytes
from server_cluster import ServerCluster, cluster, until
from test_archive_restore import at_the_level, put
from test_archive_save import saved

from quorate.archive.meta import STATE
from quorate.archive.redacting import redact
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.tables import root_keys, variables
from quorate.state.tables.variables import PutVariable


async def with_a_value(servers: ServerCluster) -> bytes:
    """An archive of a cluster that holds a variable."""
    number = await at_the_level(servers)
    body = '{"Items": {"password": "kept secret"}}'
    assert (await servers.ask(number, "/v1/var/app/db", "PUT", body)).status == 200
    return await saved(servers, number)


def redacted(archive: bytes) -> bytes:
    out = io.BytesIO()
    redact(io.BytesIO(archive), out.write)
    return out.getvalue()


@asynchronous
async def test_all_values_can_be_read_in_a_new_cluster(tmp_path: Path) -> None:
    async with cluster(tmp_path / "old") as servers:
        archive = await with_a_value(servers)
    assert b"kept secret" not in members_of(archive)[STATE]
    async with cluster(tmp_path / "new") as servers:
        number = await at_the_level(servers)
        store = servers.running[number].machine.store
        await until(lambda: root_keys.active(store) is not None)
        own = root_keys.active(store)
        assert (await put(servers, number, archive, "?force=true")).status == 200
        for each in range(3):
            answer = await servers.ask(each, "/v1/var/app/db")
            assert msgspec.json.decode(answer.body)["Items"] == {"password": "kept secret"}
        # Sealed again with the cluster's own key, so that of the archive may go.
        assert own is not None
        await until(lambda: {r.key_id for r in store.rows(variables.TABLE).values()} == {own[0]})


@asynchronous
async def test_a_redacted_archive_is_refused_and_the_keys_are_named(tmp_path: Path) -> None:
    async with cluster(tmp_path / "old") as servers:
        made = redacted(await with_a_value(servers))
        store = servers.running[0].machine.store
        key_id = next(iter(store.rows(root_keys.TABLE)))
        own = await put(servers, await servers.leader(), made, "?force=true")
        assert own.status == 409, "the texts are gone, although this cluster has the keys"
        assert b"the texts of values are not in it" in own.body
    async with cluster(tmp_path / "new", count=1) as servers:
        number = await at_the_level(servers)
        for query in ("?force=true", "?force=true&dry-run=true"):
            answer = await put(servers, number, made, query)
            assert answer.status == 409
            assert b"is redacted" in answer.body
            assert f"root keys {key_id} are not in it".encode() in answer.body
        store = servers.running[number].machine.store
        assert key_id not in store.rows(root_keys.TABLE)
        assert not store.rows(variables.TABLE)


@asynchronous
async def test_values_whose_key_is_nowhere_are_refused(tmp_path: Path) -> None:
    store = some_state()
    store.apply(store.applied_index + 1, encode(RaiseLevel(level=3)))
    for number in range(7):
        sealed = PutVariable(
            namespace="default", path=f"a{number}", time_ns=1, data=b"x", key_id=f"k-{number}"
        )
        store.apply(store.applied_index + 1, encode(sealed))
    index = store.applied_index
    archive = archive_of(state_bytes(store), id=f"2-{index}-5", index=index, quorate_level=3)
    async with cluster(tmp_path, count=1) as servers:
        number = await at_the_level(servers)
        answer = await put(servers, number, archive, "?force=true")
        assert answer.status == 409
        assert (
            b"neither in it nor in this cluster: k-0, k-1, k-2, k-3, k-4 and 2 more" in answer.body
        )
        assert not servers.running[number].machine.store.rows(variables.TABLE)
