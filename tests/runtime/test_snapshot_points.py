"""Snapshots that are asked for while a long log is being applied, turn by turn.

The driver is the production one; its clock, disk and snapshots are in the test's hands, so that a
snapshot is asked for at every moment there is, however fast or slow the machine is.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from manual_clock import ManualClock

from quorate.raft import Configuration, Entry, EntryKind, HardState, Node, Server, Settings
from quorate.raft.effects import Persist
from quorate.runtime.listeners import Listeners
from quorate.runtime.ports import SnapshotPoint, Write
from quorate.runtime.raft import RaftDriver
from quorate.testing.sim.machines.disk import SimDisk
from quorate.wire.raft import membership as codec

SLICE = 4
COUNT = 41  # commands in the log: ten slices, and one more


class Handle:
    """What a caller of the driver waits for."""

    def __init__(self) -> None:
        self.result: Any = None

    def done(self) -> bool:
        return self.result is not None

    def set_result(self, result: Any, /) -> None:
        self.result = result

    def set_exception(self, error: BaseException, /) -> None:
        raise error


class Counter:
    """Counts its commands; `in_midst` is called behind each one."""

    def __init__(self) -> None:
        self.value = 0
        self.in_midst: Callable[[], None] = lambda: None

    def apply(self, index: int, command: bytes) -> int:
        del index, command
        self.value += 1
        self.in_midst()
        return self.value

    def snapshot(self) -> Callable[[Write], object]:
        image = b"%d" % self.value
        return lambda write: write(image)

    def decode_snapshot(self, read: Callable[[int], bytes]) -> Any:
        return int(read(32))

    def restore(self, image: Any) -> None:
        self.value = image


class Bench:
    """A single voter whose log holds `COUNT` commands that it has not applied."""

    room = "enough room"

    def __init__(self) -> None:
        alone = Configuration((Server("a", "a:1"),))
        first = Entry(1, 1, EntryKind.CONFIGURATION, codec.encode_configuration(alone))
        log = [first, *(Entry(i + 2, 1, EntryKind.COMMAND, b"+1") for i in range(COUNT))]
        self.disk = SimDisk(log=log, hard_state=HardState(1))
        self.clock, self.machine = ManualClock(), Counter()
        self.node = Node(
            server_id="a",
            address="a:1",
            settings=Settings(apply_entries_max=SLICE),
            reader=self.disk.store,
            hard_state=self.disk.hard_state,
            codec=codec,
            rng=Random(1),
            now=0.0,
        )
        self.taken: dict[int, int] = {}  # commands in the image by the index it is labelled with
        self.driver = RaftDriver(
            self.node,
            self.machine,
            self.clock,
            disk=self,
            network=self,
            snapshots=self,
            listeners=Listeners(failure=[self._failed]),
        )

    def _failed(self, error: BaseException) -> None:
        raise error

    # -- the ports that are used ------------------------------------------------------------------

    def submit(self, persist: Persist) -> None:
        self.disk.write(persist)
        self.clock.call_soon(self.driver.durable, persist.sequence)

    def take(
        self,
        point: SnapshotPoint,
        write_out: Callable[[Write], object],
        done: Callable[[BaseException | None], None],
    ) -> None:
        image: list[bytes] = []
        write_out(image.append)
        self.taken[point[0]] = int(b"".join(image))
        done(None)

    def greet(self, *what: Any) -> None:
        raise AssertionError(f"there are no others to greet: {what}")

    def members(self, server_ids: object) -> None:
        """There are no others."""

    def send(self, *what: Any) -> None:
        raise AssertionError(f"there are no others to send to: {what}")

    def reply(self, *what: Any) -> None:
        raise AssertionError(f"nothing has asked: {what}")

    def receive(self, *what: Any) -> None:
        raise AssertionError(f"nothing is sent here: {what}")

    def restore(self, *what: Any) -> None:
        raise AssertionError(f"nothing is restored here: {what}")

    def close(self) -> None:
        """Nothing is open."""

    # -- what a test does -------------------------------------------------------------------------

    def snapshot(self) -> int:
        handle = Handle()
        self.driver.take_snapshot(handle)
        assert handle.done()
        return int(handle.result)

    def lead(self) -> None:
        """It is elected, up to the moment before the first command is applied."""
        self.driver.start()
        while self.node.commit_index == 0:
            assert self.machine.value == 0
            self.turn()

    def turn(self) -> None:
        """The next call that is planned."""
        (at, *_) = self.clock.waiting()
        due = min((c for c in self.clock.planned if not c.cancelled), key=lambda call: call.at)
        self.clock.time = max(self.clock.time, at)
        self.clock.planned.remove(due)
        due.run()

    def is_applying(self) -> bool:
        return self.node.applied_index < self.node.log.last_index


def holds(taken: dict[int, int]) -> None:
    """An image at index i holds the commands up to i: entry 1 is the configuration."""
    wrong = {index: value for index, value in taken.items() if value != min(index - 1, COUNT)}
    assert not wrong, f"index: commands {wrong}"


def test_a_snapshot_between_two_slices_has_the_index_of_its_state() -> None:
    bench = Bench()
    bench.lead()
    while bench.is_applying():
        bench.snapshot()
        bench.turn()
    assert bench.machine.value == COUNT
    holds(bench.taken)
    assert len(bench.taken) >= COUNT // SLICE, "one for each slice"


def test_in_the_midst_of_a_slice_there_is_no_snapshot() -> None:
    bench = Bench()
    answers: list[int] = []
    bench.machine.in_midst = lambda: answers.append(bench.snapshot())
    bench.lead()
    while bench.is_applying():
        bench.turn()
    holds(bench.taken)
    assert bench.machine.value == len(answers) == COUNT
    assert not any(answers), "what the state holds has no index yet"
    bench.machine.in_midst = lambda: None
    assert bench.snapshot() == bench.node.applied_index
    holds(bench.taken)
