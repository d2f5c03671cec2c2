"""Servers that are killed: nothing that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import cluster, wait_until
from load import Register, Writers, body, read

pytestmark = pytest.mark.process

KILLS = 20


@pytest.mark.timeout(150)
def test_leader_killed_again_and_again_then_all_at_once(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers, Writers(servers) as writers:
        for _ in range(KILLS):
            writers.more(10)
            leader = servers.leader()
            leader.kill()
            writers.more(1)
            leader.start()
        writers.more(10)
        for node in servers.nodes:
            node.kill()
        writers.stop()
        servers.start()
        last = wait_until("a read", lambda: read(servers.nodes[0]))
        writers.check(last)
        for node in servers.nodes:
            wait_until(f"{node.name} has it too", lambda n=node: read(n, "?stale") == last)


@pytest.mark.parametrize(
    ("acknowledged", "unknown", "last", "fault"),
    [
        ([(1, 10), (2, 11)], [], (2, 11), ""),
        ([(1, 10), (3, 12)], [2], (3, 12), ""),
        ([(1, 10), (2, 11)], [3], (3, 12), ""),
        ([(1, 10), (2, 11)], [], (1, 10), "assert 2 <= 1"),
        ([(1, 10), (2, 11), (2, 15)], [], (2, 15), "acknowledged twice"),
        ([(1, 10), (3, 12)], [], (3, 12), "nobody wrote"),
        ([(1, 12), (2, 11)], [], (2, 12), "differ in order"),
    ],
)
def test_the_proof_finds_a_lost_write(
    acknowledged: list[tuple[int, int]],
    unknown: list[int],
    last: tuple[int, int],
    fault: str,
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, start=False) as servers:
        writers = Writers(servers, 0)
        writers.acknowledged = [Register(*ack) for ack in acknowledged]
        writers.unknown = unknown
        if not fault:
            writers.check(Register(*last))
            return
        with pytest.raises(AssertionError, match=fault):
            writers.check(Register(*last))


def test_one_server_alone_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    with cluster(tmp_path, 1) as servers:
        (node,) = servers.nodes
        for value in (1, 2, 3):
            assert node.put("operator/scheduler/configuration", body(value)).status == 200
            node.kill()
            servers.start()
            found = read(node)
            assert found is not None
            assert found.value == value
