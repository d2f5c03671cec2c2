"""The `config` of agent/self against what a real server answers with the same configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_hosts import HOST
from places import GOLDEN

from quorate.config import config_view, load
from quorate.shapes.agent import COMPATIBLE_BUILD
from quorate.version import __version__

# Parts and keys without a counterpart here.
LEFT_OUT = {"Audit", "Consul", "PluginDir", "Plugins", "Sentinel", "Vault"}
# Ours differ on purpose: there is neither an event broker nor a client.
OTHER = {"Version", "Server.EnableEventBroker", "Server.EventBufferSize", "Client"}
ADDED = {
    # Of later servers.
    "ACL.RoleTTL",
    "ACL.TokenMaxExpirationTTL",
    "ACL.TokenMinExpirationTTL",
    "ACL.Transition",
    "LogIncludeLocation",
    # Ours.
    "Backup.CredentialsFile",
    "Backup.Deadline",
    "Backup.Endpoint",
    "Backup.Region",
    "Backup.RestoreFrom",
    "Backup.Retain",
    "Backup.Schedule",
    "Backup.Target",
    "HTTPHosts",
    "Server.Gossip",
    "Server.GossipProfile",
    "Server.InitialServers",
    "Server.LeaseReads",
    "Server.RaftLogBytesMax",
    "Server.StateBytesMax",
    "Server.StateCheckInterval",
    "Server.UnprovenPeers",
    "Server.WrappingKeyCommand",
    "Server.WrappingKeyEnv",
    "Server.WrappingKeyFile",
    "Server.RaftSnapshotInterval",
    "Server.RaftSnapshotThreshold",
    "Server.RaftTrailingLogs",
    "Telemetry.InMemoryCollectionInterval",
}


def golden(name: str) -> dict[str, Any]:
    answer = json.loads((GOLDEN / "http" / f"{name}.json").read_text())
    config: dict[str, Any] = answer["response"]["body_json"]["config"]
    return config


def flat(view: dict[str, Any]) -> dict[str, Any]:
    """Go name to value, with the block in front; without what is left out."""
    flattened: dict[str, Any] = {}
    for name, value in view.items():
        if name in LEFT_OUT:
            continue
        if isinstance(value, dict) and name not in {"HTTPAPIResponseHeaders", *OTHER}:
            flattened |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flattened[name] = value
    return {name: each for name, each in flattened.items() if "Circonus" not in name}


THREE_SERVERS = """
name = "s3"
data_dir = "/d"
bind_addr = "127.0.0.3"
advertise { http = "127.0.0.3"
 rpc = "127.0.0.3"
 serf = "127.0.0.3" }
server { enabled = true
 bootstrap_expect = 3
 raft_protocol = 3
 server_join { retry_join = ["127.0.0.1:4648"] } }
"""
ENCRYPTED = """
name = "k1"
data_dir = "/d"
bind_addr = "127.0.0.7"
enable_debug = true
advertise { http = "127.0.0.7"
 rpc = "127.0.0.7"
 serf = "127.0.0.7" }
telemetry { prometheus_metrics = true
 disable_hostname = true }
http_api_response_headers { X-Test = "yes"
 "Access-Control-Allow-Origin" = "*" }
server { enabled = true
 bootstrap_expect = 1
 raft_protocol = 3 }
"""


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("r3-agent-self", "s3.hcl", THREE_SERVERS),
        ("enc-agent-self-encrypted", "k1.hcl", ENCRYPTED),
    ],
)
def test_view_is_that_of_the_golden_case(name: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    config, _ = load([tmp_path / file], host=HOST)
    ours, theirs = flat(config_view(config)), flat(golden(name))
    assert set(ours) - set(theirs) == ADDED
    assert set(theirs) <= set(ours)
    replaced = {"DataDir": "/d", "Files": [str(tmp_path / file)]}
    for key in set(theirs) - OTHER:
        assert ours[key] == replaced.get(key, theirs[key]), key
    for key in ("Server.EnableEventBroker", "Server.EventBufferSize"):
        assert type(ours[key]) is type(theirs[key])


def test_what_was_set_is_shown_and_secrets_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text(
        THREE_SERVERS + 'acl { replication_token = "s3cret" }\nlog_rotate_duration = "90s"\n'
        'telemetry { circonus_api_token = "s3cret"\n filter_default = false }\n'
        "autopilot { cleanup_dead_servers = false }\n"
        'server { raft_multiplier = 2\n raft_snapshot_interval = "90s"\n num_schedulers = 0\n'
        ' enabled_schedulers = ["batch"]\n heartbeat_grace = "3s"\n eval_gc_threshold = "1h"\n'
        " default_scheduler_config { preemption_config { batch_scheduler_enabled = true } } }\n"
    )
    config, _ = load([tmp_path / "a.hcl"], host=HOST)
    view = config_view(config)
    assert "s3cret" not in json.dumps(view)
    assert view["ACL"]["ReplicationToken"] == "<redacted>"
    assert view["LogRotateDuration"] == "1m30s"
    assert view["Telemetry"]["FilterDefault"] is False
    assert view["Autopilot"]["CleanupDeadServers"] is False
    server = view["Server"]
    assert (server["RaftMultiplier"], server["RaftSnapshotInterval"]) == (2, "1m30s")
    assert (server["NumSchedulers"], server["EnabledSchedulers"]) == (0, ["batch"])
    assert (server["HeartbeatGrace"], server["EvalGCThreshold"]) == (3_000_000_000, "1h0m0s")
    scheduler = server["DefaultSchedulerConfig"]
    assert scheduler["SchedulerAlgorithm"] == "binpack"
    assert scheduler["PreemptionConfig"]["BatchSchedulerEnabled"] is True
    assert scheduler["PreemptionConfig"]["SystemSchedulerEnabled"] is True


def test_version_and_static_membership() -> None:
    config, _ = load([], {}, dev=True, host=HOST)
    view = config_view(config)
    assert view["Version"]["Version"] == COMPATIBLE_BUILD
    assert view["Version"]["VersionMetadata"] == f"quorate.{__version__}"
    assert view["DevMode"] is True
    assert view["Server"]["InitialServers"] == []
    assert (view["Server"]["Gossip"], view["Server"]["GossipProfile"]) == ("on", "lan")
    assert view["Client"] == {"Enabled": False}
