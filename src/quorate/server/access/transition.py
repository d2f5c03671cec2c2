"""From no access control to access control: what would be refused is allowed, and counted.

See docs/acl.md#from-none-to-acl.
"""

from __future__ import annotations

from typing import Final

from quorate.acl.caller import ANONYMOUS_ACCESSOR, Caller
from quorate.errors import PermissionDenied, TokenExpired, TokenNotFound
from quorate.metrics import Metrics

CALLERS_MAX: Final = 1000
"""Callers that are counted one by one; the rest is counted together."""

UNKNOWN: Final = "unknown token"
EXPIRED: Final = "expired token"
OTHERS: Final = "others"


class Refusals:
    """The requests of this process that would have been refused, by caller."""

    def __init__(self, metrics: Metrics) -> None:
        self._counter = metrics.counter("quorate.acl.would_refuse")
        self.by_caller: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Of all callers."""
        return sum(self.by_caller.values())

    def add(self, error: PermissionDenied, caller: Caller | None) -> None:
        """One more."""
        self._counter.count += 1
        name = _name(error, caller)
        if name not in self.by_caller and len(self.by_caller) >= CALLERS_MAX:
            name = OTHERS
        self.by_caller[name] = self.by_caller.get(name, 0) + 1

    def warning(self) -> str:
        """What health says of it."""
        if not (count := self.count):
            return ""
        callers = len(self.by_caller)
        return (
            f"{count} request{'s' * (count != 1)} of {callers} caller{'s' * (callers != 1)} would "
            "have been refused since this server started"
        )


def _name(error: PermissionDenied, caller: Caller | None) -> str:
    if isinstance(error, TokenNotFound):
        return UNKNOWN
    if isinstance(error, TokenExpired):
        return EXPIRED
    return ANONYMOUS_ACCESSOR if caller is None else caller.accessor
