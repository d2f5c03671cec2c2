"""Which recorded command lines are replayed, and what the agent answers to each.

Left: a case of golden/cli. Right: the requests that it must make, each with the case of
golden/http that answers it. Cases that cannot be replayed stand in NOT_REPLAYED with the reason.
"""

from places import GOLDEN

RAFT = "GET /v1/operator/raft/configuration"
PEER = "DELETE /v1/operator/raft/peer"
AUTOPILOT = "GET /v1/operator/autopilot/configuration"
MEMBERS = "GET /v1/agent/members"
LEADER = "GET /v1/status/leader"
METRICS = "GET /v1/metrics"
KEYRING = "/v1/agent/keyring"
UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"

# Of `agent` only the command line: the other cases start one and are replayed with the agent.
REPLAYED: dict[str, dict[str, str]] = {
    "acl-agent-info-anon": {"GET /v1/agent/self": "acl-anon-self"},
    "acl-autopilot-anon": {AUTOPILOT: "acl-anon-autopilot-get"},
    "acl-list-peers-anon": {RAFT: "acl-anon-raft-config"},
    "acl-list-peers-badtoken": {RAFT: "acl-bad-raft-config"},
    "acl-list-peers-flagtoken": {RAFT: "acl-mgmt-raft-config"},
    "acl-namespace-list-anon": {"GET /v1/namespaces": "acl-anon-namespaces"},
    "acl-server-members-anon": {MEMBERS: "acl-anon-members"},
    "agent-badflag": {},
    "enc-keyring-install": {f"PUT {KEYRING}/install": "enc-keyring-install"},
    "enc-keyring-list-after": {f"GET {KEYRING}/list": "enc-keyring-list"},
    "enc-keyring-remove": {f"PUT {KEYRING}/remove": "enc-keyring-remove"},
    "enc-keyring-remove-primary": {f"PUT {KEYRING}/remove": "enc-keyring-remove-primary"},
    "enc-keyring-two-flags": {},
    "enc-keyring-use": {f"PUT {KEYRING}/use": "enc-keyring-use"},
    "cl-server-members": {MEMBERS: "cl-members", f"{LEADER}?region=global": "cl-status-leader"},
    "fed-list-peers-region-env": {f"{RAFT}?region=west": "fed-raft-config-west"},
    "fed-list-peers-unknown": {f"{RAFT}?region=north": "fed-raft-config-unknown"},
    "fed-list-peers-west": {f"{RAFT}?region=west": "fed-raft-config-west"},
    "fed-server-members": {
        MEMBERS: "fed-members",
        f"{LEADER}?region=east": "fed-status-leader",
        f"{LEADER}?region=west": "fed-status-leader-west",
    },
    "fed-server-members-west-dead": {
        MEMBERS: "fed-members",  # with the status of w1 as below
        f"{LEADER}?region=east": "fed-status-leader",
        f"{LEADER}?region=west": "fed-killed-status-leader-west-failed",
    },
    "lq-autopilot-get": {AUTOPILOT: "lq-autopilot-config"},
    "lq-list-peers": {RAFT: "lq-raft-config"},
    "lq-list-peers-stale": {f"{RAFT}?stale=": "lq-raft-config-stale"},
    "lq-list-peers-stale-false": {RAFT: "lq-raft-config"},
    "lq-remove-peer": {f"{PEER}?address=127.0.0.3%3A4647": "lq-peer-delete"},
    "lq-server-members": {MEMBERS: "lq-members", f"{LEADER}?region=global": "lq-status-leader"},
    "r2-list-peers": {RAFT: "r2-raft-config"},
    "r2-remove-peer-address": {
        f"{PEER}?address=127.0.0.3%3A4647": "r2-peer-delete-address",
    },
    "r3-agent-info-arg": {},
    "r3-autopilot": {},
    "r3-autopilot-get-config": {AUTOPILOT: "r3-autopilot-config-get"},
    "r3-autopilot-set-config-bad": {},
    "r3-autopilot-set-config-baddur": {},
    "r3-help-flag": {},
    "r3-keyring-list": {f"GET {KEYRING}/list": "r3-agent-keyring-list-nokeyring"},
    "r3-keyring-none": {},
    "r3-list-peers-one-dead": {RAFT: "r3-raft-config-one-dead"},
    "r3-members-one-dead": {
        MEMBERS: "r3-members-one-dead",
        f"{LEADER}?region=global": "r3-status-leader",
    },
    "r3-metrics-prom": {f"{METRICS}?format=prometheus": "r3-metrics-prometheus-off"},
    "r3-no-args": {},
    "r3-operator": {},
    "r3-raft": {},
    "r3-raft-list-peers": {RAFT: "r3-raft-config-leader"},
    "r3-raft-list-peers-addr": {},
    "r3-raft-list-peers-addr-bad": {},
    "r3-raft-list-peers-arg": {RAFT: "r3-raft-config-leader"},
    "r3-raft-list-peers-badflag": {},
    "r3-raft-list-peers-doubledash": {f"{RAFT}?stale=": "r3-raft-config-stale-bare"},
    "r3-raft-list-peers-envregion": {f"{RAFT}?region=nowhere": "r3-raft-config-unknown-region"},
    "r3-raft-list-peers-region": {f"{RAFT}?region=nowhere": "r3-raft-config-unknown-region"},
    "r3-raft-list-peers-stale": {f"{RAFT}?stale=": "r3-raft-config-stale-bare"},
    "r3-raft-remove-both": {},
    "r3-raft-remove-none": {},
    "r3-raft-remove-unknown": {
        # Recorded of a follower; golden/http has the leader's text, without its prefix.
        f"{PEER}?address=127.0.0.9%3A4647": "rpc error: r3-peer-delete-unknown-address",
    },
    "r3-raft-remove-unknown-id": {
        f"{PEER}?id={UNKNOWN_ID}": "r3-peer-delete-unknown-id-follower",
    },
    "r3-server": {},
    "r3-server-force-leave-none": {},
    "r3-server-force-leave-unknown": {
        "PUT /v1/agent/force-leave?node=nosuch": "r3-agent-force-leave-unknown",
    },
    "r3-server-join": {"PUT /v1/agent/join?address=127.0.0.2%3A4648": "r3-agent-join-ok"},
    "r3-server-join-none": {},
    "r3-server-join-refused": {
        "PUT /v1/agent/join?address=127.0.0.9%3A4648": "r3-agent-join-refused",
    },
    "r3-server-members": {
        MEMBERS: "r3-agent-members",
        f"{LEADER}?region=global": "r3-status-leader",
    },
    "r3-server-members-arg": {},
    "r3-server-members-detailed": {MEMBERS: "r3-agent-members"},
    "r3-server-members-unreach": {},
    "r3-system-gc": {"PUT /v1/system/gc": "r3-system-gc"},
    "r3-unknown-command": {},
    "r3-version": {},
    "tls-list-peers-missing-ca-file": {},
    "tls-list-peers-plain": {RAFT: "tls-plain-http"},
}

NAMESPACES_OF_1_0 = (
    "apply",
    "apply-bad",
    "delete",
    "delete-default",
    "delete-missing",
    "inspect",
    "list",
    "list-json",
    "status",
    "status-missing",
)
NAMESPACES_OF_1_6 = (
    "apply",
    "apply-bad",
    "apply-file",
    "delete",
    "delete-missing",
    "inspect",
    "list",
    "list-json",
    "status",
    "status-missing",
)

OTHER_TEST = "replayed by a test of its own below, with an answer built from the case"
TLS_TEST = "replayed by a test of its own below, with certificates of ours"

SNAPSHOT_TEST = "replayed by test_cli_snapshot.py, with archives of ours"
NAMESPACES = "see test_cli_namespaces.py"

ACL = sorted(
    path.stem
    for pattern in ("acl-policy-*", "acl-token-*", "acl-bootstrap-*", "r3-acl-off-*")
    for path in (GOLDEN / "cli").glob(f"{pattern}.json")
)

NOT_REPLAYED: dict[str, str] = {
    **dict.fromkeys(ACL, "see test_cli_acl.py"),
    **dict.fromkeys(
        [
            *(f"r3-namespace-{name}" for name in NAMESPACES_OF_1_0),
            *(f"v16cli-ns-{name}" for name in NAMESPACES_OF_1_6),
        ],
        NAMESPACES,
    ),
    **dict.fromkeys(
        (path.stem for path in (GOLDEN / "cli").glob("v16cli-var-*")),
        "replayed in test_cli_variables.py, which says that none is left out",
    ),
    "acl-snapshot-anon": SNAPSHOT_TEST,
    "lq-snapshot-save": SNAPSHOT_TEST,
    "lq-snapshot-save-stale": SNAPSHOT_TEST,
    "r3-snapshot-inspect": SNAPSHOT_TEST,
    "r3-snapshot-inspect-garbage": SNAPSHOT_TEST,
    "r3-snapshot-inspect-missing": SNAPSHOT_TEST,
    "r3-snapshot-inspect-none": SNAPSHOT_TEST,
    "r3-snapshot-inspect-truncated": SNAPSHOT_TEST,
    "r3-snapshot": SNAPSHOT_TEST,
    "r3-snapshot-restore": SNAPSHOT_TEST,
    "r3-snapshot-restore-garbage": SNAPSHOT_TEST,
    "r3-snapshot-restore-missing": SNAPSHOT_TEST,
    "r3-snapshot-restore-none": SNAPSHOT_TEST,
    "r3-snapshot-save": SNAPSHOT_TEST,
    "r3-snapshot-save-existing": SNAPSHOT_TEST,
    "r3-snapshot-save-noarg": SNAPSHOT_TEST,
    "r3-snapshot-save-nodir": SNAPSHOT_TEST,
    "r3-snapshot-save-stale": SNAPSHOT_TEST,
    "r3-snapshot-save-two": SNAPSHOT_TEST,
    "cl-agent-info": OTHER_TEST,
    "lq-agent-info": OTHER_TEST,
    "r3-agent-info": OTHER_TEST,
    "r3-agent-info-json": OTHER_TEST,
    "r3-autopilot-get-config-after": OTHER_TEST,
    "r3-autopilot-set-config": OTHER_TEST,
    "r3-autopilot-set-config-none": OTHER_TEST,
    "r3-autopilot-set-config-restore": OTHER_TEST,
    "enc-metrics-prometheus": OTHER_TEST,
    "r3-metrics": OTHER_TEST,
    "r3-metrics-badformat": OTHER_TEST,
    "r3-metrics-pretty": OTHER_TEST,
    "tls-no-client-cert": "status is of a server here; the same failure is in tls-list-peers-*",
    "tls-list-peers-ok": TLS_TEST,
    "tls-list-peers-no-ca": TLS_TEST,
    "tls-list-peers-no-client-cert": TLS_TEST,
    "tls-list-peers-skip-verify": TLS_TEST,
    "enc-keyring-list": OTHER_TEST,
    "r3-keygen": "a key is random: test_cli_keyring.py looks at its form",
    "r3-keyring-install-bad": "a key is checked before it is sent: see test_cli_keyring.py",
    "r3-raft-transfer-absent": "the old program lacks the command and shows its group; we have it",
}
