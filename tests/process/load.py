"""Writers that count, and the proof that no acknowledged write was lost.

The register is NodeLimitForFeasibilityChecks of the scheduler configuration. Each writer reads it,
then writes it plus one on the condition (`cas`) that nobody wrote in between. So every value from 1
to the last was written by exactly one attempt: a value that no acknowledged attempt wrote must
belong to an attempt whose answer never came; a value acknowledged twice, or above the last one,
is a write that was acknowledged and lost.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from cluster import Cluster, Node

PATH = "operator/scheduler/configuration"


class Register(NamedTuple):
    """The register as read."""

    value: int
    modify_index: int


def body(value: int) -> dict[str, Any]:
    return {"SchedulerAlgorithm": "binpack", "NodeLimitForFeasibilityChecks": value}


def read(node: Node, query: str = "", timeout_s: float = 8.0) -> Register | None:
    """The register; None when the server refuses. Raises httpx.HTTPError."""
    answer = node.get(PATH + query, timeout_s)
    if answer.status != 200:
        return None
    found = answer.json()["SchedulerConfig"]
    return Register(found["NodeLimitForFeasibilityChecks"], found["ModifyIndex"])


class Writers:
    """`count` threads that write until `stop`; each begins with another server."""

    def __init__(self, cluster: Cluster, count: int = 4, nodes: Sequence[Node] = ()) -> None:
        self._nodes = list(nodes or cluster.nodes)
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self._stop = threading.Event()
        self.acknowledged: list[Register] = []
        self.unknown: list[int] = []
        self.wrong: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(count)
        ]

    def _run(self, number: int) -> None:
        turn = number
        while not self._stop.is_set():
            try:
                done = self._increment(self._nodes[turn % len(self._nodes)])
            except httpx.HTTPError:
                done = False
            if not done:
                turn += 1
                self._stop.wait(0.01)

    def _increment(self, node: Node) -> bool:
        with self._lock:
            floor = max((ack.value for ack in self.acknowledged), default=0)
        before = read(node)
        if before is None:
            return False
        if before.value < floor:
            self._complain(f"read {before.value} from {node.name} after {floor} was acknowledged")
        value = before.value + 1
        try:
            answer = node.put(f"{PATH}?cas={before.modify_index}", body(value), 12.0)
        except httpx.ConnectError:
            return False  # nobody there: nothing was sent
        except httpx.HTTPError:
            self._unsure(value)
            return False
        if answer.status != 200:
            self._unsure(value)
            return False
        written = answer.json()
        if written["Updated"]:
            with self._progress:
                self.acknowledged.append(Register(value, written["Index"]))
                self._progress.notify_all()
        return True

    def _unsure(self, value: int) -> None:
        with self._lock:
            self.unknown.append(value)

    def _complain(self, text: str) -> None:
        with self._lock:
            self.wrong.append(text)

    def more(self, count: int, deadline_s: float = 30.0) -> None:
        """Return when `count` more writes have been acknowledged from now on."""
        with self._progress:
            goal = len(self.acknowledged) + count
            reached = self._progress.wait_for(
                lambda: len(self.acknowledged) >= goal, deadline_s
            )
        assert reached, f"{count} more writes were not acknowledged within {deadline_s:.0f} s"

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
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def check(self, last: Register) -> None:
        """Raise unless `last`, read after `stop`, is what the acknowledged writes allow."""
        assert not self.wrong, self.wrong[:5]
        values = sorted(ack.value for ack in self.acknowledged)
        assert len(values) == len(set(values)), "a value was acknowledged twice"
        assert values[-1] <= last.value
        by_index = sorted(self.acknowledged, key=lambda ack: ack.modify_index)
        assert [ack.value for ack in by_index] == values, "indexes and values differ in order"
        assert by_index[-1].modify_index <= last.modify_index
        unexplained = set(range(1, last.value + 1)) - set(values) - set(self.unknown)
        assert not unexplained, f"nobody wrote {sorted(unexplained)[:5]}"
