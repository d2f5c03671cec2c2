"""What a simulated world is stopped by: something that must not happen, or that never happens."""

from __future__ import annotations


class ViolationError(AssertionError):
    """Something happened that must not."""


class NoProgressError(ViolationError):
    """Something did not happen in time that must."""


def expect(ok: bool, text: str) -> None:
    """Raise ViolationError unless `ok`."""
    if not ok:
        raise ViolationError(text)
