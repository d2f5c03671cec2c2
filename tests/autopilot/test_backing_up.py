"""The work on backups, with leaders that end between any two steps, clocks and targets that fail.

The decider, the commands and the tables are those of production; leaders, target and clock are
simulated, by a seed.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest

from quorate.autopilot.deciders.backing_up import (
    RETRY_MAX_S,
    Act,
    Check,
    Delete,
    Facts,
    Found,
    Memory,
    Outcome,
    Put,
    Take,
    Write,
    is_due,
    problem,
    surplus,
    waits,
    work,
)
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import backups
from quorate.state.tables.backups import DAMAGED, PLACING, TAKEN, VERIFIED, Backup, Progress

EVERY_S = 10
RETAIN = 3


def row(name: str, index: int, status: str = VERIFIED, slot: int = 0, **more: Any) -> Backup:
    return Backup(
        name=name,
        slot=slot or index,
        by="a",
        index=index,
        term=1,
        state_index=index,
        time_ms=index * 1000,
        size=1,
        sha256="",
        state_bytes=1,
        digest="",
        holders=2,
        status=status,
        create_index=index,
        modify_index=index,
        **more,
    )


def facts(*rows: Backup, now: float = 1000.0, due: int = 1000, **more: Any) -> Facts:
    progress = Progress(**more)
    return Facts(
        me="a",
        now=now,
        elapsed=now,
        due=due,
        every_s=float(EVERY_S),
        retain=RETAIN,
        progress=progress,
        backups={each.name: each for each in rows},
    )


class World:
    """A cluster of which one server leads at a time, a target, and two clocks."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.store = StateStore(TODAY)
        self.index = 0
        self.elapsed = 0.0
        self.offset = 1_000_000.0  # of the time of day
        self.files: dict[str, str] = {}  # by name: the digest
        self.slots: Counter[int] = Counter()  # files ever named, by due time
        self.proven = 0
        self.apply(encode(RaiseLevel(level=3)))

    def apply(self, command: bytes) -> Any:
        self.index += 1
        return self.store.apply(self.index, command)

    @property
    def now(self) -> float:
        return self.offset + self.elapsed

    def look(self, me: str) -> Facts:
        return Facts(
            me=me,
            now=self.now,
            elapsed=self.elapsed,
            due=int(self.now) // EVERY_S * EVERY_S,
            every_s=float(EVERY_S),
            retain=RETAIN,
            progress=backups.progress(self.store),
            backups=dict(self.store.rows(backups.TABLE)),
        )

    def carry_out(self, act: Act, me: str, calm: bool) -> Outcome:
        self.elapsed += self.rng.random() * 0.2
        away = not calm and self.rng.random() < 0.15
        match act:
            case Write(command=command):
                return Outcome(result=self.apply(encode(command)))
            case Take(slot=slot):
                if away:
                    return Outcome(why="no majority")
                name = f"quorate-c-{slot}-{self.index}.snap"
                taken = row(name, self.index, PLACING, slot=slot)
                now_ms = int(self.now * 1000)
                return Outcome(backup=msgspec.structs.replace(taken, time_ms=now_ms))
            case Put(name=name):
                return self._put(name, away)
            case Check(backup=backup):
                if away:
                    return Outcome(why="unreachable")
                if backup.name not in self.files:
                    return Outcome(found=Found.ABSENT, why="it is not there")
                wrong = self.files[backup.name] != "right"
                return Outcome(found=Found.WRONG if wrong else Found.WHOLE, why="bad" * wrong)
            case Delete(name=name):
                if away:
                    return Outcome(why="unreachable")
                self._gone(name)
                return Outcome()

    def _put(self, name: str, away: bool) -> Outcome:
        assert name not in self.files
        assert name in self.store.rows(backups.TABLE), "a file that the state does not know"
        if away and self.rng.random() < 0.5:
            return Outcome(why="full")
        self.files[name] = "wrong" if away and self.rng.random() < 0.5 else "right"
        return Outcome(why="the answer was lost" if away else "")

    def _gone(self, name: str) -> None:
        rows = self.store.rows(backups.TABLE)
        known = [each for each in rows.values() if each.status == VERIFIED]
        newest = max(known, key=lambda each: each.create_index, default=None)
        assert newest is None or newest.name != name, "the last verified one is deleted"
        self.files.pop(name, None)

    def check(self) -> None:
        right = Counter(
            each.slot
            for each in self.store.rows(backups.TABLE).values()
            if each.name in self.files and not each.manual
        )
        assert all(count == 1 for count in right.values()), f"two files of one due time: {right}"
        assert set(self.files) <= set(self.store.rows(backups.TABLE)), "a file that nobody lists"


@pytest.mark.parametrize("seed", range(30))
def test_one_for_each_due_time_whatever_ends_the_leaders(seed: int) -> None:
    world = World(seed)
    rng = world.rng
    leader, memory = 0, Memory()
    for turn in range(260):
        calm = turn > 200
        me = f"s{leader}"
        steps = work(partial(world.look, me), memory)
        outcome: Outcome | None = None
        try:
            while True:
                act = steps.send(outcome) if outcome is not None else next(steps)
                if not calm and rng.random() < 0.04:
                    leader, memory = (leader + 1) % 3, Memory()
                    break  # the leader ends before it does this
                outcome = world.carry_out(act, me, calm)
                world.check()
        except StopIteration as end:
            memory = end.value
        if not calm and rng.random() < 0.02:
            world.offset += rng.choice((-3600.0, -15.0, 20.0, 3600.0))
        world.elapsed += rng.random() * (EVERY_S / 2)
    kept = world.store.rows(backups.TABLE).values()
    assert sorted(each.status for each in kept) == [VERIFIED] * RETAIN
    assert len(world.files) == RETAIN
    # Nothing is late once all goes well.
    newest = max(each.slot for each in kept)
    assert world.look("s0").due - newest <= 2 * EVERY_S
    assert problem(world.look("s0"), memory) == ""


def test_the_last_verified_one_stays_whatever_is_newer() -> None:
    newer = [row(f"n{i}", 10 + i, TAKEN) for i in range(5)]
    rows = {each.name: each for each in (row("old", 1), row("proven", 2), *newer)}
    assert surplus(rows, RETAIN) == ["old", "n0", "n1"]
    assert surplus({"proven": row("proven", 2)}, 1) == []


def test_a_damaged_one_is_shown_until_a_newer_one_is_verified() -> None:
    damaged = row("d", 5, DAMAGED)
    assert surplus({"d": damaged}, RETAIN) == []
    assert surplus({"d": damaged, "v": row("v", 6)}, RETAIN) == ["d"]


def test_one_that_may_be_at_the_target_is_never_deleted_as_surplus() -> None:
    rows = {f"p{i}": row(f"p{i}", i, PLACING) for i in range(1, 9)}
    assert surplus(rows, 1) == []


@pytest.mark.parametrize(
    ("due", "done", "expected"),
    [
        (0, 0, False),
        (1000, 990, True),
        (1000, 1000, False),
        (990, 1000, False),  # the clock was set back a little: wait
        (1000, 1000 + 60, False),
        (1000, 1000 + 61, True),  # the clock was ahead before
    ],
)
def test_when_one_is_due(due: int, done: int, expected: bool) -> None:
    assert is_due(facts(due=due, done=done)) is expected


def test_a_due_time_that_has_a_file_is_not_due() -> None:
    assert not is_due(facts(row("a", 5, slot=1000), due=1000, done=5000))
    assert is_due(facts(row("a", 5, slot=1000, manual=True), due=1000))


def test_the_pause_after_failures_grows_and_is_bounded() -> None:
    def pause(failures: int, every_s: float = 86400.0) -> float:
        known = facts(failures=failures, failed=failures)
        known = msgspec.structs.replace(known, every_s=every_s, elapsed=0.0)
        memory = Memory(failed=failures, failed_at=0.0)
        at = 0.0
        while waits(msgspec.structs.replace(known, elapsed=at), memory):
            at += 0.5
        return at

    assert [pause(times) for times in range(5)] == [0, 1, 2, 4, 8]
    assert pause(50) == RETRY_MAX_S
    assert pause(50, every_s=10.0) == 10.0


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (facts(), ""),
        (facts(failures=1, why="full"), "no verified backup as yet (last failure: full)"),
        (facts(row("a", 995), verified_ms=995_000), ""),
        (facts(row("a", 969), verified_ms=969_000), "is 31 s old, and one is due every 10 s"),
        (facts(row("a", 995, TAKEN, why="late"), verified_ms=995_000), "a is not verified: late"),
    ],
)
def test_what_is_wrong_is_said(known: Facts, expected: str) -> None:
    found = problem(known, Memory())
    assert expected in found if expected else not found
