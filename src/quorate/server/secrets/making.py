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
from quorate.server.secrets.wrapping import Wrapping
from quorate.server.secrets.wrapping_members import WrappingMembers
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
    wrapping: Wrapping,
) -> tuple[Disks, RootKeeper, WrappingMembers]:
    """What drops older text from disks, what keeps the root keys, and who can unwrap them."""
    members = WrappingMembers(
        replica=replica,
        state=state,
        callers=callers,
        wrapping=wrapping,
        leads=leads,
        apply=apply,
        acts=acts,
    )
    disks = Disks(replica, state, callers, folder)
    keeper = RootKeeper(
        state=state,
        apply=apply,
        acts=acts,
        leads=leads,
        unix_ns=time.time_ns,
        resealer=Resealer(state, sealer, apply),
        holders=disks.holders,
        wrapping=wrapping,
        without=members.without,
        lacked_by=members.lacked_by,
    )
    return disks, keeper, members
