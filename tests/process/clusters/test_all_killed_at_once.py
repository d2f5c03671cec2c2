"""The whole cluster is killed under the load of several writers, again and again."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from lengths import cases
from register_writers import Register, Writers, check, read
from server_processes import Servers, running, until

pytestmark = pytest.mark.process


def everywhere(servers: Servers) -> set[Register]:
    """What each server holds."""
    return {read(servers, number, "?stale") for number in range(servers.count)}


@pytest.mark.parametrize("outages", cases([2], [6]))
def test_nothing_acknowledged_is_lost_when_all_are_killed_under_load(
    tmp_path: Path, outages: int
) -> None:
    rng = random.Random(11)
    with running(tmp_path) as servers:
        until(lambda: read(servers, 0), "the first writes of the leader")
        with Writers(servers) as writers:
            for _ in range(outages):
                writers.more(20)
                # Not quite at once: what one of them answered between two kills counts as well.
                servers.kill(*rng.sample(range(3), 3))
                servers.start(*rng.sample(range(3), 3))
            writers.more(20)
            servers.kill(0, 1, 2)
            writers.stop()
            servers.start()
            last = writers.check()
            until(lambda: everywhere(servers) == {last}, "the same value on each")


@pytest.mark.parametrize(
    ("acknowledged", "unknown", "last", "fault"),
    [
        ([(1, 10), (2, 11)], set(), (2, 11), ""),
        ([(1, 10), (3, 12)], {2}, (3, 12), ""),
        ([(1, 10), (2, 11)], {3}, (3, 12), ""),
        ([(1, 10), (2, 11)], set(), (1, 10), "the last acknowledged value is gone"),
        ([(1, 10), (2, 11)], {2}, (1, 10), "the last acknowledged value is gone"),
        ([(1, 10), (2, 11), (2, 15)], set(), (2, 15), "a value was acknowledged twice"),
        ([(1, 10), (3, 12)], set(), (3, 12), "nobody wrote [2]"),
        ([(1, 12), (2, 11)], set(), (2, 12), "indexes and values differ in order"),
        ([(1, 10), (2, 11)], set(), (2, 9), "the index went back"),
    ],
)
def test_the_proof_finds_a_lost_write(
    acknowledged: list[tuple[int, int]], unknown: set[int], last: tuple[int, int], fault: str
) -> None:
    registers = [Register(*ack) for ack in acknowledged]
    if not fault:
        check(registers, unknown, Register(*last))
        return
    with pytest.raises(AssertionError, match=re.escape(fault)):
        check(registers, unknown, Register(*last))
