"""The parts of the bound of the state put together, for one server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quorate.replica.replica import Replica
from quorate.server.backups.standing import digest_of
from quorate.server.bounds.host_memory import memory_bytes
from quorate.server.bounds.memory import MemoryKeeper
from quorate.server.bounds.usage import Usage
from quorate.server.leader.health import HealthWatch
from quorate.server.options import ServerOptions
from quorate.server.room.watch import RoomWatch
from quorate.server.rpc.calls import Callers
from quorate.state.engine.store import StateStore


def bounding(
    replica: Replica[Any],
    state: StateStore,
    options: ServerOptions,
    health: HealthWatch,
    *,
    callers: Callers,
    apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    leads: Callable[[], bool],
) -> tuple[Usage, MemoryKeeper, RoomWatch]:
    """What knows how much is taken, what keeps how much each member has, and what is left.

    `health` tells of members that have little room left.
    """
    usage = Usage(state)
    room = RoomWatch(replica, usage.bytes)
    memory = MemoryKeeper(
        replica=replica,
        state=state,
        callers=callers,
        apply=apply,
        leads=leads,
        own=options.memory_bytes or memory_bytes(),
        first_bytes_max=options.state_bytes_max,
        backup=digest_of(options.backup),
        warning=room.warning,
    )
    health.warnings = memory.warnings
    return usage, memory, room
