"""Values at rest on three processes: never in the clear, over lost leaders and rotations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from server_processes import Servers, until

pytestmark = pytest.mark.process

KEYRING = "/v1/operator/keyring"
SECRET = "correct horse battery staple"
ITEM = "of-the-production-database"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    found = Servers(tmp_path, raft_snapshot_threshold=20, raft_snapshot_interval="1s")
    found.start()
    try:
        leader = found.leader()
        until(lambda: put(found, leader, "app/0", SECRET).status == 200, "a first write")
        yield found
    finally:
        found.stop_all()


def put(servers: Servers, number: int, path: str, value: str) -> Any:
    return servers.ask(number, f"/v1/var/{path}", "PUT", {"Items": {ITEM: value}})


def value(servers: Servers, number: int, path: str) -> str:
    found: str = servers.ask(number, f"/v1/var/{path}").json["Items"][ITEM]
    return found


def files_with(servers: Servers, text: bytes) -> list[str]:
    """The files of all data folders that hold it."""
    return [
        str(path)
        for number in range(3)
        for path in servers.data_dir(number).rglob("*")
        if path.is_file() and text in path.read_bytes()
    ]


def keys(servers: Servers, number: int) -> dict[str, tuple[str, str]]:
    listed = servers.ask(number, f"{KEYRING}/keys").json
    return {key["KeyID"]: (key["State"], key.get("RekeyPhase", "")) for key in listed}


def test_no_file_holds_a_value_and_every_server_reads_it(servers: Servers) -> None:
    leader = servers.leader()
    for number in range(60):  # so that there are snapshots
        assert put(servers, leader, f"app/{number}", f"{SECRET} {number}").status == 200
    until(
        lambda: all(list(servers.data_dir(n).rglob("raft/snapshots/*/state*")) for n in range(3)),
        "snapshots on all servers",
    )
    # Paths are no secrets; what is looked for would be found.
    assert files_with(servers, b"app/59")
    for text in (SECRET, ITEM):
        assert not files_with(servers, text.encode())

    servers.kill(leader)
    second = servers.leader()
    for number in set(range(3)) - {leader}:
        assert value(servers, number, "app/59") == f"{SECRET} 59"
    assert put(servers, second, "app/59", f"{SECRET} again").status == 200
    servers.start(leader)
    until(lambda: value(servers, leader, "app/59") == f"{SECRET} again", "the old leader to answer")


@pytest.mark.long
def test_a_full_rotation_over_a_lost_leader(servers: Servers) -> None:
    leader = servers.leader()
    for number in range(60):
        assert put(servers, leader, f"app/{number}", f"{SECRET} {number}").status == 200
    (older,) = keys(servers, leader)
    assert files_with(servers, older.encode())
    assert servers.ask((leader + 1) % 3, f"{KEYRING}/rotate?full", "PUT").status == 200
    servers.kill(leader)
    second = servers.leader()
    assert value(servers, second, "app/7") == f"{SECRET} 7"
    servers.start(leader)
    until(
        lambda: sorted(keys(servers, second).values()) == [("active", ""), ("inactive", "")],
        lambda: f"the rotation to end: {keys(servers, second)}",
        4 * PATIENCE_S,
    )
    removed = servers.ask(second, f"{KEYRING}/key/{older}", "DELETE")
    assert removed.status == 200, removed.text
    for number in range(3):
        assert value(servers, number, "app/59") == f"{SECRET} 59"
    assert not files_with(servers, SECRET.encode())
