"""Violations that stop a simulated world: a forbidden event, or one that never comes."""

from __future__ import annotations


class ViolationError(AssertionError):
    """Something happened that must not."""


class NoProgressError(ViolationError):
    """Something did not happen in time that must."""


def expect(ok: bool, text: str) -> None:
    """Raise ViolationError unless `ok`."""
    if not ok:
        raise ViolationError(text)
