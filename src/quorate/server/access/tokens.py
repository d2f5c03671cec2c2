"""Access control of one server as the API asks it: on or off, in transition, and who calls."""

from __future__ import annotations

from quorate.acl.caller import Caller
from quorate.server.access.resolving import Resolver
from quorate.server.access.transition import Refusals
from quorate.server.options import AclOptions
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl import standing
from quorate.state.tables.acl.standing import ENFORCED


class TokenAccess:
    """See the module. `refusals` counts what would have been refused."""

    def __init__(
        self, options: AclOptions, state: StateStore, resolver: Resolver, refusals: Refusals
    ) -> None:
        self._options = options
        self._state = state
        self.refusals = refusals
        self._resolver = resolver

    @property
    def enabled(self) -> bool:
        """Whether access control is on at this server."""
        return self._options.enabled

    @property
    def transition(self) -> bool:
        """Whether what would be refused is allowed: so configured, and not ended by the cluster."""
        return self._options.transition and standing.current(self._state).phase != ENFORCED

    def caller(self, secret: str, now_s: float) -> Caller:
        """See `Resolver.caller`."""
        return self._resolver.caller(secret, now_s)
