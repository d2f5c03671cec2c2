"""The state machine of a server, as a replica drives it.

At a command that it cannot read it stops: from then on nothing is applied, so its state is that
before this command, and the log behind the newest snapshot has all of it for a version to come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from quorate.errors import StateDamaged
from quorate.replica.machine import Read, Write
from quorate.server.integrity.checks import StateChecks
from quorate.state.checks import CheckState
from quorate.state.registry import TODAY, Registry
from quorate.state.snapshot import SnapshotImage, decode_snapshot
from quorate.state.store import Held, StateStore

log = logging.getLogger("quorate.server")


class ServerMachine:
    """`quorate.state.StateStore` with the shape of `quorate.replica.StateMachine`."""

    def __init__(
        self, checks: StateChecks, on_held: Callable[[], None], registry: Registry = TODAY
    ) -> None:
        """`on_held` is called when `held` changes: it stops, or a snapshot brings it further."""
        self.store = StateStore(registry)
        self.held: Held | None = None
        self._checks = checks
        self._on_held = on_held

    def readable(self) -> StateStore:
        """The replicated state, as applied here so far, to answer from.

        Raises StateDamaged while it is known not to be that of the other servers. What is of the
        log (who leads, the Raft configuration) can be answered all the same.
        """
        if self._checks.damage is not None:
            raise self._checks.damage.again()
        return self.store

    def apply(self, index: int, command: bytes) -> Any:
        """One committed command. Past one that cannot be read the result is that `Held`."""
        if self.held is not None:
            return self.held
        try:
            result = self.store.apply(index, command)
        except Held as held:
            self._hold(held)
            return held
        if isinstance(result, CheckState):
            self._checks.applied(index, self.store.image())
        return result

    def snapshot(self) -> Callable[[Write], None]:
        """A shallow copy, to be written out in a thread."""
        return self.store.snapshot()

    def decode_snapshot(self, read: Read) -> SnapshotImage:
        """In a thread."""
        return decode_snapshot(read, self.store.registry)

    def restore(self, image: SnapshotImage) -> None:
        """Swap."""
        self.store.restore(image)
        self._checks.restored()
        if self.held is not None:
            self.held = None
            self._on_held()

    def _hold(self, held: Held) -> None:
        self.held = held
        log.error("%s; %s", held.text, held.next_step)
        self._on_held()

    def trouble(self) -> StateDamaged | None:
        """Why this state is behind for good, and must not be served as the newest."""
        held = self.held
        return None if held is None else StateDamaged(held.text, held.next_step)
