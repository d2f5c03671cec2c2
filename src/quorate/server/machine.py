"""The state machine of a server, as a replica drives it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from quorate.replica import Read, Write
from quorate.server.integrity.checks import StateChecks
from quorate.server.integrity.slices import in_slices
from quorate.state.engine.registry import Registry
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.checks import CheckState


def _nothing() -> None:
    pass


class ServerMachine:
    """`quorate.state.StateStore` with the shape of `quorate.StateMachine`.

    `spawn` runs a coroutine, `registry` is what this version knows of commands.
    """

    def __init__(
        self,
        checks: StateChecks,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        registry: Registry = TODAY,
    ) -> None:
        self.store = StateStore(registry)
        self._checks = checks
        self._spawn = spawn
        self.check_caught_up: Callable[[], None] = _nothing
        self.on_check: Callable[[int, SnapshotImage], None] | None = None
        """Told of the state at each check, with its index in the log."""

    def readable(self) -> StateStore:
        """The replicated state, as applied here so far, to answer from.

        Raises StateDamaged while it is known not to be that of the other servers. What is of the
        log (who leads, the Raft configuration) can be answered all the same. NotCaughtUp after a
        start, as long as indexes would be lower than they were.
        """
        if self._checks.damage is not None:
            raise self._checks.damage.again()
        self.check_caught_up()
        return self.store

    def apply(self, index: int, command: bytes) -> Any:
        """One committed command. Raises MachineHeld for one that this version cannot read."""
        result = self.store.apply(index, command)
        if self.store.left_over:
            for rows in self.store.take_left_over():
                self._spawn(in_slices(rows.drain()))
        if isinstance(result, CheckState):
            self._checks.applied(index, self.store.image())
            if self.on_check is not None:
                self.on_check(index, self.store.image())
        return result

    def snapshot(self) -> Callable[[Write], object]:
        """An image, to be written out in a thread."""
        return self.store.snapshot()

    def decode_snapshot(self, read: Read) -> SnapshotImage:
        """In a thread."""
        return decode_snapshot(read, self.store.registry)

    def restore(self, image: SnapshotImage) -> None:
        """Swap. What was there is freed in slices."""
        before = self.store.restore(image)
        self._checks.restored()
        self._spawn(in_slices(before.drain()))
