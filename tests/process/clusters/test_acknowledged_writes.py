"""Nothing acknowledged is lost, and no consistent read is stale, whoever is killed when."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lengths import cases
from server_processes import Servers, running, until

pytestmark = pytest.mark.process

PATH = "/v1/operator/autopilot/configuration"


class Counter(threading.Thread):
    """Increments MaxTrailingLogs by compare-and-set, and holds every read against what it knows.

    `acknowledged` is the highest value whose write was confirmed, `attempted` the highest that
    was ever sent. A consistent read must lie between what they were before and after it.
    """

    def __init__(self, servers: Servers) -> None:
        super().__init__(daemon=True)
        self.servers = servers
        self.acknowledged = 0
        self.attempted = 0
        self.wrong = ""
        self.ended = threading.Event()
        self._rng = random.Random(7)

    def run(self) -> None:
        while not self.ended.is_set() and not self.wrong:
            try:
                self._increment(self._rng.choice(list(self.servers.processes)))
            except (OSError, ValueError, LookupError):
                self.ended.wait(0.01)

    def _increment(self, number: int) -> None:
        known = self.acknowledged
        answer = self.servers.ask(number, PATH, timeout_s=3)
        if answer.status != 200:
            return
        value = answer.json["MaxTrailingLogs"]
        if not known <= value <= self.attempted:
            self.wrong = f"read {value}, acknowledged {known}, attempted {self.attempted}"
            return
        self.attempted = value + 1
        body = {**answer.json, "MaxTrailingLogs": value + 1}
        path = f"{PATH}?cas={answer.json['ModifyIndex']}"
        written = self.servers.ask(number, path, "PUT", body, timeout_s=3)
        if written.status == 200 and written.json is True:
            self.acknowledged = value + 1

    def progress(self, by: int) -> None:
        """Wait until so many more writes are acknowledged."""
        goal = self.acknowledged + by
        until(lambda: self.wrong or self.acknowledged >= goal, f"{by} more acknowledged writes")
        assert not self.wrong, self.wrong


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[tuple[Servers, Counter]]:
    with running(tmp_path) as servers:
        body = {"LastContactThreshold": "1s", "ServerStabilizationTime": "500ms"}
        until(lambda: servers.ask(0, PATH, "PUT", body).status == 200, "a first write")
        counter = Counter(servers)
        counter.start()
        yield servers, counter
        counter.ended.set()
        counter.join(10)


@pytest.mark.parametrize("times", cases([3], [20]))
def test_the_leader_is_killed_again_and_again_and_then_all_at_once(
    counting: tuple[Servers, Counter], times: int
) -> None:
    servers, counter = counting
    for _ in range(times):
        counter.progress(2)
        leader = servers.leader()
        servers.kill(leader)
        counter.progress(2)
        servers.start(leader)
    counter.progress(5)
    acknowledged = counter.acknowledged
    servers.kill(*list(servers.processes))
    servers.start()
    servers.leader()
    assert servers.ask(0, PATH).json["MaxTrailingLogs"] >= acknowledged
    counter.progress(5)


def test_a_stopped_leader_is_replaced_and_follows_when_it_wakes(
    counting: tuple[Servers, Counter],
) -> None:
    servers, counter = counting
    counter.progress(3)
    old = servers.leader()
    term = int(servers.stats(old)["term"])
    servers.signal(old, signal.SIGSTOP)
    process = servers.processes.pop(old)
    new = servers.leader()
    assert new != old
    counter.progress(3)
    process.send_signal(signal.SIGCONT)
    servers.processes[old] = process
    seen: dict[str, str] = {}

    def follows() -> bool:
        # It may step down first because it hears no majority, still in its old term.
        seen.update(servers.stats(old))
        return seen["state"] == "Follower" and int(seen["term"]) > term

    until(follows, lambda: f"the old leader to follow in a later term than {term}; it says {seen}")
    counter.progress(3)
