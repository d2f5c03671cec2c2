"""The gate of the write path: what the cluster's feature level does not allow is not written."""

from __future__ import annotations

from quorate.autopilot.facts import Waiting
from quorate.errors import LevelTooLow
from quorate.levels import describe
from quorate.state.engine.commands import level_of
from quorate.state.engine.store import StateStore

_NAMED_MAX = 5


class LevelGate:
    """`waiting` is what holds the level back, as the leader found in its last round."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._registry = state.registry
        self._allowed: frozenset[int] = frozenset()  # types of commands; the level never falls
        self.waiting: tuple[Waiting, ...] = ()

    def refusal(self, command: bytes) -> LevelTooLow | None:
        """Why a leader must not write this command yet."""
        if command[0] in self._allowed:
            return None
        needed, level = level_of(command, self._registry), self._state.level
        if needed <= level:
            # A wrapper is judged by what it holds, each time.
            if command[0] not in self._registry.wrappers:
                self._allowed |= {command[0]}
            return None
        named = "; ".join(f"{w.name} ({w.server_id}): {w.why}" for w in self.waiting[:_NAMED_MAX])
        return LevelTooLow(
            f"this needs {describe(needed)}, and the cluster is of level {level}: "
            + (named or "it rises once every server is known to have it"),
            "see what holds it back: quorate operator upgrade check",
        )
