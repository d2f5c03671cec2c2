"""Three servers that back themselves up into a folder: what is made, verified, kept and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from api_running import asynchronous
from server_cluster import ServerCluster, cluster, until

from quorate.api.http.messages import Response
from quorate.archive.reading import read_archive
from quorate.backup.schedule import parse_schedule
from quorate.backup.target import Settings
from quorate.levels import LEVEL
from quorate.server.archive.replacing import JUMP
from quorate.server.options import BackupOptions
from quorate.state.tables import backups, root_keys
from quorate.state.tables.backups import DAMAGED, VERIFIED, Backup

BACKUP = "/v1/operator/backup"


def into(folder: Path, schedule: str = "", retain: int = 3) -> BackupOptions:
    return BackupOptions(
        target=Settings(url=f"file://{folder}"),
        schedule=parse_schedule(schedule) if schedule else None,
        retain=retain,
        deadline_s=20.0,
    )


def json_of(response: Response) -> Any:
    assert response.status == 200, response.body
    return msgspec.json.decode(response.body)


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def rows(servers: ServerCluster, number: int) -> dict[str, Backup]:
    return dict(servers.running[number].machine.store.rows(backups.TABLE))


async def at_the_level(servers: ServerCluster) -> int:
    await until(lambda: all(s.machine.store.level == LEVEL for s in servers.running.values()))
    return await servers.leader()


@asynchronous
async def test_one_that_is_asked_for_is_verified_and_listed(tmp_path: Path) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    async with cluster(tmp_path, backup=into(folder)) as servers:
        number = await at_the_level(servers)
        made = json_of(await servers.ask((number + 1) % 3, BACKUP + "/run", "PUT"))
        assert made["Status"] == VERIFIED, made["Why"]
        assert made["Servers"] >= 2
        assert files(folder) == [made["Name"]]
        with (folder / made["Name"]).open("rb") as file:
            checked = read_archive(file.read)
        assert (checked.meta.index, checked.meta.term) == (made["Index"], made["Term"])
        await until(lambda: all(made["Name"] in rows(servers, each) for each in range(3)))
        listed = json_of(await servers.ask(number, BACKUP))
        assert [each["Name"] for each in listed["Backups"]] == [made["Name"]]
        assert listed["Problem"] == ""
        again = json_of(await servers.ask(number, f"{BACKUP}/verify?name={made['Name']}", "PUT"))
        assert again["Status"] == VERIFIED


async def put_variable(servers: ServerCluster, number: int, path: str, value: str) -> None:
    body = f'{{"Items": {{"k": "{value}"}}}}'
    answer = await servers.ask(number, f"/v1/var/{path}", "PUT", body)
    assert answer.status == 200, answer.body


async def value_of(servers: ServerCluster, number: int, path: str) -> str:
    answer = json_of(await servers.ask(number, f"/v1/var/{path}"))
    return str(answer["Items"]["k"])


async def ready(servers: ServerCluster) -> int:
    """The leader, once it has a root key."""
    number = await at_the_level(servers)
    store = servers.running[number].machine.store
    await until(lambda: root_keys.active(store) is not None)
    return number


@asynchronous
async def test_a_new_cluster_begins_with_the_newest_backup(tmp_path: Path) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    async with cluster(tmp_path / "old", 1, backup=into(folder)) as servers:
        number = await ready(servers)
        await put_variable(servers, number, "a", "first")
        json_of(await servers.ask(number, BACKUP + "/run", "PUT"))
        await put_variable(servers, number, "a", "second")
        made = json_of(await servers.ask(number, BACKUP + "/run", "PUT"))
        assert made["KeyIDs"]
    new = msgspec.structs.replace(into(folder), restore_from=Settings(url=f"file://{folder}"))
    async with cluster(tmp_path / "new", 1, backup=new) as servers:
        store = servers.running[0].machine.store
        early = await servers.ask(0, "/v1/var/mine", "PUT", '{"Items": {"k": "v"}}')
        assert early.status == 503, "a write came before the backup was restored"
        await until(lambda: backups.progress(store).checked)
        assert backups.progress(store).restored_from == made["Name"]
        await ready(servers)
        assert await value_of(servers, 0, "a") == "second"
        assert store.index > made["StateIndex"] + JUMP
        assert not store.rows(backups.TABLE)
        await put_variable(servers, 0, "a", "third")
        # A later start with the same configuration changes nothing.
        await servers.stop()
        await servers.start()
        await servers.leader()
        await until(lambda: backups.progress(servers.running[0].machine.store).checked)
        assert await value_of(servers, 0, "a") == "third"


@asynchronous
async def test_a_backup_to_begin_with_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "target"
    url = f"file://{folder}"
    begun = msgspec.structs.replace(into(folder), restore_from=Settings(url=url))
    async with cluster(tmp_path / "new", backup=begun) as servers:
        number = await at_the_level(servers)
        leader = servers.running[number]
        await until(lambda: "could not be restored" in leader.backups.problem())
        refused = await servers.ask((number + 1) % 3, "/v1/var/a", "PUT", '{"Items": {"k": "v"}}')
        assert refused.status == 503
        assert refused.header(b"X-Quorate-Error") == b"backup-awaited"
        assert refused.body.decode() == (
            "variables and namespaces cannot be written yet: this cluster begins with the backup "
            f"at {url} (backup.restore_from), and it could not be restored: cannot list the files "
            f"in {folder}: No such file or directory"
        )
        next_step = refused.header(b"X-Quorate-Next")
        assert next_step is not None
        assert next_step.startswith(f"make the folder {folder}, or mount it".encode())
        assert b"To begin with nothing, remove backup.restore_from" in next_step
        for each in range(3):
            health = await servers.ask(each, "/v1/agent/health")
            assert health.status == 200
            assert url in health.body.decode()
            assert ("could not be restored" in health.body.decode()) is (each == number)
        # It goes on by itself.
        folder.mkdir()
        async with cluster(tmp_path / "old", 1, backup=into(folder)) as old:
            await ready(old)
            await put_variable(old, 0, "a", "first")
            json_of(await old.ask(0, BACKUP + "/run", "PUT"))
        await until(lambda: all(not s.backups.problem() for s in servers.running.values()))
        assert await value_of(servers, await servers.leader(), "a") == "first"


@asynchronous
async def test_servers_with_other_backups_are_named(tmp_path: Path) -> None:
    async with cluster(tmp_path, backup=into(tmp_path / "target", "1h")) as servers:
        number = await at_the_level(servers)
        assert not servers.running[number].agent.warning()
        other = (number + 1) % 3
        await servers.stop(other)
        servers.options["backup"] = into(tmp_path / "elsewhere", "1h")
        await servers.start(other)
        # It is asked again when members come or go, or after a minute: another leader asks at once.
        moved = (number + 2) % 3
        target = servers.running[moved].replica.server_id
        path = f"/v1/operator/raft/transfer-leadership?id={target}"
        await until(lambda: servers.running[other].leadership.leader_address)
        assert (await servers.ask(number, path, "PUT")).status == 200
        await until(servers.running[moved].leadership.has_begun)
        view = servers.running[moved].agent
        await until(lambda: servers.addresses[other] in view.warning())
        assert view.warning().startswith(f"{servers.addresses[other]}: target, schedule, retain")
        assert "elsewhere" not in view.warning()
        assert not servers.running[number].agent.warning(), "the leader tells it alone"


@asynchronous
async def test_retention_is_exact_and_the_last_verified_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    async with cluster(tmp_path, 1, backup=into(folder, retain=1)) as servers:
        number = await at_the_level(servers)
        first = json_of(await servers.ask(number, BACKUP + "/run", "PUT"))["Name"]
        second = json_of(await servers.ask(number, BACKUP + "/run", "PUT"))["Name"]
        assert first != second
        assert (files(folder), list(rows(servers, number))) == ([second], [second])
        assert json_of(await servers.ask(number, BACKUP + "/prune", "PUT"))["Deleted"] == []
        assert files(folder) == [second], "the last verified one"
        # A file that was changed is found, and told.
        data = bytearray((folder / second).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / second).write_bytes(data)
        found = json_of(await servers.ask(number, f"{BACKUP}/verify?name={second}", "PUT"))
        assert found["Status"] == DAMAGED
        for name in ("other.snap", "..%2Fother.snap", "a%0Ab"):
            answer = await servers.ask(number, f"{BACKUP}/verify?name={name}", "PUT")
            assert answer.status == 404, answer.body
            assert b"\n" not in answer.body


@asynchronous
async def test_failures_are_told_tried_again_and_leave_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "target"
    async with cluster(tmp_path / "s", 1, backup=into(folder, "1s")) as servers:
        number = await at_the_level(servers)
        server = servers.running[number]
        store = server.machine.store
        await until(lambda: backups.progress(store).failed >= 1)
        listed = json_of(await servers.ask(number, BACKUP))
        assert "no verified backup as yet" in listed["Problem"]
        assert "No such file or directory" in listed["LastFailure"]
        assert server.agent.stats()["quorate"]["backup_problem"] == listed["Problem"]
        health = await servers.ask(number, "/v1/agent/health?type=server")
        assert b"no verified backup as yet" in health.body
        assert not folder.exists()
        folder.mkdir()
        await until(lambda: VERIFIED in {row.status for row in rows(servers, number).values()})
        await until(lambda: not server.backups.problem())
        assert all(name.endswith(".snap") for name in files(folder))
