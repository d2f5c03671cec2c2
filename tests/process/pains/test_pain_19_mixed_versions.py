"""Pain 19: versions are mixed in one cluster, in both orders, with writes all along.

Beside today's servers run those of commit 586a0ee, which passed over what they could not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from older_version import MixedServers, source_of_old
from register_writers import PATH, Writers, body, read
from server_processes import until

pytestmark = pytest.mark.process

LEVEL = 4


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[MixedServers]:
    source = source_of_old(tmp_path / "old")
    found = MixedServers(
        tmp_path,
        source,
        state_check_interval="500ms",
        raft_snapshot_threshold=64,
        raft_snapshot_interval="200ms",
        raft_trailing_logs=64,
    )
    found.start()
    try:
        found.leader()
        until(lambda: found.ask(found.leader(), PATH, "PUT", body(0)).status == 200, "a write")
        yield found
    finally:
        found.stop_all()


def fit(servers: MixedServers, number: int) -> None:
    """Return when the server has caught up, votes, and is healthy."""
    leader = servers.leader()
    goal = int(servers.stats(leader)["commit_index"])
    until(lambda: int(servers.stats(number)["applied_index"]) >= goal, f"s{number} to catch up")
    until(lambda: servers.voters() == 3, "three voters")
    until(lambda: servers.ask(number, "/v1/agent/health").status == 200, f"s{number} to be well")


def assert_nobody_is_fenced(servers: MixedServers) -> None:
    for number in range(3):
        said = servers.log(number)
        assert "is damaged" not in said, said[-3000:]
        assert "stopped applying" not in said, said[-3000:]
        assert "Traceback" not in said, said[-3000:]


def test_a_rolling_upgrade_in_both_orders_of_leadership_loses_nothing(
    servers: MixedServers,
) -> None:
    first = servers.leader()
    second, third = (first + 1) % 3, (first + 2) % 3
    with Writers(servers) as writers:
        writers.more(100)
        servers.restart(second, old=False)  # an old one leads
        fit(servers, second)
        writers.more(100)
        servers.move_leadership_to(second)  # a new one leads two old ones
        writers.more(100)
        found = servers.upgrade(second)
        assert (found["Level"], found["Goal"]) == (0, LEVEL)
        assert {row["Node"] for row in found["Servers"] if row["Waits"]} == {
            f"s{first}.global",
            f"s{third}.global",
        }
        servers.move_leadership_to(third)  # an old one leads a new one again
        writers.more(100)
        servers.restart(first, old=False)
        fit(servers, first)
        writers.more(100)
        assert servers.upgrade(first)["Level"] == 0
        servers.restart(third, old=False)  # the last one
        fit(servers, third)
        until(lambda: servers.upgrade(third)["Level"] == LEVEL, "the level to rise")
        writers.more(100)
    last = writers.check()
    assert last.value >= 600
    for number in range(3):
        until(
            lambda number=number: read(servers, number, "?stale") == last,  # type: ignore[misc]
            f"s{number} to have all writes",
        )
        until(lambda n=number: servers.upgrade(n)["Level"] == LEVEL, f"s{number} to be at it")  # type: ignore[misc]
    assert_nobody_is_fenced(servers)


def test_a_downgrade_after_the_level_has_risen_is_refused_by_name(servers: MixedServers) -> None:
    for number in range(3):
        servers.restart(number, old=False)
        fit(servers, number)
    until(lambda: servers.upgrade(0)["Level"] == LEVEL, "the level to rise")
    odd = (servers.leader() + 1) % 3
    third = (odd + 1) % 3
    servers.restart(odd, old=True)

    # It may come up and not be let in, or say that it cannot read the folder of a later version.
    process = servers.processes[odd]
    until(
        lambda: process.poll() is not None or servers.ask(odd, "/v1/agent/self").status == 200,
        "the old version to be up, or to give up",
    )

    def named() -> bool:
        rows = servers.upgrade(third)["Servers"]
        row = next(row for row in rows if row["Node"] == f"s{odd}.global")
        if process.poll() is not None:
            return bool(row["Error"])
        return "of an older version" in row["Waits"] and row["Level"] == 0

    def refused() -> bool:
        others = (number for number in range(3) if number != odd)
        return any("proves no server ID" in servers.log(number) for number in others)

    until(named, "the check to name it")
    until(refused, "the others to say why they do not let it in")
    for value in range(1, 20):
        assert servers.ask(third, PATH, "PUT", body(value)).status == 200
    servers.restart(odd, old=False)
    fit(servers, odd)
    expected = read(servers, servers.leader())
    until(lambda: read(servers, odd, "?stale") == expected, "it to have caught up")
    assert expected.value == 19
