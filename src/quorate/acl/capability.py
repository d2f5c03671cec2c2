"""The rights that a request can need, by name, and what the levels of a policy grant of them.

A level (`operator { policy = "write" }`) grants what it grants in Nomad 1.6.3, and never more. What
can end a cluster, carry its whole state away, or show its keys has a name of its own, which
a policy gives by `operator { capabilities = [...] }`. So no script needs an all-powerful token.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Capability(StrEnum):
    """The right that a request needs. Those with a colon come from levels and from namespaces."""

    NONE = "none"
    ANY_CALLER = "caller:any"  # any that is known, an anonymous one too: for its own things
    BY_TOPIC = "event:topic"  # the rights that the topics of a stream need
    AGENT_READ = "agent:read"
    AGENT_WRITE = "agent:write"
    NODE_READ = "node:read"
    NAMESPACE_ANY = "namespace:any"
    MANAGEMENT = "management"
    OPERATOR_READ = "operator:read"
    OPERATOR_WRITE = "operator:write"
    AUDIT_READ = "audit-read"
    AUTOPILOT_WRITE = "autopilot-write"
    BACKUP_PRUNE = "backup-prune"
    BACKUP_RESTORE = "backup-restore"
    BACKUP_RUN = "backup-run"
    KEYRING_READ = "keyring-read"
    KEYRING_ROTATE = "keyring-rotate"
    KEYRING_DELETE = "keyring-delete"
    VARIABLES_LIST = "variables:list"
    VARIABLES_READ = "variables:read"
    VARIABLES_WRITE = "variables:write"
    VARIABLES_DESTROY = "variables:destroy"
    PEER_REMOVE = "peer-remove"
    RAFT_COMPACT = "raft-compact"
    RAFT_READ = "raft-read"
    RECOVER = "recover"
    SNAPSHOT_RESTORE = "snapshot-restore"
    SNAPSHOT_SAVE = "snapshot-save"
    TRANSFER_LEADERSHIP = "transfer-leadership"


OF_OBJECTS: Final = frozenset(
    {
        Capability.ANY_CALLER,
        Capability.BY_TOPIC,
        Capability.NAMESPACE_ANY,
        Capability.VARIABLES_LIST,
        Capability.VARIABLES_READ,
        Capability.VARIABLES_WRITE,
        Capability.VARIABLES_DESTROY,
    }
)
"""Rights on what a request names, as one variable: without its name none of them is decided."""

OPERATOR_NAMES: Final = frozenset(
    each
    for each in Capability
    if ":" not in each and each not in {Capability.NONE, Capability.MANAGEMENT}
)
"""What `operator { capabilities = [...] }` may name, besides `deny`."""

_AGENT_READ: Final = frozenset({Capability.AGENT_READ})
_OPERATOR_READ: Final = frozenset({Capability.OPERATOR_READ})
_NOTHING: Final[frozenset[Capability]] = frozenset()

GRANTS: Final[Mapping[str, Mapping[str, frozenset[Capability]]]] = {
    "agent": {
        "deny": _NOTHING,
        "read": _AGENT_READ,
        "write": _AGENT_READ | {Capability.AGENT_WRITE},
    },
    "node": {
        "deny": _NOTHING,
        "read": frozenset({Capability.NODE_READ}),
        "write": frozenset({Capability.NODE_READ}),
    },
    "operator": {
        "deny": _NOTHING,
        "read": _OPERATOR_READ,
        "write": _OPERATOR_READ | {Capability.OPERATOR_WRITE, Capability.AUTOPILOT_WRITE},
    },
}
"""What each level of a rule grants. Rules of quotas, plugins, host volumes and pools of nodes are
read and kept, and grant nothing: there are no such things here."""
