"""Variables on three processes: through followers, over a lost leader, over restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_processes import Servers, until

pytestmark = pytest.mark.process


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    found = Servers(tmp_path)
    found.start()
    try:
        leader = found.leader()
        until(lambda: put(found, leader, "first", {"k": "v"}).status == 200, "a first write")
        yield found
    finally:
        found.stop_all()


def put(servers: Servers, number: int, path: str, items: dict[str, str], query: str = "") -> Any:
    return servers.ask(number, f"/v1/var/{path}{query}", "PUT", {"Items": items})


def items(servers: Servers, number: int, path: str, query: str = "") -> dict[str, str]:
    found: dict[str, str] = servers.ask(number, f"/v1/var/{path}{query}").json["Items"]
    return found


def test_what_was_acknowledged_is_there_whoever_leads(servers: Servers) -> None:
    leader = servers.leader()
    follower, other = (leader + 1) % 3, (leader + 2) % 3
    made = put(servers, follower, "app/db", {"user": "a"})
    assert made.status == 200, made.text
    index = made.json["ModifyIndex"]
    for number in range(3):
        assert items(servers, number, "app/db") == {"user": "a"}

    lost = put(servers, other, "app/db", {"user": "b"}, "?cas=1")
    assert (lost.status, lost.json["ModifyIndex"], lost.json["Items"]) == (
        409,
        index,
        {"user": "a"},
    )
    assert put(servers, other, "app/db", {"user": "b"}, f"?cas={index}").status == 200

    servers.kill(leader)
    servers.leader()
    for number in (follower, other):
        assert items(servers, number, "app/db") == {"user": "b"}
    operations = [
        {"Op": "delete", "Path": "first"},
        {"Op": "set", "Path": "app/cache", "Items": {"k": "v"}, "CAS": 0},
    ]
    done = servers.ask(follower, "/v1/vars/write", "PUT", {"Operations": operations})
    assert done.status == 200, done.text

    servers.kill(follower, other)
    servers.start()
    servers.leader()
    for number in range(3):
        listed = servers.ask(number, "/v1/vars?prefix=").json
        assert [row["Path"] for row in listed] == ["app/cache", "app/db"]
        until(
            lambda number=number: items(servers, number, "app/db", "?stale") == {"user": "b"},  # type: ignore[misc]
            f"s{number} to have applied it itself",
        )
    assert servers.ask(leader, "/v1/var/app/db", "DELETE").status == 204
    assert servers.ask(other, "/v1/var/app/db").status == 404


def test_a_lock_outlives_its_leader_and_ends_when_it_is_not_renewed(servers: Servers) -> None:
    leader = servers.leader()
    follower, other = (leader + 1) % 3, (leader + 2) % 3

    def lock(number: int, what: str, lock_id: str) -> Any:
        body = {"Lock": {"ID": lock_id, "TTL": "10s", "LockDelay": "1s"}}
        return servers.ask(number, f"/v1/var/job?lock-{what}", "PUT", body)

    first = lock(follower, "acquire", "one")
    assert first.status == 200, first.text
    servers.kill(leader)
    servers.leader()
    began = time.monotonic()
    assert lock(other, "renew", "one").status == 200
    assert lock(follower, "acquire", "two").status == 409
    until(lambda: lock(other, "acquire", "two").status == 200, "the lock to end", timeout_s=40)
    assert time.monotonic() - began >= 10, "it ended before its TTL was over"
    assert lock(follower, "renew", "one").text == "attempting to modify locked variable"
    now = servers.ask(other, "/v1/var/job").json["Lock"]
    assert (now["ID"], now["Fence"] > first.json["Lock"]["Fence"]) == ("two", True)
