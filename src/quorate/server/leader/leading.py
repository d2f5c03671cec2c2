"""The parts of a leader's work put together: its facts, its hands, calls to it, its rounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.membership import Membership
from quorate.server.integrity.checks import StateChecks
from quorate.server.leader.facts import FactSource
from quorate.server.leader.hands import Hands
from quorate.server.leader.level import LevelGate
from quorate.server.leader.loop import LeaderDuties
from quorate.server.options import ServerOptions
from quorate.server.rpc.calls import Callers
from quorate.state.store import StateStore


def leading(
    *,
    replica: Replica,
    state: StateStore,
    directory: Directory,
    callers: Callers,
    options: ServerOptions,
    checks: StateChecks,
    gate: LevelGate,
    apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    now: Callable[[], float],
) -> tuple[Membership, LeaderDuties]:
    """What answers calls about members, and what runs by itself; both decide by the same facts."""
    facts = FactSource(replica=replica, state=state, directory=directory, checks=checks, now=now)
    hands = Hands(
        replica=replica,
        state=state,
        directory=directory,
        callers=callers,
        options=options,
        apply=apply,
        now=now,
    )
    membership = Membership(
        replica=replica,
        state=state,
        directory=directory,
        apply=apply,
        hands=hands,
        look=facts.look,
    )
    return membership, LeaderDuties(facts.look, hands, gate)
