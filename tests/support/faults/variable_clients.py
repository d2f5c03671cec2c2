"""Clients of variables on real servers: they write down what they saw, also across restores.

A value in a history is what was written, with the index that it got: after a restore the same text
may be there again, with another index.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import msgspec
from fault_clients import Clients, Record

from quorate.testing.history import Kind, Operation

PATHS = ("/v1/var/a", "/v1/var/b")
_NOT_BEGUN = {"no-leader", "not-leader", "not-ready"}


class Value(NamedTuple):
    written: int
    at: int


class VariableClients(Clients):
    """See the module; `restored` tells of a restore."""

    registers = PATHS

    def read(self, server: int, path: str) -> Value | None:
        """What is there now, apart from the history."""
        status, _, answer = self._ask(server, "GET", path)
        assert status in {200, 404}, status
        return None if status == 404 else _value(answer)

    def restored(self, began: float, values: dict[str, Value]) -> None:
        """A restore that began then, and is over now, has put these there."""
        for path, value in values.items():
            operation = Operation(
                key=path,
                kind=Kind.WRITE,
                value=value,
                called_at=began,
                returned_at=self.recorder.clock(),
                client="restore",
            )
            self.recorder.ended.append(operation)

    def history(self) -> list[Operation]:
        """All that was done; a write without an answer has the index at which it was seen first."""
        history = self.recorder.history()
        seen: dict[int, int] = {}
        for each in history:
            if each.kind is Kind.READ and isinstance(each.value, Value):
                written, at = each.value
                seen[written] = min(seen.get(written, at), at)
        return [
            msgspec.structs.replace(each, value=Value(each.value[0], seen.get(each.value[0], 0)))
            if each.returned_at is None and isinstance(each.value, Value)
            else each
            for each in history
        ]

    def _read(self, client: int, server: int, register: str) -> Record | None:
        pending = self.recorder.read(f"c{client}", register)
        status, _, answer = self._ask(server, "GET", register)
        if status not in {200, 404}:
            pending.refused()
            return None
        value = None if status == 404 else _value(answer)
        pending.found(value)
        return Record(0, 0) if value is None else Record(*value)

    def _write(
        self,
        rng: random.Random,
        client: int,
        server: int,
        register: str,
        expected: Record | None = None,
    ) -> bool:
        del rng
        with self._lock:
            number = next(self._values)
        name, path = f"c{client}", register
        if expected is None:
            pending = self.recorder.write(name, register, Value(number, 0))
        else:
            path += f"?cas={expected.modify_index}"
            before = Value(*expected) if expected.modify_index else None
            pending = self.recorder.compare_and_set(name, register, before, Value(number, 0))
        status, error, answer = self._ask(server, "PUT", path, {"Items": {"v": str(number)}})
        if status == 200:
            pending.value = _value(answer)
            pending.done()
            with self._progress:
                self.acknowledged_at.append(self.recorder.clock())
                self._progress.notify_all()
        elif status == 409 and expected is not None:
            pending.done(swapped=False)
        elif error in _NOT_BEGUN:
            pending.refused()
        else:
            pending.lost()
        return status == 200


def _value(answer: Any) -> Value:
    return Value(int(answer["Items"]["v"]), answer["ModifyIndex"])
