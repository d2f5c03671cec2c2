"""The parts of backups put together, for one server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.replica.replica import Replica
from quorate.server.archive.restoring import Restores
from quorate.server.archive.saving import Saves
from quorate.server.backups.beginning import Beginning
from quorate.server.backups.keeper import Backups
from quorate.server.backups.taking import Taking
from quorate.server.integrity.judge import StateJudge
from quorate.server.leadership import Leadership
from quorate.server.machine import ServerMachine
from quorate.server.options import BackupOptions
from quorate.server.writes import Writes


def backing_up(
    options: BackupOptions,
    replica: Replica[Any],
    machine: ServerMachine,
    saves: Saves,
    restores: Restores,
    *,
    writes: Writes,
    judge: StateJudge,
    leadership: Leadership,
    unix_ms: Callable[[], int],
) -> Backups:
    """Those that are made by schedule, and the one with which a new cluster begins."""
    beginning = Beginning(
        source=options.restore_from,
        state=machine.store,
        writes=writes,
        restores=restores,
        leads=leadership.has_begun,
    )
    taking = Taking(
        machine=machine,
        saves=saves,
        check=judge.check,
        server_id=replica.server_id,
        cluster_id=lambda: replica.node.cluster_id,
        members=lambda: len(replica.node.configuration.servers),
        unix_ms=unix_ms,
    )
    return Backups(
        options=options,
        state=machine.store,
        taking=taking,
        restores=restores,
        apply=writes.apply,
        server_id=replica.server_id,
        leads=leadership.has_begun,
        sure=leadership.lease_valid,
        now=replica.now,
        begin=beginning,
    )
