"""Leadership is handed around under load: nothing is lost, and writes hardly wait."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fault_clients import Clients
from fault_cluster import running
from lengths import cases

from quorate.raft.settings import Settings
from quorate.testing.linearizability import check

pytestmark = [pytest.mark.process, pytest.mark.timeout(540)]

CALL_MAX_S = 5.0
ELECTION_TIMEOUT_S = 2 * Settings().election_timeout_s  # the longest a follower waits


@pytest.mark.parametrize("transfers", cases([15], [500]))
def test_transfers_under_steady_writes(tmp_path: Path, transfers: int) -> None:
    gaps, calls, refused = [], [], []
    with running(tmp_path) as servers, Clients(servers, 4, seed=18) as clients:
        clients.more(10)
        for number in range(transfers):
            leader = servers.leader()
            rows = servers.ask(leader, "/v1/operator/raft/configuration").json["Servers"]
            target = sorted(row["ID"] for row in rows if not row["Leader"])[number % 2]
            path = f"/v1/operator/raft/transfer-leadership?id={target}"
            began, watch = time.monotonic(), servers.stopwatch()
            answer = servers.ask(leader, path, "PUT")
            calls.append(watch.seconds())
            if answer.status != 200:
                refused.append(answer.text)
            clients.more(3)
            gap = clients.longest_gap(began, time.monotonic())
            gaps.append(max(0.0, gap - watch.late_s()))
    result = check(clients.recorder.history())
    assert result.ok, str(result)
    print(
        f"{transfers} transfers, {len(refused)} refused {set(refused)}; call: "
        f"median {sorted(calls)[len(calls) // 2]:.3f} s, worst {max(calls):.3f} s; longest gap "
        f"between writes: median {sorted(gaps)[len(gaps) // 2]:.3f} s, worst {max(gaps):.3f} s"
    )
    assert max(calls) < CALL_MAX_S
    assert len(refused) <= transfers // 10
    assert sorted(gaps)[len(gaps) * 9 // 10] < ELECTION_TIMEOUT_S
    assert max(gaps) < 4 * ELECTION_TIMEOUT_S  # with other tests on the same processors
