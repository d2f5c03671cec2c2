"""The state machine of a server, as a replica drives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.replica.machine import Read, Write
from quorate.server.integrity.checks import StateChecks
from quorate.state.checks import CheckState
from quorate.state.snapshot import SnapshotImage, decode_snapshot
from quorate.state.store import StateStore


class ServerMachine:
    """`quorate.state.StateStore` with the shape of `quorate.replica.StateMachine`."""

    def __init__(self, checks: StateChecks) -> None:
        self.store = StateStore()
        self._checks = checks

    def apply(self, index: int, command: bytes) -> Any:
        """One committed command."""
        result = self.store.apply(index, command)
        if isinstance(result, CheckState):
            self._checks.applied(index, self.store.image())
        return result

    def snapshot(self) -> Callable[[Write], None]:
        """A shallow copy, to be written out in a thread."""
        return self.store.snapshot()

    def decode_snapshot(self, read: Read) -> SnapshotImage:
        """In a thread."""
        return decode_snapshot(read)

    def restore(self, image: SnapshotImage) -> None:
        """Swap."""
        self.store.restore(image)
        self._checks.restored()
