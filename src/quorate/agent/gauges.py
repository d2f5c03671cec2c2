"""The numbers of one agent, kept current in the metrics registry (docs/http-api.md#metrics)."""

from __future__ import annotations

import asyncio
import math
import resource
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from quorate.metrics import Metrics
from quorate.server.server import Server

_PAGE = resource.getpagesize()


class Gauges:
    """Once a second: where Raft is, how the disk and the loop do, what the process uses."""

    def __init__(
        self, server: Server, metrics: Metrics, dropped: Callable[[], int] = lambda: 0
    ) -> None:
        """`dropped` gives the number of log lines lost since the start."""
        self._dropped = dropped
        self._started = time.time()
        self._server = server
        self._metrics = metrics
        self._writes_seen = 0

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        self._raft()  # so that there is something to see from the beginning
        self._process()
        while True:
            due = loop.time() + 1.0
            await asyncio.sleep(1.0)
            self._metrics.sample("quorate.loop.lag_ms", max(loop.time() - due, 0.0) * 1000)
            self._raft()
            self._process()
            self._metrics.advance(time.time())

    def _raft(self) -> None:
        replica = self._server.replica
        node, gauge = replica.node, self._metrics.gauge
        gauge("nomad.raft.appliedIndex", node.applied_index)
        gauge("nomad.raft.lastIndex", node.log.last_index)
        gauge("nomad.raft.commitIndex", node.commit_index)
        gauge("nomad.raft.term", node.term)
        tls = self._server.options.tls
        if tls is not None:
            days = tls.identity.days_left(datetime.now(UTC))
            gauge("quorate.tls.certificate_seconds_left", days * 86_400)
        gauge("quorate.disk.full", float(replica.storage_full))
        gauge("quorate.disk.freeBytes", replica.disk_room.free)
        gauge("quorate.disk.reserveBytes", replica.disk_room.reserve)
        gauge("quorate.raft.logBytes", replica.log.size_bytes())
        gauge("quorate.raft.logBytesMax", replica.options.settings.log_bytes_max)
        if replica.disk_times.count > self._writes_seen:
            fresh = replica.disk_times.count - self._writes_seen
            self._writes_seen = replica.disk_times.count
            observe = self._metrics.histogram("quorate.disk.sync_seconds").observe
            for seconds in list(replica.disk_times.recent)[-fresh:]:
                self._metrics.sample("quorate.disk.sync_ms", seconds * 1000)
                observe(seconds)
        gauge("quorate.raft.isLeader", float(node.leader is not None))
        self._peers()
        checks = self._server.checks
        wrong = {odd.id for odd in checks.verdict.wrong}
        gauge("quorate.state.damaged", float(checks.damage is not None))
        gauge("quorate.state.disagree", float(bool(checks.disagreement)))
        self._backups()
        gauge("quorate.state.checkedIndex", checks.verdict.index)
        gauge("quorate.state.damagedServers", len(wrong))
        usage = self._server.usage
        gauge("quorate.state.bytes", usage.bytes())
        gauge("quorate.state.bytesMax", usage.bytes_max())
        gauge("quorate.state.fullest", round(usage.fullest(), 4))
        if node.leader is not None:
            now = replica.now()
            voters = {server.id for server in node.configuration.voters()}
            live = 1
            for peer_id, peer in node.leader.peers.items():
                if math.isinf(peer.contact_at):
                    continue  # it has not answered this leader yet
                age = now - peer.contact_at
                self._metrics.sample("nomad.raft.leader.lastContact", age * 1000)
                sound = peer_id in voters - wrong
                live += sound and age < node.settings.election_timeout_s
            tolerance = live - node.configuration.quorum()
            healthy = live == len(voters) and not (wrong or checks.disagreement)
            gauge("nomad.nomad.autopilot.healthy", float(healthy))
            gauge("nomad.nomad.autopilot.failure_tolerance", max(tolerance, 0))

    def _backups(self) -> None:
        if self._server.options.backup.target is None:
            return
        found = self._server.backups.standing()
        gauge = self._metrics.gauge
        gauge("quorate.backup.failed", found.progress.failed)
        gauge("quorate.backup.problem", float(bool(found.problem)))
        if found.verified_age_s is not None:
            gauge("quorate.backup.verifiedAgeSeconds", found.verified_age_s)

    def _peers(self) -> None:
        """What the leader knows of each other server; nothing on a follower."""
        replica = self._server.replica
        node = replica.node
        peers = node.leader.peers if node.leader is not None else {}
        now, last = replica.now(), node.log.last_index
        lag = {peer_id: float(last - peer.match_index) for peer_id, peer in peers.items()}
        heard = {
            peer_id: now - peer.contact_at
            for peer_id, peer in peers.items()
            if not math.isinf(peer.contact_at)
        }
        self._metrics.peers("quorate.raft.peer_lag_entries", lag)
        self._metrics.peers("quorate.raft.peer_contact_seconds", heard)

    def _process(self) -> None:
        gauge = self._metrics.gauge
        gauge("quorate.log.dropped", self._dropped())
        with suppress(OSError):  # no descriptor is free: the old value stands
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            gauge("nomad.runtime.alloc_bytes", pages * _PAGE)
            gauge("quorate.process.residentBytes", pages * _PAGE)
            gauge("quorate.process.openFds", sum(1 for _ in Path("/proc/self/fd").iterdir()))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        gauge("quorate.process.cpuSeconds", usage.ru_utime + usage.ru_stime)
        gauge("quorate.process.maxFds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        gauge("quorate.process.startTime", self._started)
        gauge("nomad.runtime.num_goroutines", threading.active_count())
