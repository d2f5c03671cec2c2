"""Going round and round over a log at rest, so that damage is found while others can still mend it.

A byte that a disk, a memory or a stray program has changed hurts only when it is read, which for
an entry of the log may be months later, at a restart on which the quorum depends. Each piece is
small, so that its caller decides how much of the machine it takes.

It reads through the page cache, as every later read of the running server will: what has changed
on the platter below a page that is cached is seen once that page has been dropped.
"""

from __future__ import annotations

from typing import Final

from quorate.storage.log.store import LogStore

PIECE_BYTES: Final = 128 * 1024
"""Some 0.3 ms of work."""


class LogScrub:
    """Where one log was looked at last. `rounds` counts how often all of it was."""

    def __init__(self, log: LogStore) -> None:
        self._log = log
        self._next = 0
        self.rounds = 0

    def pieces(self) -> int:
        """How many calls of `piece` a round takes at most."""
        return max(1, self._log.size_bytes() // PIECE_BYTES)

    def piece(self) -> None:
        """Look at the next piece, from the beginning again after the end. In a worker thread.

        Raises LogDamaged, which names the entry and the file.
        """
        self._next = self._log.check(self._next, PIECE_BYTES)
        self.rounds += not self._next
