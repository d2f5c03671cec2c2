"""Quorate: a Nomad-compatible server control plane on a Raft library of its own.

The names below are the library (docs/library.md). Each is loaded when it is first asked for, so
that `import quorate` costs nothing, and none of them loads what only the agent needs.

The parts, from the bottom: `wire` and `storage` (bytes and disks), `raft` and `state` (pure),
`replica` (drives the pure parts with sockets, disks and clocks), `server` (the cluster's duties),
`api` (HTTP), `client`, `cli`. Imports go down this list only.
"""

from quorate.version import __version__

# Type checkers know the name. `typing` is not imported: with `python -m quorate` the working folder
# comes first on the path until __main__ has removed it, and may hold a typing.py.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from quorate.errors import (
        ChangeOvertaken,
        ChangeRefused,
        CommandTooLarge,
        DataFolderInUse,
        LeadershipLost,
        LogDamaged,
        MachineHeld,
        NotBegun,
        NotLeader,
        NotReached,
        Overloaded,
        QuorateError,
        ReplicaStopped,
        StateDamaged,
        StorageFull,
        WrongDataFolder,
        WrongServers,
    )
    from quorate.net.tls.files import TlsFiles
    from quorate.raft.effects import Role
    from quorate.raft.settings import Settings
    from quorate.raft.values.configuration import (
        Change,
        ChangeKind,
        Configuration,
        Server,
        Suffrage,
    )
    from quorate.replica.options import Options
    from quorate.replica.replica import Replica
    from quorate.replica.serve import serve
    from quorate.replica.status import Status
    from quorate.runtime.ports import Read, StateMachine, Write
    from quorate.runtime.raft import PeerProgress
    from quorate.storage.folder.replica_folder import ReplicaFolder

__all__ = [
    "Change",
    "ChangeKind",
    "ChangeOvertaken",
    "ChangeRefused",
    "CommandTooLarge",
    "Configuration",
    "DataFolderInUse",
    "LeadershipLost",
    "LogDamaged",
    "MachineHeld",
    "NotBegun",
    "NotLeader",
    "NotReached",
    "Options",
    "Overloaded",
    "PeerProgress",
    "QuorateError",
    "Read",
    "Replica",
    "ReplicaFolder",
    "ReplicaStopped",
    "Role",
    "Server",
    "Settings",
    "StateDamaged",
    "StateMachine",
    "Status",
    "StorageFull",
    "Suffrage",
    "TlsFiles",
    "Write",
    "WrongDataFolder",
    "WrongServers",
    "__version__",
    "serve",
]

_HOMES = {
    "quorate.net.tls.files": ("TlsFiles",),
    "quorate.raft.effects": ("Role",),
    "quorate.raft.settings": ("Settings",),
    "quorate.raft.values.configuration": (
        *("Change", "ChangeKind", "Configuration", "Server", "Suffrage"),
    ),
    "quorate.replica.replica": ("Options", "Replica"),
    "quorate.replica.serve": ("serve",),
    "quorate.replica.status": ("Status",),
    "quorate.runtime.ports": ("Read", "StateMachine", "Write"),
    "quorate.runtime.raft": ("PeerProgress",),
    "quorate.storage.folder.replica_folder": ("ReplicaFolder",),
}
"""Where the names are defined; those that are not here are errors."""

if not TYPE_CHECKING:  # a type checker must not take every name for one of ours

    def __getattr__(name: str) -> object:
        """Load the module of a name of the library (PEP 562)."""
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module 'quorate' has no attribute {name!r}")
        home = next((h for h, names in _HOMES.items() if name in names), "quorate.errors")
        found = globals()[name] = getattr(import_module(home), name)
        return found

    def __dir__() -> list[str]:
        return sorted(__all__)
