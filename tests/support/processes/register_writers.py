"""Writers that count, and the proof that no acknowledged write was lost.

The register is NodeLimitForFeasibilityChecks of the scheduler configuration. Each writer reads it,
then writes it plus one on the condition (`cas`) that nobody wrote in between. So every value from 1
to the last was written by exactly one attempt: a value that no acknowledged attempt wrote must
belong to an attempt whose answer never came; a value acknowledged twice, or above the last one,
is a write that was acknowledged and lost.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, NamedTuple, Self

from patience import PATIENCE_S
from server_processes import Servers, until

PATH = "/v1/operator/scheduler/configuration"


class Register(NamedTuple):
    """The register as read, or as written and acknowledged."""

    value: int
    modify_index: int


def body(value: int) -> dict[str, Any]:
    """The whole configuration with the register at `value`."""
    return {"SchedulerAlgorithm": "binpack", "NodeLimitForFeasibilityChecks": value}


def read(servers: Servers, number: int, query: str = "") -> Register:
    """The register; ValueError when the server refuses, OSError when it does not answer."""
    answer = servers.ask(number, PATH + query, timeout_s=8)
    if answer.status != 200:
        raise ValueError(answer.text)
    found = answer.json["SchedulerConfig"]
    return Register(found["NodeLimitForFeasibilityChecks"], found["ModifyIndex"])


def check(acknowledged: list[Register], unknown: set[int], last: Register) -> None:
    """Raise unless `last`, read after all writing, is what the acknowledged writes allow.

    `unknown` are the values of attempts that may or may not have been carried out.
    """
    values = sorted(ack.value for ack in acknowledged)
    assert len(values) == len(set(values)), "a value was acknowledged twice"
    assert values[-1] <= last.value, "the last acknowledged value is gone"
    by_index = sorted(acknowledged, key=lambda ack: ack.modify_index)
    assert [ack.value for ack in by_index] == values, "indexes and values differ in order"
    assert by_index[-1].modify_index <= last.modify_index, "the index went back"
    unexplained = set(range(1, last.value + 1)) - set(values) - unknown
    assert not unexplained, f"nobody wrote {sorted(unexplained)[:5]}"


class Writers:
    """`count` threads that write until `stop`; each begins with another server."""

    def __init__(self, servers: Servers, count: int = 4) -> None:
        self._servers = servers
        self._progress = threading.Condition()
        self._stop = threading.Event()
        self._highest = 0
        self.acknowledged: list[Register] = []
        self.unknown: set[int] = set()
        self.wrong: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(count)
        ]

    def _run(self, turn: int) -> None:
        while not self._stop.is_set():
            try:
                answered = self._increment(turn % self._servers.count)
            except (OSError, ValueError):  # nobody there, or gone in the middle of its answer
                answered = False
            if not answered:
                turn += 1
                self._stop.wait(0.01)

    def _increment(self, number: int) -> bool:
        floor = self._highest
        before = read(self._servers, number)
        if before.value < floor:
            self.wrong.append(f"server {number} read {before.value}, {floor} was acknowledged")
        value = before.value + 1
        path = f"{PATH}?cas={before.modify_index}"
        # Until an answer says otherwise the write may stand.
        answer = None
        try:
            answer = self._servers.ask(number, path, "PUT", body(value), timeout_s=12)
        finally:
            if answer is None or answer.status != 200:
                with self._progress:
                    self.unknown.add(value)
        if answer.status != 200:
            return False
        written = answer.json
        if written["Updated"]:
            with self._progress:
                self.acknowledged.append(Register(value, written["Index"]))
                self._highest = max(self._highest, value)
                self._progress.notify_all()
        return True

    def more(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        """Return when `count` more writes have been acknowledged from now on."""
        with self._progress:
            goal = len(self.acknowledged) + count
            reached = self._progress.wait_for(lambda: len(self.acknowledged) >= goal, timeout_s)
        assert reached, f"{count} more writes were not acknowledged within {timeout_s:g} s"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each writer finish its attempt."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def check(self) -> Register:
        """The register now, after `stop` and on a cluster that works; raises if it is wrong."""
        assert not self.wrong, self.wrong[:5]
        last = until(lambda: read(self._servers, self._servers.leader()), "a consistent read")
        check(self.acknowledged, self.unknown, last)
        return last
