"""Access control of one server as the API asks it: on or off, in transition, and who calls."""

from __future__ import annotations

from typing import Final

from quorate.acl.caller import Caller
from quorate.server.access.level import LevelRule
from quorate.server.access.resolving import Resolver
from quorate.server.access.transition import Refusals
from quorate.server.options import AclOptions
from quorate.state.engine.changes import Change
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl import policies, roles, standing, tokens
from quorate.state.tables.acl.standing import ENFORCED

_TABLES: Final = tuple(each.TABLE.name for each in (tokens, policies, roles, standing))


class TokenAccess:
    """See the module. `refusals` counts what would have been refused."""

    def __init__(
        self,
        options: AclOptions,
        state: StateStore,
        resolver: Resolver,
        refusals: Refusals,
        level: LevelRule,
    ) -> None:
        self._level = level
        self._options = options
        self._state = state
        self.refusals = refusals
        self._resolver = resolver
        self.stamp = object()
        """Another one after each change of what a caller may do."""
        state.follow(self._changed, _TABLES)

    def _changed(self, _: list[Change] | None) -> None:
        self.stamp = object()

    @property
    def enabled(self) -> bool:
        """Whether access control is on at this server."""
        return self._options.enabled

    @property
    def transition(self) -> bool:
        """Whether what would be refused is allowed: so configured, and not ended by the cluster."""
        return self._options.transition and standing.current(self._state).phase != ENFORCED

    def caller(self, secret: str, now_s: float) -> Caller:
        """See `Resolver.caller`. Raises LevelTooLow where there are no tables of tokens yet."""
        self._level.demand()
        return self._resolver.caller(secret, now_s)

    def warning(self) -> str:
        """What an operator has to see to; empty: nothing."""
        if not self.enabled:
            return ""
        if problem := self._level.problem():
            return problem
        if not self.transition:
            return ""
        seen = self.refusals.warning() or "no request would have been refused since then"
        return f"acl.transition lets all requests pass: {seen}; see docs/acl.md for how to end it"

    async def run(self) -> None:
        """See to it that the cluster has the level that access control needs."""
        if self.enabled:
            await self._level.run()
