"""The rights that a request can need, by name."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """The right that a request needs. Recorded in the table; nothing checks it yet.

    The first ones are coarse, as a policy of Nomad names them; an act that can end a cluster or
    its secrets has a right of its own, so that no script needs an all-powerful token for it.
    """

    NONE = "none"
    AGENT_READ = "agent:read"
    AGENT_WRITE = "agent:write"
    NODE_READ = "node:read"
    NAMESPACE_ANY = "namespace:any"
    MANAGEMENT = "management"
    OPERATOR_READ = "operator:read"
    OPERATOR_WRITE = "operator:write"
    AUTOPILOT_WRITE = "autopilot-write"
    BACKUP_PRUNE = "backup-prune"
    KEYRING_READ = "keyring-read"
    KEYRING_WRITE = "keyring-write"
    KEYRING_ROTATE = "keyring-rotate"
    KEYRING_DELETE = "keyring-delete"
    VARIABLES_LIST = "variables:list"
    VARIABLES_READ = "variables:read"
    VARIABLES_WRITE = "variables:write"
    VARIABLES_DESTROY = "variables:destroy"
    PEER_REMOVE = "peer-remove"
    SNAPSHOT_RESTORE = "snapshot-restore"
    SNAPSHOT_SAVE = "snapshot-save"
    TRANSFER_LEADERSHIP = "transfer-leadership"
