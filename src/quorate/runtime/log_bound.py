"""A snapshot whenever the log comes near its bound (`quorate.raft.roles.log_bound`).

Looked at when the core has taken an event: what is written makes a snapshot due, what is applied
makes it worth its while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from quorate.raft.events import SnapshotStored
from quorate.raft.node import Node
from quorate.raft.roles.log_bound import half_of_bound, snapshot_due
from quorate.raft.settings import Settings
from quorate.runtime.driver import Driver
from quorate.runtime.ports import Handle

AGAIN_S: Final = 1.0
"""Seconds until a snapshot that could not be taken is tried again: the disk may be full."""


class LogBound:
    """See the module. It is the handle of the snapshots that it asks for."""

    def __init__(
        self,
        node: Node,
        driver: Driver,
        take: Callable[[Handle], None],
        failed: Callable[[str, str], object],
    ) -> None:
        """`take` asks for a snapshot; `failed` tells observers of one that could not be taken."""
        self._node = node
        self._driver = driver
        self._take = take
        self._failed = failed
        self._waits = False
        self._settings: Settings | None = None
        self._half: float = 0  # bytes of the log from where on one may be due, by `_settings`

    def look(self) -> None:
        """Take a snapshot if one is due."""
        node = self._node
        if node.settings is not self._settings:
            self._settings = node.settings
            self._half = half_of_bound(node.settings)
        if node.log.size_bytes() < self._half:
            return  # after nearly every event: no more than this is asked
        if self._waits or self._driver.ended or not snapshot_due(node):
            return
        if node.applied_index == node.log.snapshot_index:
            # It is there already, and was taken when more of the log was to stay.
            self._driver.step(SnapshotStored(node.log.snapshot_index, node.log.snapshot_term))
            return
        self._waits = True
        self._take(self)

    def done(self) -> bool:
        """A handle: whether nobody waits for it."""
        return False

    def set_result(self, index: Any, /) -> None:
        """It was taken, or could not be taken just now (0)."""
        if index:
            self._waits = False
            self.look()
        else:
            self._later()

    def set_exception(self, error: BaseException, /) -> None:
        """It could not be stored."""
        if not self._driver.ended:
            self._failed("snapshot", str(error))
            self._later()

    def _later(self) -> None:
        self._driver.clock.call_later(AGAIN_S, self._again)

    def _again(self) -> None:
        self._waits = False
        self.look()
