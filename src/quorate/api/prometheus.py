"""The measurements as Prometheus' text format 0.0.4, by its conventions.

Counters end in `_total`, durations are histograms in seconds, every name has a text that says what
it means. Names are those of the JSON form with underscores; figures of the process have the names
that all Prometheus clients give them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

from quorate.metrics import BUCKETS_S, Histogram, Totals

_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")

PROCESS: Final = {
    "quorate.process.cpuSeconds": ("process_cpu_seconds_total", "counter"),
    "quorate.process.maxFds": ("process_max_fds", "gauge"),
    "quorate.process.openFds": ("process_open_fds", "gauge"),
    "quorate.process.residentBytes": ("process_resident_memory_bytes", "gauge"),
    "quorate.process.startTime": ("process_start_time_seconds", "gauge"),
}

HELP: Final = {
    "nomad.http.internal_error": "Requests that ended in an internal error",
    "nomad.http.request": "Requests to the HTTP API",
    "nomad.memberlist.degraded.probe": "Members that answered over TCP when no packet of theirs "
    "came: UDP may be blocked",
    "nomad.memberlist.tcp.accept": "Gossip streams that other members opened",
    "nomad.memberlist.tcp.sent": "Bytes sent on gossip streams",
    "nomad.memberlist.tcp.connect": "Gossip streams that were opened to other members",
    "nomad.memberlist.udp.received": "Bytes of gossip packets received",
    "nomad.memberlist.udp.sent": "Bytes of gossip packets sent",
    "nomad.nomad.autopilot.failure_tolerance": "Voters that may fail before the quorum is lost, "
    "as the leader sees it",
    "nomad.nomad.autopilot.healthy": "1 if the leader sees all voters healthy",
    "nomad.raft.appliedIndex": "Index of the newest entry that is applied to the state",
    "nomad.raft.commitIndex": "Index of the newest entry that a majority has",
    "nomad.raft.lastIndex": "Index of the newest entry in the log",
    "nomad.raft.leader.lastContact": "Milliseconds since voters answered the leader",
    "nomad.raft.term": "Raft's term",
    "nomad.runtime.alloc_bytes": "Resident memory of the process in bytes",
    "nomad.runtime.num_goroutines": "Threads of the process",
    "nomad.serf.events": "User events of the pool",
    "nomad.serf.queries": "Queries of the pool",
    "quorate.tls.certificate_seconds_left": "time until the TLS certificate of this server ends",
    "quorate.disk.full": "1 while writes wait for room on the disk, or for a descriptor",
    "quorate.disk.freeBytes": "Bytes free on the disk of the log",
    "quorate.disk.reserveBytes": "Bytes that stay free on it: below that no write is taken",
    "quorate.disk.sync_ms": "Milliseconds of a flush of the log to disk",
    "quorate.disk.sync_seconds": "Duration of a flush of the log to disk",
    "quorate.http.request_seconds": "Time from a request to its answer; blocking queries are left "
    "out",
    "quorate.log.dropped": "Log lines that were lost: no reader took them, or a disk was full",
    "quorate.acl.would_refuse": "Requests that were allowed in the transition to access control",
    "quorate.audit.lost": "Audit records of acts that were lost: file and memory were full",
    "quorate.audit.noted": "Acts that were noted in the local file of audit records",
    "quorate.audit.refused": "Requests and acts that were refused",
    "quorate.audit.sink_dropped": "Audit events that were not written to the file of the sink",
    "quorate.audit.sink_written": "Audit events that were written to it",
    "quorate.backup.failed": "Backups and checks of backups that failed, of the cluster",
    "quorate.backup.problem": "1 if something is wrong with the backups of the cluster",
    "quorate.backup.verifiedAgeSeconds": "Age of the newest verified backup in seconds",
    "quorate.loop.lag_ms": "Milliseconds by which the event loop was late",
    "quorate.process.cpuSeconds": "Processor time of the process in seconds",
    "quorate.process.maxFds": "Files and connections that the process may have open",
    "quorate.process.openFds": "Files and connections that the process has open",
    "quorate.process.residentBytes": "Resident memory of the process in bytes",
    "quorate.process.startTime": "When the process was started, in Unix seconds",
    "quorate.raft.isLeader": "1 on the server that leads",
    "quorate.raft.logBytes": "Bytes that the files of the log take",
    "quorate.raft.logBytesMax": "Bytes that they may take (raft_log_bytes_max), 0 for no bound",
    "quorate.raft.peer_lag_entries": "Entries that another server lacks, as the leader sees it",
    "quorate.raft.peer_contact_seconds": "Seconds since another server answered the leader",
    "quorate.raft.write_seconds": "Time from a write on the leader to its answer",
    "quorate.state.bytes": "Bytes of memory that the replicated state takes",
    "quorate.state.bytesMax": "Bytes of memory that it may take, 0 for no bound",
    "quorate.state.fullest": "Part of the fullest bound (state, namespaces) that is taken",
    "quorate.state.checkedIndex": "Index at which the state was last compared with the others",
    "quorate.state.damaged": "1 if the state of this server is known to be damaged",
    "quorate.state.damagedServers": "Servers whose state differs from that of a majority",
    "quorate.state.disagree": "1 if no majority agrees on the state",
}


def prometheus_lines(totals: Totals, labels: Mapping[str, str]) -> Iterator[str]:
    """All that is measured; `labels` go on every value."""
    for name, (_, total) in sorted(totals.counters.items()):
        safe = _safe(name) + "_total"
        yield _heading(name, safe, "counter") + f"{safe}{_marks(labels)} {total!r}\n"
    for name, value in sorted(totals.gauges.items()):
        safe, kind = PROCESS.get(name, (_safe(name), "gauge"))
        yield _heading(name, safe, kind) + f"{safe}{_marks(labels)} {value!r}\n"
    headed = ""
    for (name, peer), value in sorted(totals.peers.items()):
        if name != headed:
            headed = name
            yield _heading(name, _safe(name), "gauge")
        yield f"{_safe(name)}{_marks({**labels, 'peer': peer})} {value!r}\n"
    for name, (count, total) in sorted(totals.samples.items()):
        safe = _safe(name)
        yield _heading(name, safe, "summary")
        yield f"{safe}_sum{_marks(labels)} {total!r}\n{safe}_count{_marks(labels)} {count}\n"
    for name, histogram in sorted(totals.histograms.items()):
        yield _heading(name, _safe(name), "histogram")
        yield from _buckets(_safe(name), histogram, labels)


def _buckets(safe: str, histogram: Histogram, labels: Mapping[str, str]) -> Iterator[str]:
    bounds = (*map(str, BUCKETS_S), "+Inf")
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield f"{safe}_bucket{_marks({**labels, 'le': bound})} {count}\n"
    yield f"{safe}_sum{_marks(labels)} {histogram.sum!r}\n"
    yield f"{safe}_count{_marks(labels)} {sum(histogram.counts)}\n"


def _heading(name: str, safe: str, kind: str) -> str:
    text = HELP.get(name, f"The measurement {name}")
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {safe} {text}\n# TYPE {safe} {kind}\n"


def _marks(labels: Mapping[str, str]) -> str:
    marks = ",".join(f'{_safe(name)}="{_label(value)}"' for name, value in sorted(labels.items()))
    return f"{{{marks}}}" if marks else ""


def _safe(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name)


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
