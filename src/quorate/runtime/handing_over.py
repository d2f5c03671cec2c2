"""The transfer of leadership that a driver itself asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.errors import ReplicaStopped


class HandingOver:
    """The handle of a transfer that the driver itself asks for: `refused` if it fails."""

    def __init__(self, refused: Callable[[], None]) -> None:
        self._refused = refused

    def done(self) -> bool:
        """A handle: whether nobody waits for it."""
        return False

    def set_result(self, _: Any, /) -> None:
        """Another server leads."""

    def set_exception(self, error: BaseException, /) -> None:
        """This one leads on."""
        if not isinstance(error, ReplicaStopped):
            self._refused()
