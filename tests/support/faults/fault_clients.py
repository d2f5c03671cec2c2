"""Clients that read, write and compare-and-set, and write down what they saw.

Two registers of the servers' own state are used: NodeLimitForFeasibilityChecks of the scheduler
configuration and MaxTrailingLogs of autopilot's. No two attempts ever write the same value, so
the servers' condition "nobody wrote since index N" is, in the history, a compare-and-set of values.

An attempt that was refused before it was begun is left out. Any other that was not confirmed may
take effect at any later time, and is written down as that.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Self

from patience import PATIENCE_S
from server_processes import Servers

from quorate.testing.history import Recorder

SCHEDULER = "/v1/operator/scheduler/configuration"
AUTOPILOT = "/v1/operator/autopilot/configuration"
REGISTERS = (SCHEDULER, AUTOPILOT)
_FIELD = {SCHEDULER: "NodeLimitForFeasibilityChecks", AUTOPILOT: "MaxTrailingLogs"}

_TIMEOUT_S = 3.0
_NOT_BEGUN = {"no-leader", "not-leader", "not-ready"}
_PAUSE_S = 0.02


class Record(NamedTuple):
    """A register as it was read."""

    value: int
    modify_index: int


class Turns:
    """Many may take turns at once, unless somebody has halted them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0
        self._halted = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._halted)
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    @contextmanager
    def halted(self) -> Iterator[None]:
        with self._changed:
            self._halted = True
            assert self._changed.wait_for(lambda: not self._taken, 30), "a turn did not end"
        try:
            yield
        finally:
            with self._changed:
                self._halted = False
                self._changed.notify_all()


class Clients:
    """`count` threads, each with its own seed; they run while the block runs."""

    registers: tuple[str, ...] = REGISTERS

    def __init__(self, servers: Servers, count: int, seed: int) -> None:
        self._servers = servers
        self._stop = threading.Event()
        self._values = iter(range(1, 1 << 60))
        self._lock = threading.Lock()
        self._progress = threading.Condition()
        self.recorder = Recorder(time.monotonic)
        self.acknowledged_at = [time.monotonic()]  # of every confirmed write
        self.broken: list[BaseException] = []
        self._turns = Turns()
        self._threads = [
            threading.Thread(target=self._run, args=(n, random.Random(f"{seed}-{n}")), daemon=True)
            for n in range(count)
        ]

    def __enter__(self) -> Self:
        for register in self.registers:  # a value of ours stands before anyone reads
            written = self._write(random.Random(0), -1, 0, register)
            assert written, "the first write was not confirmed"
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not self.broken, self.broken[0]

    def more(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        """Return when `count` more writes were confirmed."""
        with self._progress:
            goal = len(self.acknowledged_at) + count
            done = self._progress.wait_for(lambda: len(self.acknowledged_at) >= goal, timeout_s)
        assert done, f"{count} more writes were not confirmed within {timeout_s:g} s"

    def halted(self) -> AbstractContextManager[None]:
        """Nothing of theirs is under way while the block runs."""
        return self._turns.halted()

    def longest_gap(self, since: float, until: float) -> float:
        """The longest time between two confirmed writes in that span, in seconds."""
        inside = [t for t in list(self.acknowledged_at) if since <= t <= until]
        times = [since, *inside, until]
        return max(b - a for a, b in itertools.pairwise(times))

    def _run(self, client: int, rng: random.Random) -> None:
        try:
            while not self._stop.is_set():
                with self._turns.turn():
                    self._once(client, rng)
                self._stop.wait(rng.uniform(0, 2 * _PAUSE_S))
        except BaseException as error:  # noqa: BLE001  the test must hear of it
            self.broken.append(error)

    def _once(self, client: int, rng: random.Random) -> None:
        register = rng.choice(self.registers)
        server = rng.randrange(self._servers.count)
        if rng.random() < 0.4:
            self._write(rng, client, server, register)
            return
        found = self._read(client, server, register)
        if found is not None and rng.random() < 0.5:
            self._write(rng, client, rng.randrange(self._servers.count), register, found)

    def _read(self, client: int, server: int, register: str) -> Record | None:
        pending = self.recorder.read(f"c{client}", register)
        status, _, answer = self._ask(server, "GET", register)
        if status != 200:
            pending.refused()
            return None
        if register == SCHEDULER:
            answer = answer["SchedulerConfig"]
        record = Record(answer[_FIELD[register]], answer["ModifyIndex"])
        pending.found(record.value)
        return record

    def _write(
        self,
        rng: random.Random,
        client: int,
        server: int,
        register: str,
        expected: Record | None = None,
    ) -> bool:
        """Write the next value, on the condition that `expected` is there if it is given."""
        with self._lock:
            value = next(self._values)
        body: dict[str, Any] = {_FIELD[register]: value}
        if register == SCHEDULER:
            body["SchedulerAlgorithm"] = rng.choice(("binpack", "spread"))
        name, path = f"c{client}", register
        if expected is None:
            pending = self.recorder.write(name, register, value)
        else:
            path += f"?cas={expected.modify_index}"
            pending = self.recorder.compare_and_set(name, register, expected.value, value)
        status, error, answer = self._ask(server, "PUT", path, body)
        if status == 200:
            wrote = answer["Updated"] if register == SCHEDULER else answer
            pending.done(swapped=wrote)
            with self._progress:
                self.acknowledged_at.append(time.monotonic())
                self._progress.notify_all()
        elif error in _NOT_BEGUN:
            pending.refused()
        else:
            pending.lost()
        return status == 200

    def _ask(self, server: int, method: str, path: str, body: Any = None) -> tuple[int, str, Any]:
        """Status, kind of error, answer; status 0 without an answer. "no-leader" also if the
        request certainly never left."""
        host, port = self._servers.host(server), self._servers.http[server]
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        try:
            try:
                connection.connect()
            except OSError:
                return 0, "no-leader", None
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            data = answer.read()
            kind = answer.headers.get("X-Quorate-Error", "")
            return answer.status, kind, json.loads(data) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return 0, "", None
        finally:
            connection.close()
