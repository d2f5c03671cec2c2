"""What a cut-off leader wrote and nobody else has is replaced when it comes back, in both makes."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from lengths import cases
from mixed_cluster import Cluster, Line, Peer, Refused, cluster, until

pytestmark = pytest.mark.process


TRIES = 20


def cut_off(mixed: Cluster, make: str, count: int) -> Peer:
    """A leader of that make, cut off from all others, with entries that nobody else has.

    Half a second after it has heard the last of the others it steps down. On a busy machine it
    may not have all entries by then; then it comes back, and all begins again.
    """
    for _ in range(TRIES):
        leader = mixed.lead(make)
        mixed.isolate(leader.name)
        if wrote_in_vain(leader, count):
            return leader
        mixed.mend()
    raise AssertionError(f"no leader has taken {count} entries before it stepped down")


def wrote_in_vain(leader: Peer, count: int) -> bool:
    """Let a leader without a majority add entries to its log; whether it led for all of them."""
    before: int = leader.state()["last"]
    with closing(Line(leader.control)) as line, suppress(Refused):
        for number in range(count):
            line.ask("apply", data=f"lost{before}-{number};", nowait=True)

    def settled() -> dict[str, Any] | None:
        state = leader.state()
        done = state["last"] >= before + count or state["role"] != "leader"
        return state if done else None

    return bool(until(settled, "the entries are in its log")["last"] >= before + count)


def elect(mixed: Cluster, make: str) -> Peer:
    """A leader of that make among those that are not cut off."""
    mixed.leader()
    return mixed.lead(make)


@pytest.mark.parametrize(
    ("makes", "loser", "winner", "lost", "written"),
    cases(
        [("ggq", "g", "q", 5, 100), ("gqq", "q", "g", 5, 100), ("gqq", "g", "q", 100, 1)],
        [
            ("ggq", "g", "g", 5, 100),
            ("ggq", "q", "g", 100, 1),
            ("gqq", "q", "q", 5, 100),
            ("gggqq", "g", "q", 40, 700),
            ("ggqqq", "q", "g", 300, 700),
        ],
    ),
)
def test_uncommitted_entries_are_replaced(
    tmp_path: Path, makes: str, loser: str, winner: str, lost: int, written: int
) -> None:
    with cluster(tmp_path, makes) as mixed:
        mixed.lead(loser)
        mixed.write(3, "before")
        leader = cut_off(mixed, loser, lost)
        assert elect(mixed, winner).make == winner
        mixed.write(written, "instead")
        mixed.mend()
        mixed.level()
        assert not [data for data in leader.items() if data.startswith("lost")]


@pytest.mark.parametrize("makes", cases(["gqq"], ["ggq", "ggqq", "gggqq"]))
def test_logs_that_diverged_more_than_once_meet_again(tmp_path: Path, makes: str) -> None:
    # Each leader in turn is cut off with entries of its own term that nobody else has.
    with cluster(tmp_path, makes, q_multiplier=0.5) as mixed:
        for turn, make in enumerate("gqgq"):
            mixed.lead(make)
            mixed.write(2, f"turn{turn}")
            cut_off(mixed, make, 3 + turn)
            mixed.write(2 + turn, f"instead{turn}")
            # It comes back while the next is cut off: the logs differ in several terms.
            mixed.mend()
            mixed.leader()
