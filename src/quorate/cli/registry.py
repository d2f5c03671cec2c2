"""The table of all commands and groups: the one place that knows what can be typed.

Cheap to import (data only), because every start of the program reads it.
"""

from __future__ import annotations

from quorate.cli.command import Command, Group
from quorate.cli.registry_local import LOCAL
from quorate.cli.registry_operator import OPERATOR
from quorate.cli.registry_server import SERVER

COMMANDS: tuple[Command, ...] = (*LOCAL, *OPERATOR, *SERVER)

GROUPS = (
    Group(
        ("operator",),
        "Tools for those who run the servers",
        "Looks at and changes the Raft cluster, its autopilot and its scheduler settings, and "
        "sends any request to the API.",
        "quorate operator raft list-peers",
    ),
    Group(
        ("operator", "raft"),
        "The servers that agree with each other",
        "Lists the servers of the Raft configuration, removes one, or hands leadership over.",
        "quorate operator raft list-peers -stale",
    ),
    Group(
        ("operator", "autopilot"),
        "The settings of automatic server management",
        "Shows or changes what the leader does about dead and new servers by itself.",
        "quorate operator autopilot get-config",
    ),
    Group(
        ("operator", "scheduler"),
        "The settings of the scheduler",
        "Shows or changes the cluster-wide scheduler settings.",
        "quorate operator scheduler get-config",
    ),
    Group(
        ("server",),
        "The pool of servers",
        "Looks at the servers as gossip and static membership know them.",
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
