"""The parts of a leader's work put together: its facts, its hands, calls to it, its rounds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.autopilot.facts import Facts
from quorate.net.trust import Trust
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.membership import Membership
from quorate.server.integrity.checks import StateChecks
from quorate.server.leader.acts import Acts
from quorate.server.leader.facts import gather
from quorate.server.leader.hands import Hands
from quorate.server.leader.health import HealthWatch
from quorate.server.leader.level import LevelGate
from quorate.server.leader.loop import LeaderDuties
from quorate.server.options import ServerOptions
from quorate.server.rpc.calls import Callers
from quorate.server.secrets.wrapping_members import WrappingMembers
from quorate.state.engine.store import StateStore


def leading(
    *,
    replica: Replica[object],
    state: StateStore,
    directory: Directory,
    callers: Callers,
    options: ServerOptions,
    checks: StateChecks,
    gate: LevelGate,
    apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    now: Callable[[], float],
    trust: Trust,
    acts: Acts,
    wrapping: WrappingMembers,
) -> tuple[Membership, LeaderDuties]:
    """The two parts of leading: calls about members, and rounds; both decide by the same facts."""

    def look() -> Facts | None:
        unfit = frozenset(odd.id for odd in checks.verdict.wrong)
        return gather(
            *(replica.node, state, directory, now),
            trouble=_trouble(replica) or wrapping.trouble(),
            unfit=unfit | wrapping.lacking(),
            why_no_vote=wrapping.why_no_vote,
            removing=hands.removing(),
            myself=trust.myself(),
            key_of=trust.key_of,
        )

    hands = Hands(
        replica=replica,
        state=state,
        directory=directory,
        callers=callers,
        options=options,
        apply=apply,
        now=now,
        acts=acts,
    )
    membership = Membership(
        replica=replica,
        state=state,
        directory=directory,
        apply=apply,
        hands=hands,
        look=look,
    )

    def unix_time(at: float) -> float:
        return time.time() - (now() - at)

    health = HealthWatch(look, replica.node, unix_time)
    return membership, LeaderDuties(look, hands, gate, health)


def _trouble(replica: Replica[object]) -> str:
    """Why this leader can take no write, or empty."""
    if replica.damage is not None:
        return "the state of this leader is damaged"
    if replica.held is not None:
        return "this leader cannot read a command of the log"
    return "no space left on this leader's disk" if replica.storage_full else ""
