"""What a replicated service must offer: apply a command, copy itself, take over a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Write = Callable[[bytes], None]
Read = Callable[[int], bytes]


class StateMachine(Protocol):
    """A deterministic machine: the same commands in the same order give the same state.

    `apply`, `snapshot` and `restore` run on the event loop and must be short; the function that
    `snapshot` returns and `decode_snapshot` run in a worker thread and may take their time.
    """

    def apply(self, index: int, command: bytes) -> Any:
        """Carry out one committed command; what is returned goes to the caller that proposed it.

        Must not raise for a bad command: return something that says so. A QuorateError that is
        returned is raised for that caller.
        """

    def snapshot(self) -> Callable[[Write], None]:
        """Take a shallow copy now; the returned function writes it out, later, in a thread."""

    def decode_snapshot(self, read: Read) -> Any:
        """Read what was written out, in a thread. Raises LogDamaged if it is not whole."""

    def restore(self, image: Any) -> None:
        """Replace the state by what `decode_snapshot` returned."""
