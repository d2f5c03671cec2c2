"""Refusals that observers of a replica hear of: a bounded rate, and bounded memory."""

from __future__ import annotations

import sys
from pathlib import Path

from replica_cluster import Pairs

from quorate.net.refusals import REASONS_MAX, TOLD_MAX, Refusals
from quorate.replica import Options, Replica
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore


def test_observers_hear_of_refusals_at_a_bounded_rate(tmp_path: Path) -> None:
    log = LogStore.open(tmp_path / "log")
    replica = Replica(
        server_id="a",
        address="a:1",
        machine=Pairs(),
        log=log,
        snapshots=SnapshotStore(tmp_path / "snapshots"),
        options=Options(),
    )
    heard: list[tuple[str, str]] = []
    replica.on_refused.append(lambda where, why: heard.append((where, why)))
    for number in range(100):
        replica.refused(f"10.0.0.1:{number}", "a stranger")
    assert heard == [("10.0.0.1:0", "a stranger")]
    for number in range(100):
        replica.refused("10.0.0.2:7", f"{number} is its own word")
    assert len(heard) == 1 + REASONS_MAX
    for number in range(10_000):
        replica.refused(f"10.1.{number // 250}.{number % 250}:7", "a stranger")
    assert TOLD_MAX <= len(heard) <= TOLD_MAX + 10
    log.close()


def test_one_origin_and_reason_is_told_again_after_a_minute() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    assert refusals.may_tell("b:1", "no member")
    now += 59
    assert not refusals.may_tell("b:1", "no member")
    now += 2
    assert refusals.may_tell("b:1", "no member")


def test_what_is_remembered_does_not_grow() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    sizes: list[int] = []
    for number in range(5000):
        now += 1.0
        refusals.may_tell(f"{number}" + "x" * 10_000 + ":1", f"{number}" * 1000)
        sizes.append(sum(map(sys.getsizeof, refusals.origins)))
    assert max(sizes) < 1_000_000
    assert len(refusals.origins) <= 1000
