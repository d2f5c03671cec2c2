"""The Raft consensus core: events in, effects out, no I/O, no clock, no randomness of its own.

Give `Node.step` an event and the time; do what the returned effects say, in order; report back by
events. `quorate.replica` does that with sockets and disks, the tests with a simulated world.
"""

from quorate.raft.effects import Reason, Role
from quorate.raft.node import Node
from quorate.raft.settings import Settings
from quorate.raft.values.configuration import (
    Change,
    ChangeKind,
    Configuration,
    ConfigurationError,
    Server,
    Suffrage,
    next_configuration,
)
from quorate.raft.values.messages import Entry, EntryKind, HardState

__all__ = [
    "Change",
    "ChangeKind",
    "Configuration",
    "ConfigurationError",
    "Entry",
    "EntryKind",
    "HardState",
    "Node",
    "Reason",
    "Role",
    "Server",
    "Settings",
    "Suffrage",
    "next_configuration",
]
