"""The table of all commands and groups: the one place that knows what can be typed.

Cheap to import (data only), because every start of the program reads it.
"""

from __future__ import annotations

from quorate.cli.command import Command, Group
from quorate.cli.registry.acl import ACL
from quorate.cli.registry.acl import GROUPS as ACL_GROUPS
from quorate.cli.registry.backup import BACKUP, ELSEWHERE, ELSEWHERE_GROUP
from quorate.cli.registry.backup import GROUP as BACKUP_GROUP
from quorate.cli.registry.local import LOCAL
from quorate.cli.registry.namespace import NAMESPACE
from quorate.cli.registry.operator.audit import AUDIT
from quorate.cli.registry.operator.audit import GROUP as AUDIT_GROUP
from quorate.cli.registry.operator.cluster import OPERATOR
from quorate.cli.registry.operator.diagnose import DIAGNOSE
from quorate.cli.registry.operator.events import EVENTS
from quorate.cli.registry.operator.gossip import GOSSIP
from quorate.cli.registry.operator.live import GROUP as LIVE_GROUP
from quorate.cli.registry.operator.live import LIVE
from quorate.cli.registry.operator.raft_files import RAFT_FILES, RECOVERY
from quorate.cli.registry.operator.root_keys import ROOT_KEYS
from quorate.cli.registry.server import SERVER, SYSTEM
from quorate.cli.registry.snapshot import GROUP as SNAPSHOT_GROUP
from quorate.cli.registry.snapshot import SNAPSHOT
from quorate.cli.registry.tls import GROUPS as TLS_GROUPS
from quorate.cli.registry.tls import TLS
from quorate.cli.registry.var import VAR

COMMANDS: tuple[Command, ...] = (
    *(
        *LOCAL,
        *ACL,
        *NAMESPACE,
        *OPERATOR,
        *DIAGNOSE,
        *RAFT_FILES,
        *RECOVERY,
        *LIVE,
        *AUDIT,
        *EVENTS,
        *SNAPSHOT,
        *BACKUP,
        *ELSEWHERE,
        *GOSSIP,
        *ROOT_KEYS,
        *SERVER,
        *SYSTEM,
        *TLS,
        *VAR,
    ),
)

GROUPS = (
    AUDIT_GROUP,
    *ACL_GROUPS,
    *TLS_GROUPS,
    Group(
        ("namespace",),
        "The namespaces of a cluster",
        "Lists, shows, writes and deletes namespaces, the names under which variables stand.",
        "quorate namespace list",
    ),
    Group(
        ("config",),
        "Configuration files",
        "Checks the configuration files of an agent.",
        "quorate config validate /etc/quorate.d",
    ),
    Group(
        ("system",),
        "Upkeep of a cluster",
        "Has a cluster of Nomad servers clean up.",
        "quorate system gc",
    ),
    Group(
        ("system", "reconcile"),
        "Counts of a cluster",
        "Has a cluster of Nomad servers count again.",
        "quorate system reconcile summaries",
    ),
    Group(
        ("operator",),
        "Tools for operators of the servers",
        "Looks at and changes the Raft cluster, its autopilot and its scheduler settings, and "
        "sends any request to the API.",
        "quorate operator raft list-peers",
    ),
    Group(
        ("operator", "raft"),
        "The servers that agree with each other",
        "Lists the servers of the Raft configuration, removes one, hands leadership over, or asks "
        "each server what it believes.",
        "quorate operator raft list-peers -stale",
    ),
    Group(
        ("operator", "recover"),
        "A cluster that has lost its majority",
        "Helps the servers that are left to go on without the others.",
        "quorate operator recover peers-json /mnt/s1 /mnt/s3",
    ),
    LIVE_GROUP,
    Group(
        ("operator", "autopilot"),
        "The settings of automatic server management",
        "Shows or changes how the leader treats dead and new servers.",
        "quorate operator autopilot get-config",
    ),
    Group(
        ("operator", "scheduler"),
        "The settings of the scheduler",
        "Shows or changes the cluster-wide scheduler settings.",
        "quorate operator scheduler get-config",
    ),
    Group(
        ("operator", "upgrade"),
        "The versions of the servers",
        "Shows which versions run, and what the cluster's feature level waits for.",
        "quorate operator upgrade check",
    ),
    SNAPSHOT_GROUP,
    BACKUP_GROUP,
    ELSEWHERE_GROUP,
    Group(
        ("operator", "state"),
        "The size of the state",
        "Shows how much memory the replicated state takes, and sets its bounds.",
        "quorate operator state size",
    ),
    Group(
        ("operator", "gossip"),
        "The gossip between servers",
        "Manages the keys that encrypt the gossip between servers.",
        "quorate operator gossip keyring list",
    ),
    Group(
        ("operator", "gossip", "keyring"),
        "The keys of the gossip between servers",
        "Makes, installs, changes and removes the keys that encrypt gossip, on all members of the "
        "pool at once. To replace a key use rotate: it does all steps in their order.",
        "quorate operator gossip keyring rotate",
    ),
    Group(
        ("operator", "root"),
        "The root keys",
        "Manages the keys with which the values of variables are sealed.",
        "quorate operator root keyring list",
    ),
    Group(
        ("operator", "root", "keyring"),
        "The root keys, with which values are sealed",
        "Lists, rotates and removes the root keys. The keys themselves are never shown.",
        "quorate operator root keyring rotate",
    ),
    Group(
        ("var",),
        "Variables: small replicated maps of texts",
        "Reads, lists, writes and deletes variables.",
        "quorate var list",
    ),
    Group(
        ("server",),
        "The pool of servers",
        "Looks at the servers as gossip and static membership know them, joins pools, and lets "
        "servers go or come back.",
        "quorate server members",
    ),
)

BY_PATH: dict[tuple[str, ...], Command] = {command.path: command for command in COMMANDS}
GROUP_BY_PATH: dict[tuple[str, ...], Group] = {group.path: group for group in GROUPS}


def words_below(path: tuple[str, ...]) -> list[str]:
    """The words that may follow `path`, sorted."""
    depth = len(path)
    paths = (*BY_PATH, *GROUP_BY_PATH)
    return sorted({p[depth] for p in paths if len(p) == depth + 1 and p[:depth] == path})
