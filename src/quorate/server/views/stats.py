"""The sections of `stats` in GET /v1/agent/self: maps of text to text.

See docs/http-api.md#the-pool.
"""

from __future__ import annotations

import os
import platform
import threading

from quorate.raft.effects import Role
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.integrity.checks import StateChecks
from quorate.state.engine.store import StateStore
from quorate.wire.go.duration import format_duration

_STATES = {
    Role.LEADER: "Leader",
    Role.FOLLOWER: "Follower",
    Role.PRE_CANDIDATE: "Candidate",
    Role.CANDIDATE: "Candidate",
}


def nomad(replica: Replica[object], directory: Directory, bootstrap: bool) -> dict[str, str]:
    """The cluster, as this server sees it."""
    return {
        "server": "true",
        "leader": _flag(replica.is_leader),
        "leader_addr": replica.node.leader_address,
        "bootstrap": _flag(bootstrap),
        "known_regions": str(len(directory.regions())),
        "cluster_id": replica.node.cluster_id,
    }


def raft(replica: Replica[object]) -> dict[str, str]:
    """Log, term and membership."""
    node = replica.node
    configuration = " ".join(
        f"{{Suffrage:{s.suffrage.name.capitalize()} ID:{s.id} Address:{s.address}}}"
        for s in node.configuration.servers
    )
    if replica.is_leader:
        contact = "0"
    elif node.leader_id:
        contact = format_duration(int((replica.now() - node.contact_at) * 1e9))
    else:
        contact = "never"
    return {
        "state": _STATES[node.role],
        "term": str(node.term),
        "last_log_index": str(node.log.last_index),
        "last_log_term": str(node.log.last_term),
        "commit_index": str(node.commit_index),
        "applied_index": str(node.applied_index),
        "fsm_pending": str(node.commit_index - node.applied_index),
        "last_snapshot_index": str(node.log.snapshot_index),
        "last_snapshot_term": str(node.log.snapshot_term),
        "num_peers": str(len(node.peers())),
        "last_contact": contact,
        "latest_configuration": f"[{configuration}]",
        "latest_configuration_index": str(node.configuration_index),
        "protocol_version": "3",
        "protocol_version_min": "2",
        "protocol_version_max": "3",
        "snapshot_version_min": "0",
        "snapshot_version_max": "1",
        "log_bytes": str(replica.log.size_bytes()),
        "log_bytes_max": str(replica.options.settings.log_bytes_max),
        **disk(replica),
    }


def disk(replica: Replica[object]) -> dict[str, str]:
    """How long the newest synced writes took."""
    times = sorted(replica.disk_times.recent)
    if not times:
        return {}
    return {
        "disk_sync_p50": format_duration(int(times[len(times) // 2] * 1e9)),
        "disk_sync_p99": format_duration(int(times[len(times) * 99 // 100] * 1e9)),
        "disk_sync_max": format_duration(int(times[-1] * 1e9)),
        "disk_full": _flag(replica.storage_full),
        "disk_free_bytes": str(replica.disk_room.free),
        "disk_needed_bytes": str(replica.disk_room.needed),
    }


def commands(state: StateStore) -> dict[str, str]:
    """How many log entries were passed over, as they may be, and the cluster's feature level."""
    return {
        "unknown_commands": str(sum(tally.count for tally in state.unknown_commands)),
        "feature_level": str(state.level),
    }


def state_check(checks: StateChecks) -> dict[str, str]:
    """The last comparison of the servers' states: its word on this one, and on the others.

    `state` is right, damaged, disagree (nobody can say who is wrong) or unchecked.
    """
    return {
        "state": checks.standing(),
        "state_right_index": str(checks.right_at),
        "state_checked_index": str(checks.verdict.index),
        "state_damaged_servers": ", ".join(odd.node for odd in checks.verdict.wrong),
        "state_unknown_servers": ", ".join(odd.node for odd in checks.verdict.unknown),
    }


def runtime(arch: str) -> dict[str, str]:
    """The process. What stands for goroutines are threads."""
    return {
        "arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(arch, arch),
        "version": f"python{platform.python_version()}",
        "kernel.name": platform.system().lower(),
        "cpu_count": str(os.cpu_count() or 1),
        "max_procs": str(os.cpu_count() or 1),
        "goroutines": str(threading.active_count()),
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"
