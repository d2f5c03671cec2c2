"""The recorder of acts put together, for one server."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from quorate.errors import QuorateError
from quorate.metrics import Metrics
from quorate.replica.replica import Replica
from quorate.server.audit.following import Following
from quorate.server.audit.recorder import Recorder
from quorate.server.audit.sink import Sink, SinkOptions
from quorate.server.machine import ServerMachine
from quorate.server.rpc.calls import Callers
from quorate.state.engine.store import StateStore
from quorate.storage.folder.audit_file import AuditFile, file_of

log = logging.getLogger("quorate.server")


def recording(
    replica: Replica[Any],
    state: StateStore,
    data_dir: Path,
    metrics: Metrics,
    *,
    callers: Callers,
    leads: Callable[[], bool],
    apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
    unix_ms: Callable[[], int],
) -> Recorder:
    """What notes acts and has them entered. Without its file it works, and says so."""

    def leader() -> tuple[str, str]:
        server_id = replica.node.leader_id
        member = replica.node.configuration.get(server_id) if server_id else None
        if member is None:
            return "", ""
        return server_id, replica.locate(member)

    return Recorder(
        state=state,
        file=opened(data_dir),
        server_id=lambda: replica.server_id,
        unix_ms=unix_ms,
        leads=leads,
        leader=leader,
        apply=apply,
        callers=callers,
        metrics=metrics,
    )


class Writing:
    """The sink of a server, if it has one, and what follows the journal into it."""

    def __init__(
        self, options: SinkOptions | None, machine: ServerMachine, metrics: Metrics
    ) -> None:
        self.sink: Sink | None = None
        self._following: Following | None = None
        if options is not None:
            self.sink = Sink(options, metrics, lambda: str(uuid.uuid4()), time.time)
            self._following = Following(machine, self.sink)

    async def run(self) -> None:
        """Write what is entered in the journal; for ever, if there is a sink."""
        if self._following is not None:
            await self._following.run()

    def close(self) -> None:
        """Write what waits, and give the file back."""
        if self.sink is not None:
            self.sink.close()


def opened(data_dir: Path) -> AuditFile | None:
    """The local file in this data folder; None, with a log line, where that cannot be opened."""
    try:
        file = AuditFile(file_of(data_dir), os.urandom(8).hex())
    except QuorateError as error:
        log.warning("acts are noted in memory alone: %s", error.line())
        return None
    for problem in file.damaged:
        log.error("%s: %s; what it held may be lost", file.path, problem)
    return file
