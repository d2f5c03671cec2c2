"""The state machine of a server, as a replica drives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.replica.machine import Read, Write
from quorate.state.snapshot import SnapshotImage, decode_snapshot
from quorate.state.store import StateStore


class ServerMachine:
    """`quorate.state.StateStore` with the shape of `quorate.replica.StateMachine`."""

    def __init__(self) -> None:
        self.store = StateStore()

    def apply(self, index: int, command: bytes) -> Any:
        """One committed command."""
        return self.store.apply(index, command)

    def snapshot(self) -> Callable[[Write], None]:
        """A shallow copy, to be written out in a thread."""
        return self.store.snapshot()

    def decode_snapshot(self, read: Read) -> SnapshotImage:
        """In a thread."""
        return decode_snapshot(read)

    def restore(self, image: SnapshotImage) -> None:
        """Swap."""
        self.store.restore(image)
