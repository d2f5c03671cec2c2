"""The words that rules of policies may have: levels and capabilities, as Nomad documents them.

Words about jobs, volumes and nodes are read and kept, so that a policy of a Nomad cluster can be
used as it is. Here they grant nothing but to see the namespace.
"""

from __future__ import annotations

from typing import Final

from quorate.acl.capability import OPERATOR_NAMES
from quorate.acl.rights import DENY, VARIABLE_CAPABILITIES

_READ_WRITE: Final = frozenset({DENY, "read", "write"})

LEVELS: Final = {
    "agent": _READ_WRITE,
    "node": _READ_WRITE,
    "operator": _READ_WRITE,
    "quota": _READ_WRITE,
    "plugin": frozenset({DENY, "list", "read"}),
    "namespace": _READ_WRITE | {"scale"},
    "host_volume": _READ_WRITE,
    "node_pool": _READ_WRITE,
}
"""The levels of each sort of rule."""

CAPABILITIES: Final = {
    "operator": OPERATOR_NAMES | {DENY},
    "namespace": frozenset(
        {
            *(DENY, "list-jobs", "parse-job", "read-job", "submit-job", "dispatch-job"),
            *("read-logs", "read-fs", "alloc-exec", "alloc-node-exec", "alloc-lifecycle"),
            *("sentinel-override", "csi-register-plugin", "csi-write-volume", "csi-read-volume"),
            *("csi-list-volume", "csi-mount-volume", "list-scaling-policies"),
            *("read-scaling-policy", "read-job-scaling", "scale-job", "submit-recommendation"),
            *("host-volume-create", "host-volume-register", "host-volume-read"),
            *("host-volume-write", "host-volume-delete"),
        }
    ),
    "host_volume": frozenset({DENY, "mount-readonly", "mount-readwrite"}),
    "node_pool": frozenset({DENY, "delete", "read", "write"}),
    "variables": frozenset(VARIABLE_CAPABILITIES) | {DENY},
}
"""The capabilities of each sort of rule; sorts that are not here have none."""
