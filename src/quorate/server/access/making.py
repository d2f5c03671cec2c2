"""The parts of access control put together, for one server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from quorate.acl.checks.tokens import ExpiryBounds
from quorate.errors import StateFull
from quorate.metrics import Metrics
from quorate.replica.replica import Replica
from quorate.server.access.administration import AclAdmin
from quorate.server.access.expiry import TokenExpiry
from quorate.server.access.level import LevelRule
from quorate.server.access.reach import Reach
from quorate.server.access.resolving import Resolver
from quorate.server.access.tokens import TokenAccess
from quorate.server.access.transition import Refusals
from quorate.server.cluster.directory import Directory
from quorate.server.leader.acts import Acts
from quorate.server.machine import ServerMachine
from quorate.server.options import ServerOptions
from quorate.server.rpc.calls import Callers
from quorate.server.secrets.sealer import Sealer
from quorate.shapes.operator import UpgradeCheck
from quorate.state.tables.limits import Full

_NS_PER_S: Final = 1_000_000_000


def accessing(
    options: ServerOptions,
    replica: Replica[Any],
    machine: ServerMachine,
    directory: Directory,
    folder: Path,
    *,
    callers: Callers,
    apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    acts: Acts,
    leads: Callable[[], bool],
    sealer: Sealer,
    refusal: Callable[[Full], StateFull],
    metrics: Metrics,
    check: Callable[[], Awaitable[UpgradeCheck]],
    fatal: Callable[[BaseException], None],
) -> tuple[TokenAccess, AclAdmin, TokenExpiry]:
    """What knows callers by their secrets, what changes tokens, and what ends them."""
    given = options.acl
    admin = AclAdmin(
        state=machine.store,
        sealer=sealer,
        apply=apply,
        acts=acts,
        unix_ns=time.time_ns,
        folder=folder,
        bounds=ExpiryBounds(int(given.ttl_min_s * _NS_PER_S), int(given.ttl_max_s * _NS_PER_S)),
        behind=Reach(replica, directory, callers).behind,
        refusal=refusal,
    )
    resolver = Resolver(machine.store, machine.readable)
    level = LevelRule(machine.store, check, fatal)
    access = TokenAccess(given, machine.store, resolver, Refusals(metrics), level)
    return access, admin, TokenExpiry(machine.store, leads, apply, time.time_ns)
