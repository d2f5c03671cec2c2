"""A restore into three running servers: what changes, what stays, and what is refused."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from api_running import asynchronous
from archive_builders import archive_of, members_of, packed, some_state, state_bytes
from server_cluster import ServerCluster, cluster, until
from test_archive_save import saved

from quorate.api.http.messages import Request, Response
from quorate.archive.meta import STATE
from quorate.archive.reading import read_archive
from quorate.errors import QuorateError
from quorate.levels import LEVEL
from quorate.server.archive import transfers
from quorate.server.archive.replacing import JUMP
from quorate.server.archive.transfers import PLACES
from quorate.server.events.hub import Topics, Why
from quorate.server.server import Server
from quorate.state.engine.commands import encode
from quorate.state.engine.restore import commands as restoring
from quorate.state.engine.restore.commands import BeginRestore, RestoreRows
from quorate.state.tables import journal
from quorate.state.tables.scheduler import TABLE as SCHEDULER
from quorate.state.tables.scheduler import SchedulerConfiguration

SNAPSHOT = "/v1/operator/snapshot"
CONFIGURATION = "/v1/operator/scheduler/configuration"


async def put(servers: ServerCluster, number: int, archive: bytes, query: str = "") -> Response:
    request = Request("PUT", (SNAPSHOT + query).encode(), body=archive)
    answer = servers.applications[number].handle(request)
    return answer if isinstance(answer, Response) else await answer


async def at_the_level(servers: ServerCluster) -> int:
    await until(lambda: all(s.machine.store.level == LEVEL for s in servers.running.values()))
    return await servers.leader()


async def set_algorithm(servers: ServerCluster, number: int, name: str) -> None:
    body = f'{{"SchedulerAlgorithm": "{name}"}}'
    assert (await servers.ask(number, CONFIGURATION, "PUT", body)).status == 200


def algorithm(servers: ServerCluster, number: int) -> str:
    (row,) = servers.running[number].machine.store.rows(SCHEDULER).values()
    return row.scheduler_algorithm


def assert_untouched(server: Server, settings: dict[str, SchedulerConfiguration]) -> None:
    """What a leader writes by itself may have come meanwhile."""
    store = server.machine.store
    assert dict(store.rows(SCHEDULER)) == settings
    assert (store.shift, restoring.current(store)) == (0, None)
    assert "restore" not in {record.kind for record in journal.newest_first(store)}
    assert not (server.folder.server / "safety").exists()


async def alike(servers: ServerCluster) -> None:
    """All servers come to one state."""

    def same() -> bool:
        stores = [server.machine.store for server in servers.running.values()]
        at = {store.applied_index for store in stores}
        return len(at) == 1 and len({store.digest() for store in stores}) == 1

    await until(same)


@asynchronous
async def test_what_was_saved_comes_back_on_all_servers(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await at_the_level(servers)
        leader = servers.running[number]
        store = leader.machine.store
        await set_algorithm(servers, number, "spread")
        archive = await saved(servers, number)
        await set_algorithm(servers, number, "binpack")
        before = store.index
        members = leader.replica.node.configuration
        answer = await put(servers, number, archive)
        assert (answer.status, answer.body) == (200, b"")
        await alike(servers)
        for each in range(3):
            assert algorithm(servers, each) == "spread"
            assert servers.running[each].replica.node.configuration == members
        (row,) = store.rows(SCHEDULER).values()
        assert row.modify_index >= before + JUMP
        assert store.table_index(SCHEDULER.name) == row.modify_index
        newest = next(journal.newest_first(store))
        assert (newest.kind, newest.what) == ("restore", "restored")
        assert ("scheduler_configuration", "+0 ~1 -0") in newest.details
        # Undone by the safety snapshot.
        (safe,) = (leader.folder.server / "safety").glob("*.snap")
        assert safe.stat().st_mode & 0o777 == 0o600
        assert (await put(servers, number, safe.read_bytes())).status == 200
        await alike(servers)
        assert algorithm(servers, (number + 1) % 3) == "binpack"


@asynchronous
async def test_indexes_do_not_fall_when_a_server_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest snapshot is older than the restore, and nobody tells it what is committed."""
    monkeypatch.setattr("quorate.api.consistency.HOLD_S", 0.2)
    async with cluster(tmp_path) as servers:
        number = await at_the_level(servers)
        assert (await put(servers, number, await saved(servers, number))).status == 200
        await set_algorithm(servers, number, "spread")
        await alike(servers)
        one, two, three = ((number + 1 + each) % 3 for each in range(3))
        stale = CONFIGURATION + "?stale"
        before = int((await servers.ask(one, stale)).header(b"X-Nomad-Index"))
        assert before > JUMP
        await servers.stop(one, two, three)
        await servers.start(one)
        assert servers.running[one].machine.store.shift == 0, "the restore is in its log alone"
        for target in (stale, f"{stale}&index={before}", SNAPSHOT + "?stale"):
            refused = await servers.ask(one, target)
            assert refused.status == 503, refused.body
            assert b"not caught up with the restore" in refused.body
        members = await servers.ask(one, "/v1/operator/raft/configuration?stale")
        assert members.status == 200
        monkeypatch.setattr("quorate.api.consistency.HOLD_S", 10)
        waiting = asyncio.ensure_future(servers.ask(one, stale))
        await servers.start(two)
        answer = await waiting
        assert answer.status == 200
        assert int(answer.header(b"X-Nomad-Index")) >= before


async def trickle(pieces: list[bytes], gate: asyncio.Event) -> AsyncIterator[bytes]:
    """An upload that stands until `gate` is set."""
    for piece in pieces:
        yield piece
    await gate.wait()


@asynchronous
async def test_an_upload_that_stands_keeps_no_other_from_restoring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path, 1) as servers:
        await at_the_level(servers)
        restores, gate = servers.running[0].restores, asyncio.Event()
        archive = await saved(servers, 0)
        standing = [
            asyncio.ensure_future(restores.restore(trickle([archive[:9]], gate)))
            for _ in range(PLACES)
        ]
        await asyncio.sleep(0)
        refused = await put(servers, 0, archive)
        assert (refused.status, b"4 archives are being received" in refused.body) == (503, True)
        monkeypatch.setattr(transfers, "PROGRESS_S", 0.0)
        assert (await put(servers, 0, archive)).status == 200
        gate.set()
        ends = await asyncio.gather(*standing, return_exceptions=True)
        assert "the upload was given up" in str(ends[0])
        assert "given up" not in str(ends[1:]), "one is enough"


@asynchronous
async def test_an_upload_ends_when_it_makes_no_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "STALLED_S", 0.05)
    async with cluster(tmp_path, 1) as servers:
        await at_the_level(servers)
        with pytest.raises(QuorateError, match="the upload was given up"):
            await servers.running[0].restores.restore(trickle([b"x"] * 9, asyncio.Event()))


@asynchronous
async def test_readers_at_all_servers_are_told_of_each_restore(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await at_the_level(servers)
        archive = await saved(servers, number)
        await set_algorithm(servers, number, "spread")
        await alike(servers)
        topics = Topics(frozenset({("Variable", "*")}), "default")
        hubs = [server.events for server in servers.running.values()]
        readers = [hub.open(topics, hub.newest + 1) for hub in hubs]
        for _ in range(2):
            assert (await put(servers, number, archive)).status == 200
            await alike(servers)
            (state,) = {s.machine.store.shift for s in servers.running.values()}
            for reader in readers:
                gap, lines = reader.take()
                assert gap is not None
                assert gap.why is Why.SNAPSHOT
                assert state < gap.last <= servers.running[number].machine.store.index
                assert (gap.last, lines) == (reader.position, b"")
                assert reader.take() == (None, b"")
            assert len({reader.position for reader in readers}) == 1


@asynchronous
async def test_writes_go_on_above_all_indexes_and_restarts_keep_them(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await at_the_level(servers)
        archive = await saved(servers, number)
        await set_algorithm(servers, number, "spread")
        assert (await put(servers, number, archive)).status == 200
        answer = await servers.ask(number, CONFIGURATION, "PUT", '{"SchedulerAlgorithm":"spread"}')
        told = int(answer.header(b"X-Nomad-Index"))
        store = servers.running[number].machine.store
        (row,) = store.rows(SCHEDULER).values()
        assert told == row.modify_index > JUMP
        await servers.running[number].replica.snapshot_now()
        await servers.stop()
        await servers.start()
        number = await servers.leader()
        await alike(servers)
        store = servers.running[number].machine.store
        (row,) = store.rows(SCHEDULER).values()
        assert row.modify_index == told
        assert store.index >= told
        await set_algorithm(servers, number, "binpack")
        (row,) = store.rows(SCHEDULER).values()
        assert row.modify_index > told


@asynchronous
async def test_another_clusters_archive_needs_force_and_changes_no_member(tmp_path: Path) -> None:
    """docs/pains.md, 7."""
    foreign = archive_of(state_bytes(some_state("another")), quorate_cluster="another")
    async with cluster(tmp_path) as servers:
        number = await at_the_level(servers)
        leader = servers.running[number]
        await set_algorithm(servers, number, "spread")
        await alike(servers)
        settings = dict(leader.machine.store.rows(SCHEDULER))
        name = leader.identity().cluster_id
        refused = await put(servers, number, foreign)
        assert refused.status == 409
        assert f"of cluster another, and this is cluster {name}".encode() in refused.body
        assert b"-force" in refused.header(b"X-Quorate-Next")
        shown = await put(servers, number, foreign, "?force&dry-run")
        report = msgspec.json.decode(shown.body)
        assert report["Index"] == 0
        tables = {row["Table"]: row for row in report["Tables"]}
        assert tables["scheduler_configuration"]["Changed"] == 1
        assert tables["cluster_metadata"]["Rule"] == "kept"
        assert tables["variables"]["Rule"] == "replaced, unlocked"
        assert "merged" not in {table["Rule"] for table in tables.values()}, "nobody knows what"
        assert_untouched(leader, settings)
        done = await put(servers, number, foreign, "?force&details")
        assert done.status == 200
        report = msgspec.json.decode(done.body)
        assert report["Index"] >= JUMP
        assert Path(report["SafetySnapshot"]) in (leader.folder.server / "safety").iterdir()
        await alike(servers)
        for each in servers.running.values():
            assert each.identity().cluster_id == name
            assert len(each.replica.node.configuration.voters()) == 3
        assert algorithm(servers, number) == "binpack"
        assert next(journal.newest_first(leader.machine.store)).force


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (b"", "failed to restore from snapshot: failed to decompress snapshot: EOF"),
        (b"garbage", "failed to restore from snapshot: failed to decompress snapshot: unexpected"),
        (archive_of(state_bytes())[:-20], "unexpected EOF"),
        (archive_of(b"no state"), "cannot read the snapshot"),
        (archive_of(state_bytes(), quorate_cluster="another"), "says cluster another, and what"),
        (
            archive_of(state_bytes()[:-1] + bytes([state_bytes()[-1] ^ 1])),
            "its SHA-256 is not that of its content",
        ),
        (packed([("x", b"")]), 'unexpected file "x"'),
    ],
)
@asynchronous
async def test_what_is_no_archive_changes_nothing(
    tmp_path: Path, archive: bytes, text: str
) -> None:
    async with cluster(tmp_path, 1) as servers:
        await at_the_level(servers)
        server = servers.running[0]
        settings = dict(server.machine.store.rows(SCHEDULER))
        refused = await put(servers, 0, archive, "?force")
        assert refused.status == 500
        assert text in refused.body.decode()
        assert b"\n" not in refused.body
        assert_untouched(server, settings)


@asynchronous
async def test_what_a_lost_leader_left_is_given_up_and_nothing_was_changed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        number = await at_the_level(servers)
        leader = servers.running[number]
        store = leader.machine.store
        row = next(iter(store.rows(SCHEDULER).items()))
        names = (SCHEDULER.name,)
        begin = BeginRestore(id="lost", index=store.index + JUMP, tables=names)
        assert (await leader.writes.apply(encode(begin)))[1] is True
        changed = msgspec.structs.replace(row[1], scheduler_algorithm="spread")
        data = msgspec.msgpack.encode((row[0], changed))
        piece = RestoreRows(id="lost", number=0, table=SCHEDULER.name, rows=(data,))
        assert (await leader.writes.apply(encode(piece)))[1] is True
        await leader.replica.snapshot_now()  # holds the copy too
        archive = await saved(servers, number)
        assert read_archive(io.BytesIO(archive).read).meta.size == len(members_of(archive)[STATE])
        await servers.stop(number)
        other = await servers.leader()
        store = servers.running[other].machine.store
        await until(lambda: restoring.current(store) is None)
        assert algorithm(servers, other) == "binpack"
        await servers.start(number)
        await servers.leader()
        await alike(servers)


@asynchronous
async def test_what_a_killed_server_has_not_finished_goes_at_its_start(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers:
        folder = servers.running[0].folder.server / "safety"
        await servers.stop(0)
        folder.mkdir()
        (folder / "2-9-1700000000000.snap.tmp").write_bytes(b"half of a state")
        (folder / "2-7-1600000000000.snap").write_bytes(b"whole")
        await servers.start(0)
        assert [path.name for path in folder.iterdir()] == ["2-7-1600000000000.snap"]
