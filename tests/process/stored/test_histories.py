"""Histories of variables and locks on three servers that are killed, stopped and restored."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import pytest
from agent_process import program
from places import SUPPORT
from server_processes import Servers, running, until
from variable_clients import PATHS, Value, VariableClients

from quorate.testing.linearizability import check

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

TTL_S, DELAY_S, HOLD_S = 10.0, 1.0, 1.0
LOCK = "locks/one"


class Holder:
    """A process that takes the lock again and again; `number` is the server that it asks."""

    def __init__(self, servers: Servers, number: int, folder: Path) -> None:
        self.told = folder / f"holder{number}.{time.monotonic_ns()}"
        program = str(SUPPORT / "processes" / "lock_holder.py")
        address = f"http://127.0.0.1:{servers.http[number]}"
        numbers = map(str, (TTL_S, DELAY_S, HOLD_S))
        with self.told.open("wb") as file:
            command = [sys.executable, program, address, LOCK, *numbers]
            self.process = subprocess.Popen(command, stdout=file, stdin=subprocess.DEVNULL)

    def lines(self) -> list[dict[str, float]]:
        """What it has said; the last line may be cut off."""
        *whole, _ = self.told.read_text().split("\n")
        return [json.loads(line) for line in whole]

    def fences(self) -> list[int]:
        return [int(line["fence"]) for line in self.lines() if "got" in line]

    def signal(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def holders(servers: Servers, folder: Path) -> Iterator[list[Holder]]:
    found = [Holder(servers, number, folder) for number in range(servers.count)]
    try:
        yield found
    finally:
        for holder in found:
            holder.end()


def newest(found: list[Holder]) -> tuple[int, Holder]:
    """The highest fence that was given, and its holder."""
    return max(
        ((max(holder.fences(), default=0), holder) for holder in found), key=lambda pair: pair[0]
    )


def judge(told: Sequence[list[dict[str, float]]]) -> None:
    """None believes in a lock once another has got it later; each fence is given once."""
    got: dict[int, float] = {}
    for lines in told:
        for line in lines:
            if "got" in line:
                fence = int(line["fence"])
                assert fence not in got, f"fence {fence} was given twice"
                got[fence] = line["got"]
    fences = sorted(got)
    next_got = {low: min(got[f] for f in fences if f > low) for low in fences[:-1]}
    for lines in told:
        for line in lines:
            if "believes" in line and (later := next_got.get(int(line["fence"]))) is not None:
                assert line["believes"] <= later, (line, later)


def kill_leader(servers: Servers, leader: int) -> Callable[[], None]:
    servers.kill(leader)
    return lambda: servers.start(leader)


def stop_leader(servers: Servers, leader: int) -> Callable[[], None]:
    servers.signal(leader, signal.SIGSTOP)
    return lambda: servers.signal(leader, signal.SIGCONT)


def kill_follower(servers: Servers, leader: int) -> Callable[[], None]:
    return kill_leader(servers, (leader + 1) % servers.count)


def all_faults(servers: Servers, clients: VariableClients) -> None:
    for fault in (kill_leader, stop_leader, kill_follower):
        end = fault(servers, servers.leader())
        clients.more(20, 30)
        end()
        clients.more(20, 30)
        servers.leader()


@pytest.mark.long
def test_variables_under_faults_and_restores(tmp_path: Path) -> None:
    file = str(tmp_path / "a.snap")
    with running(tmp_path, raft_snapshot_threshold=200, raft_snapshot_interval="1s") as servers:
        address = f"-address=http://127.0.0.1:{servers.http[0]}"

        def first() -> bool:
            answer = servers.ask(0, "/v1/var/first", "PUT", {"Items": {"k": "v"}})
            return answer.status == 200

        until(first, "the feature level of variables")
        with VariableClients(servers, 4, SystemRandom().randrange(10**6)) as clients:
            all_faults(servers, clients)
            with clients.halted():
                saved = {path: clients.read(0, path) for path in PATHS}
                done = program("operator", "snapshot", "save", address, file)
                assert done.returncode == 0, done.stderr
            clients.more(40, 30)
            highest = servers.ask(0, PATHS[0]).json["ModifyIndex"]
            began = time.monotonic()
            done = program("operator", "snapshot", "restore", address, "-json", file)
            assert done.returncode == 0, done.stderr
            index = json.loads(done.stdout)["Index"]
            assert index >= highest + (1 << 20)
            values = {path: Value(value.written, index) for path, value in saved.items() if value}
            clients.restored(began, values)
            all_faults(servers, clients)
        history = clients.history()
        result = check(history)
        assert result.ok, str(result)
        assert sum(each.returned_at is not None for each in history) > 200


@pytest.mark.long
def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with running(tmp_path) as servers, holders(servers, tmp_path) as found:
        ended: list[Holder] = []

        def handed_over(count: int) -> None:
            """Return when the lock was given so many times more."""
            before = sum(len(holder.fences()) for holder in found)
            until(
                lambda: sum(len(holder.fences()) for holder in found) >= before + count,
                f"the lock to be given {count} times more",
                60,
            )

        handed_over(3)
        for fault in (kill_leader, stop_leader, kill_follower):
            end = fault(servers, servers.leader())
            handed_over(1)
            end()
            handed_over(2)
        # A holder stands still for longer than TTL and delay, and goes on.
        fence, holder = newest(found)
        holder.signal(signal.SIGSTOP)
        until(lambda: newest(found)[0] > fence, "another holder, after TTL and delay", 60)
        handed_over(1)
        holder.signal(signal.SIGCONT)
        handed_over(2)
        # A holder is killed.
        fence, holder = newest(found)
        holder.end()
        found.remove(holder)
        ended.append(holder)
        handed_over(2)
        everything = [*found, *ended]
        judge([holder.lines() for holder in everything])
        fences = sorted(itertools.chain.from_iterable(h.fences() for h in everything))
        assert len(fences) > 10


def test_a_holder_that_believes_for_too_long_is_found() -> None:
    first = [{"got": 1.0, "fence": 5}, {"believes": 1.9, "fence": 5}]
    second = [{"got": 2.0, "fence": 9}, {"believes": 2.5, "fence": 9}]
    judge([first, second])
    with pytest.raises(AssertionError, match=r"'believes': 2\.1"):
        judge([[*first, {"believes": 2.1, "fence": 5}], second])
    with pytest.raises(AssertionError, match="given twice"):
        judge([first, [{"got": 2.0, "fence": 5}]])
