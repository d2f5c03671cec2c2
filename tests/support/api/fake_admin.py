"""The acts on tokens, policies and roles, on the state of a fake server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from quorate.acl.checks.tokens import ExpiryBounds
from quorate.server.access.administration import AclAdmin
from quorate.server.bounds.usage import Usage
from quorate.server.leader.acts import Acts
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.store import StateStore

NOW_NS = 1_795_444_800 * 10**9


class Fake(Protocol):
    """The parts of a fake server that they need."""

    store: StateStore
    sealer: Sealer
    usage: Usage

    def apply(self, command: bytes) -> Awaitable[tuple[int, Any]]: ...

    async def lagging(self, index: int, /) -> tuple[str, ...]: ...


def admin_of(
    fake: Fake, folder: Path = Path("/nonexistent"), unix_ns: Callable[[], int] = lambda: NOW_NS
) -> AclAdmin:
    """Tokens that expire live for 2 s to a day, as in the captures."""
    return AclAdmin(
        state=fake.store,
        sealer=fake.sealer,
        apply=fake.apply,
        acts=Acts(fake.store, lambda: unix_ns() // 1_000_000),
        unix_ns=unix_ns,
        folder=folder,
        bounds=ExpiryBounds(2 * 10**9, 24 * 3600 * 10**9),
        behind=fake.lagging,
        refusal=fake.usage.refusal,
    )
