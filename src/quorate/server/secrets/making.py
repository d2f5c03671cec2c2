"""The parts of the root keys put together, for one server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from quorate.replica.replica import Replica
from quorate.server.leader.acts import Acts
from quorate.server.rpc.calls import Callers
from quorate.server.secrets.disks import Disks
from quorate.server.secrets.keeper import RootKeeper
from quorate.server.secrets.resealer import Resealer
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.store import StateStore


def keeping(
    replica: Replica[Any],
    state: StateStore,
    folder: Path,
    *,
    callers: Callers,
    apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    acts: Acts,
    leads: Callable[[], bool],
    sealer: Sealer,
) -> tuple[Disks, RootKeeper]:
    """What drops older text from the disks, and what makes, rotates and removes root keys."""
    disks = Disks(replica, state, callers, folder)
    keeper = RootKeeper(
        state=state,
        apply=apply,
        acts=acts,
        leads=leads,
        unix_ns=time.time_ns,
        resealer=Resealer(
            *(state, sealer, apply),
            lambda: replica.node.log.last_index,
            lambda: replica.node.applied_index,
        ),
        holders=disks.holders,
    )
    return disks, keeper
