"""Access control that is off: every caller may do everything."""

from __future__ import annotations

from quorate.acl.caller import EVERYONE, Caller
from quorate.metrics import Metrics
from quorate.server.access.transition import Refusals


class AccessOff:
    """See the module."""

    enabled = False
    transition = False

    def __init__(self) -> None:
        self.refusals = Refusals(Metrics())

    def caller(self, secret: str, now_s: float) -> Caller:
        """Everyone, whatever the secret."""
        del secret, now_s
        return EVERYONE
