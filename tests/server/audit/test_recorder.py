"""Acts that no entry carries: noted first, entered once, whatever ends in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from server_cluster import until

from quorate.errors import NoLeader, QuorateError
from quorate.metrics import Metrics
from quorate.net.peer import Peer
from quorate.raft.values.identity import IdentityRecord
from quorate.server.audit.acting import Act
from quorate.server.audit.recorder import Recorder, SentRecords
from quorate.server.audit.refusals import RECORDS_MAX, WINDOW_MS, RefusalCounts
from quorate.server.rpc.calls import Callers
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.journal import (
    ACT,
    AUDIT_LEVEL,
    ELECTION,
    REFUSAL,
    Entry,
    JournalRecord,
    Note,
    Who,
    newest_first,
)
from quorate.storage.folder.audit_file import SLOTS, AuditFile

ANN = Who(accessor="acc-1", name="ann", address="10.0.0.1:4000")

T = TypeVar("T")


class NoCallers(Callers):
    """Of a server that reaches no other one."""

    def __init__(self) -> None:
        pass

    async def call(self, *_: object, **__: object) -> Any:
        raise QuorateError("nobody is there")


class World:
    """A state that outlives servers, and a server that may end at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path / "audit" / "local"
        self.store = StateStore(TODAY)
        self.apply(encode(RaiseLevel(level=AUDIT_LEVEL)))
        self.leads = True
        self.now_ms = 100_000
        self.lose_answers = False
        self.starts = 0
        self.start()

    def apply(self, command: bytes) -> Any:
        return self.store.apply(self.store.applied_index + 1, command)

    async def _apply(self, command: bytes) -> tuple[int, Any]:
        if not self.leads:
            raise NoLeader
        result = self.apply(command)
        if self.lose_answers:
            raise QuorateError("the answer is lost")
        return self.store.applied_index, result

    def start(self) -> None:
        """A server starts on what is on disk; what the one before had in memory is gone."""
        self.starts += 1
        self.recorder = Recorder(
            state=self.store,
            file=AuditFile(self.path, f"run{self.starts}"),
            server_id=lambda: "s1",
            unix_ms=lambda: self.now_ms,
            leads=lambda: self.leads,
            leader=lambda: ("", ""),
            apply=self._apply,
            callers=NoCallers(),
            metrics=Metrics(),
        )

    def told(self) -> list[JournalRecord]:
        return [r for r in newest_first(self.store) if r.kind in {ACT, REFUSAL}][::-1]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Run the server until that holds."""
        running = asyncio.get_running_loop().create_task(self.recorder.run())
        try:
            await until(holds)
        finally:
            running.cancel()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(work: Awaitable[T]) -> T:
    async def main() -> T:
        return await work

    return asyncio.run(main())


def act(what: str) -> Act:
    return Act(what, lambda: ANN, subject="x", force=True, details=(("plan", "abc"),))


def test_an_act_without_a_command_is_entered_with_all_it_says(world: World) -> None:
    async def work() -> None:
        await world.recorder.note(act("save a snapshot"), "done", "why")
        await world.until(lambda: len(world.told()) == 1)

    run(work())
    (record,) = world.told()
    assert (record.what, record.subject, record.force, record.cause, record.outcome) == (
        *("save a snapshot", "x", True, "why", "done"),
    )
    assert (record.accessor, record.name, record.address, record.by) == (
        *("acc-1", "ann", "10.0.0.1:4000", "s1"),
    )
    assert (record.details, record.source, record.time_ms) == (
        (("plan", "abc"),),
        "run1/0",
        100_000,
    )


def test_without_a_leader_acts_wait_on_disk_and_the_next_leader_enters_them(world: World) -> None:
    world.leads = False
    for number in range(3):
        run(world.recorder.note(act(f"act {number}"), "done"))
    world.start()  # killed: nothing in memory is left
    assert world.told() == []
    world.leads = True
    run(world.until(lambda: len(world.told()) == 3))
    assert [record.what for record in world.told()] == ["act 0", "act 1", "act 2"]


@pytest.mark.parametrize("entered_before_the_kill", [False, True])
def test_killed_between_note_and_entry_no_act_is_lost_and_none_entered_twice(
    world: World, entered_before_the_kill: bool
) -> None:
    async def work() -> None:
        await world.recorder.note(act("one"), "done")
        if entered_before_the_kill:
            world.lose_answers = True  # it never hears that the entry was applied
            await world.until(lambda: len(world.told()) == 1)
            world.lose_answers = False
        world.start()
        await world.recorder.note(act("two"), "done")
        await world.until(lambda: len(world.told()) == 2)
        await world.recorder.note(act("three"), "done")
        await world.until(lambda: len(world.told()) == 3)

    run(work())
    assert [record.what for record in world.told()] == ["one", "two", "three"]


def test_a_full_file_and_a_broken_one_refuse_no_act(world: World) -> None:
    world.leads = False
    for number in range(SLOTS + 3):
        run(world.recorder.note(act(str(number)), "done"))
    world.leads = True
    run(world.until(lambda: len(world.told()) == SLOTS + 3))
    assert sorted(int(record.what) for record in world.told()) == [*range(SLOTS + 3)]


def test_below_its_level_nothing_is_noted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store = StateStore(TODAY)
    world.start()
    run(world.recorder.note(act("one"), "done"))
    assert AuditFile(world.path, "x").newest is None


def test_refusals_in_a_loop_become_few_records_with_a_count(world: World) -> None:
    async def work() -> None:
        for number in range(1000):
            world.recorder.refuse(ANN, "remove", f"s{number % 3}", "Permission denied")
        await world.until(lambda: len(world.told()) == 3)

    run(work())
    assert sum(record.count for record in world.told()) == 1000
    assert {record.kind for record in world.told()} == {REFUSAL}
    assert {record.accessor for record in world.told()} == {"acc-1"}


def test_many_kinds_of_refusals_are_bounded_and_none_goes_uncounted() -> None:
    counts = RefusalCounts()
    for number in range(100):
        counts.add(Who(accessor=str(number)), "remove", "", "no", 5)
    due = counts.due(1_000_000, 64)
    assert len(due) == RECORDS_MAX
    assert sum(each.count for each in due) == 100
    counts.add(ANN, "remove", "", "no", 6)  # while they are sent
    counts.sent(due, 1_000_000)
    assert counts.due(1_000_000 + WINDOW_MS - 1, 64) == ()
    assert sum(each.count for each in counts.due(1_000_000 + WINDOW_MS, 64)) == 1


def test_what_other_servers_send_is_bounded_and_named_as_theirs(world: World) -> None:
    peer = Peer(record=IdentityRecord(server_id="s7"), region="r", address="a:1", key=bytes(32))
    entry = Entry(note=Note(kind=ACT, what="x"), time_ms=1, by="s1", series="a", number=0)
    taken = run(world.recorder.take(SentRecords((entry,)), peer))
    assert taken.entered == 1
    assert world.told()[0].by == "s7"
    assert run(world.recorder.take(SentRecords((entry,)), peer)).entered == 0
    forged = Entry(note=Note(kind=ELECTION, what="x"), time_ms=1)
    note = Note(kind=ACT, what="x")
    numbered = [Entry(note=note, time_ms=1, series="b", number=n) for n in (-1, 2**64)]
    named = Entry(note=note, time_ms=1, series="b" * 41, number=1)
    counted = Entry(note=note, time_ms=1, count=2**70)
    wrong = [(forged,), (entry,) * 65, (named,), (counted,), *((each,) for each in numbered)]
    for sent, sender in (*((each, peer) for each in wrong), ((entry,), None)):
        with pytest.raises(QuorateError):
            run(world.recorder.take(SentRecords(sent), sender))
