"""Servers and clients that are killed at each step of a save, a restore, a rotation, a backup.

Afterwards the state is the one before or the one after, nothing half made has a name, and the same
again works.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lengths import cases
from places import SUPPORT
from server_processes import Servers, until

from quorate.archive.reading import read_archive

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

PROGRAM = str(SUPPORT / "processes" / "killed_at.py")
BEFORE = {"a": "new", "b": "new"}
AFTER = {"a": "old", "c": "old"}
KEYRING = "/v1/operator/keyring"
BACKUP = "/v1/operator/backup"


class SteppedServers(Servers):
    """Servers that kill themselves at a step, once they are armed with it."""

    def command(self, number: int) -> list[str]:
        return [sys.executable, PROGRAM, "agent", "-config", str(self.config(number))]

    def environment(self, number: int) -> dict[str, str]:
        return {"KILLED_AT": str(self.step(number))}

    def step(self, number: int) -> Path:
        return self.folder / f"s{number}.step"

    def arm(self, number: int, step: str) -> None:
        unfinished = self.step(number).with_suffix(".new")
        unfinished.write_text(step)
        unfinished.rename(self.step(number))

    def killed(self, number: int) -> None:
        """Wait until it has killed itself, and start it again."""
        process = self.processes[number]
        until(lambda: process.poll() is not None, f"server {number} to come to its step")
        assert process.returncode == -9
        self.start(number)

    def level(self) -> None:
        """Wait until all have applied the same."""
        until(
            lambda: len({self.stats(n)["applied_index"] for n in range(self.count)}) == 1,
            "all servers to be at one index",
        )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SteppedServers]:
    found = SteppedServers(tmp_path_factory.mktemp("stepped"))
    (found.folder / "target").mkdir()
    backup = {"target": f"file://{found.folder}/target", "retain": 1}
    for number in range(found.count):
        config = json.loads(found.config(number).read_text())
        found.config(number).write_text(json.dumps({**config, "backup": backup}))
    found.start()
    try:
        leader = found.leader()
        until(lambda: put(found, leader, "a", "old") == 200, "the feature level of variables")
        yield found
    finally:
        found.stop_all()
    for number in range(found.count):
        assert "Traceback" not in found.log(number), found.log(number)


def put(servers: Servers, number: int, path: str, value: str) -> int:
    return servers.ask(number, f"/v1/var/{path}", "PUT", {"Items": {"k": value}}).status


def written(servers: Servers, number: int, path: str, value: str) -> bool:
    return put(servers, number, path, value) == 200


def state(servers: Servers, number: int) -> dict[str, str]:
    """The variables of one server, as it has applied them."""
    found = {}
    for row in servers.ask(number, "/v1/vars?stale").json:
        answer = servers.ask(number, f"/v1/var/{row['Path']}?stale")
        found[row["Path"]] = answer.json["Items"]["k"]
    return found


def states(servers: SteppedServers) -> list[dict[str, str]]:
    servers.leader()
    servers.level()
    return [state(servers, number) for number in range(servers.count)]


def program(
    servers: Servers, number: int, *words: str, step: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`operator snapshot` at that server; with `step` it is killed there."""
    address = f"-address=http://127.0.0.1:{servers.http[number]}"
    command = [sys.executable, PROGRAM, "operator", "snapshot", words[0], address, *words[1:]]
    environment = {**os.environ, **({"KILLED_AT": str(step)} if step else {})}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def one_line(text: str) -> str:
    """What a command says that has failed: no traceback, and no page."""
    assert "Traceback" not in text, text
    assert 0 < len(text.splitlines()) <= 4, text
    return text


# -- restore -----------------------------------------------------------------------------------

RESTORES = [
    # The step of the leader, and the state that must stand afterwards.
    ("after CommitRestore", (AFTER,)),
    ("spool written", (BEFORE,)),
    ("before BeginRestore", (BEFORE,)),
    ("after BeginRestore", (BEFORE,)),
    ("safety begun", (BEFORE,)),
    ("safety made", (BEFORE,)),
    ("safety written", (BEFORE,)),
    ("safety named", (BEFORE,)),
    ("before RestoreRows", (BEFORE,)),
    ("after RestoreRows", (BEFORE,)),
    ("before CommitRestore", (BEFORE, AFTER)),
]


def archive(servers: SteppedServers, folder: Path) -> str:
    """An archive of AFTER; BEFORE is what is there then."""
    leader = servers.leader()
    if not (folder / "after.snap").exists():
        for path in state(servers, leader):
            assert servers.ask(leader, f"/v1/var/{path}", "DELETE").status == 204
        for path, value in AFTER.items():
            assert put(servers, leader, path, value) == 200
        done = program(servers, leader, "save", str(folder / "after.snap"))
        assert done.returncode == 0, done.stderr
    return str(folder / "after.snap")


def set_to_before(servers: SteppedServers) -> None:
    leader = servers.leader()
    for path in set(state(servers, leader)) - set(BEFORE):
        assert servers.ask(leader, f"/v1/var/{path}", "DELETE").status == 204
    for path, value in BEFORE.items():
        until(partial(written, servers, leader, path, value), f"a write of {path}")


@pytest.mark.parametrize(("step", "allowed"), cases(RESTORES[:1], RESTORES[1:]))
def test_a_leader_is_killed_within_a_restore(
    servers: SteppedServers,
    tmp_path_factory: pytest.TempPathFactory,
    step: str,
    allowed: tuple[dict[str, str], ...],
) -> None:
    file = archive(servers, tmp_path_factory.getbasetemp())
    set_to_before(servers)
    leader = servers.leader()
    asked = (leader + 1) % servers.count
    index = servers.ask(leader, "/v1/var/a").json["ModifyIndex"]
    servers.arm(leader, step)
    done = program(servers, asked, "restore", file)
    servers.killed(leader)
    assert done.returncode == 1, done.stdout
    one_line(done.stderr)
    found = states(servers)
    assert found[0] in allowed
    assert found == found[:1] * servers.count
    assert not list(servers.folder.rglob("safety/*.tmp")), "it goes at the next start"
    again = until(lambda: restored(servers, asked, file), "the restore to be done again")
    assert "Snapshot Restored" in again
    assert states(servers) == [AFTER] * servers.count
    assert servers.ask(asked, "/v1/var/a").json["ModifyIndex"] > index


def restored(servers: Servers, number: int, file: str) -> str:
    """What the command says, if it was done."""
    done = program(servers, number, "restore", file)
    return done.stdout if done.returncode == 0 else ""


@pytest.mark.long
@pytest.mark.parametrize(
    "step", ["after BeginRestore", "after RestoreRows", "before CommitRestore"]
)
def test_a_follower_is_killed_within_a_restore(
    servers: SteppedServers, tmp_path_factory: pytest.TempPathFactory, step: str
) -> None:
    file = archive(servers, tmp_path_factory.getbasetemp())
    set_to_before(servers)
    leader = servers.leader()
    follower = (leader + 1) % servers.count
    servers.arm(follower, step)
    done = program(servers, leader, "restore", file)
    servers.killed(follower)
    assert done.returncode == 0, done.stderr
    assert states(servers) == [AFTER] * servers.count


# -- save --------------------------------------------------------------------------------------

CLIENT_STEPS = ["file made", "file received", "file written", "file checked", "file named"]


@pytest.mark.parametrize("step", cases(CLIENT_STEPS[1:2], [*CLIENT_STEPS[:1], *CLIENT_STEPS[2:]]))
def test_a_client_is_killed_within_a_save(
    servers: SteppedServers, tmp_path: Path, step: str
) -> None:
    armed, folder = tmp_path / "step", tmp_path / "files"
    folder.mkdir()
    file = folder / "a.snap"
    armed.write_text(step)
    done = program(servers, servers.leader(), "save", str(file), step=armed)
    assert done.returncode == -9
    if file.exists():
        assert step == "file named"
        whole(file)
        file.unlink()
    assert not list(folder.iterdir()), "without its name it is gone with its process"
    done = program(servers, servers.leader(), "save", str(file))
    assert done.returncode == 0, done.stderr
    whole(file)


def whole(file: Path) -> None:
    with file.open("rb") as opened:
        read_archive(opened.read)


@pytest.mark.long
@pytest.mark.parametrize("step", ["spool begun", "spool written", "spool read", "spool sent"])
def test_a_server_is_killed_within_a_save(
    servers: SteppedServers, tmp_path: Path, step: str
) -> None:
    leader = servers.leader()
    file = tmp_path / "a.snap"
    servers.arm(leader, step)
    done = program(servers, leader, "save", str(file))
    servers.killed(leader)
    assert done.returncode == 1, done.stdout
    one_line(done.stderr)
    assert not list(tmp_path.iterdir())
    asked = servers.leader()
    done = program(servers, asked, "save", str(file))
    assert done.returncode == 0, done.stderr
    whole(file)


# -- rotation ----------------------------------------------------------------------------------

ROTATIONS = [
    f"{when} {name}"
    for name in ("AddRootKey", "ReplaceSeals", "EndPhase")
    for when in ("before", "after")
]


def keys(servers: Servers, number: int) -> dict[str, dict[str, Any]]:
    return {key["KeyID"]: key for key in servers.ask(number, f"{KEYRING}/keys").json}


@pytest.mark.long
@pytest.mark.parametrize("step", ROTATIONS)
def test_a_leader_is_killed_within_a_rotation(servers: SteppedServers, step: str) -> None:
    leader = servers.leader()
    until(lambda: put(servers, leader, "kept", "kept") == 200, "a write")
    found = state(servers, leader)
    known = set(keys(servers, leader))
    servers.arm(leader, step)
    with contextlib.suppress(OSError):  # it may be killed before it can answer
        servers.ask(leader, f"{KEYRING}/rotate", "PUT", timeout_s=5)
    servers.killed(leader)
    now = servers.leader()
    if "AddRootKey" in step and not set(keys(servers, now)) - known:
        until(lambda: servers.ask(now, f"{KEYRING}/rotate", "PUT").status == 200, "a rotation")
    until(lambda: ended(servers, now), "the end of the rotation")
    assert states(servers) == [found] * servers.count
    older = [key for key, row in keys(servers, now).items() if row["State"] != "active"]
    for key in older:
        until(partial(removed, servers, now, key), f"key {key} to be removed")
    assert states(servers) == [found] * servers.count


def ended(servers: Servers, number: int) -> bool:
    rows = keys(servers, number).values()
    return all(row.get("RekeyPhase", "") == "" for row in rows)


def removed(servers: Servers, number: int, key: str) -> bool:
    if key not in keys(servers, number):
        return True
    servers.ask(number, f"{KEYRING}/key/{key}?force=true", "DELETE")
    return False


# -- backup ------------------------------------------------------------------------------------

BACKUPS = [
    *(f"{when} BeginBackup" for when in ("before", "after")),
    "take begun",
    *(f"{when} PlaceBackup" for when in ("before", "after")),
    *("put begun", "put opened", "put written", "put named", "check begun", "check ended"),
    *(f"{when} EndBackup" for when in ("before", "after")),
    *("delete begun", "delete ended"),
    *(f"{when} DropBackup" for when in ("before", "after")),
]


@pytest.mark.long
@pytest.mark.parametrize("step", BACKUPS)
def test_a_leader_is_killed_within_a_backup(servers: SteppedServers, step: str) -> None:
    target = servers.folder / "target"

    def made() -> bool:
        answer = servers.ask(servers.leader(), f"{BACKUP}/run", "PUT")
        return answer.status == 200 and answer.json["Status"] == "verified"

    def settled() -> bool:
        """What is listed is verified, and at the target, and nothing else is."""
        rows = servers.ask(servers.leader(), BACKUP).json["Backups"]
        there = {each.name for each in target.glob("*.snap")}
        return len(rows) == 1 and rows[0]["Status"] == "verified" and {rows[0]["Name"]} == there

    until(made, "a backup")
    until(settled, "the older one to go")
    leader = servers.leader()
    servers.arm(leader, step)
    with contextlib.suppress(OSError):
        servers.ask(leader, f"{BACKUP}/run", "PUT", timeout_s=30)
    verified = [each.name for each in target.glob("*.snap")]
    servers.killed(leader)
    assert verified, "the last verified one is never deleted"
    for name in verified:
        whole(target / name)
    until(settled, "what was begun to be settled")
    until(made, "another backup")
    until(settled, "the older one to go")
    assert not [each for each in target.iterdir() if each.suffix != ".snap"], "nothing half made"
