"""Access control needs its tables, so a feature level: below it a server asks nobody for tokens.

It answers nothing by network then that needs a right. If a member of the cluster is known to hold
the level back, the server ends, and names it: it was switched on too early (docs/acl.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from quorate.errors import LevelTooLow, QuorateError
from quorate.levels import describe
from quorate.shapes.operator import UpgradeCheck
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl.standing import ACL_LEVEL

LOOK_S: Final = 1.0

_NAMED_MAX: Final = 5


class LevelRule:
    """See the module. `check` asks all members for their levels; `fatal` ends the server."""

    def __init__(
        self,
        state: StateStore,
        check: Callable[[], Awaitable[UpgradeCheck]],
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._check = check
        self._fatal = fatal
        self._holders: tuple[str, ...] = ()

    def demand(self) -> None:
        """Raise LevelTooLow below the level."""
        if self._state.level < ACL_LEVEL:
            raise LevelTooLow(self.problem(), "try again, or see quorate operator upgrade check")

    def problem(self) -> str:
        """Why callers cannot be asked for tokens yet; empty: they can."""
        level = self._state.level
        if level >= ACL_LEVEL:
            return ""
        by = f"; it is held back by {_listed(self._holders)}" if self._holders else ""
        needed = describe(ACL_LEVEL)
        return f"acl.enabled needs feature {needed}, and the cluster has level {level}{by}"

    async def run(self) -> None:
        """Wait for the level; end the server if an older one holds it back."""
        while self._state.level < ACL_LEVEL:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Ask the members once."""
        found = await self._check()
        if self._state.level >= ACL_LEVEL:
            return
        older = [
            f"{each.node} (level {each.level}, Quorate {each.version})"
            for each in found.servers
            if each.level is not None and each.level < ACL_LEVEL
        ]
        silent = [f"{each.node} (no answer)" for each in found.servers if each.level is None]
        self._holders = (*older, *silent)
        if older:
            self._fatal(
                QuorateError(
                    f"Error starting agent: {self.problem()}",
                    "upgrade these servers first; then set acl { enabled = true }",
                )
            )


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(names[:_NAMED_MAX]) + more
