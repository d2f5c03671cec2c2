"""Typed clients of the HTTP API, one that waits and one for asyncio; for compatible servers.

Example:
    with Client("http://127.0.0.1:4646") as client:
        for server in client.raft_configuration().servers:
            print(server.node, server.leader)
"""

from typing import TYPE_CHECKING, Any

from quorate.client.async_client import AsyncClient
from quorate.client.calls.acl import (
    AclPolicy,
    AclPolicyListed,
    AclRole,
    AclToken,
    AclTokenListed,
    AclTransition,
)
from quorate.client.calls.backups import Backup, BackupList, PrunedBackups
from quorate.client.calls.call import Answer
from quorate.client.calls.models import (
    AgentSelf,
    AuditLane,
    AuditLog,
    AuditRecord,
    AutopilotConfiguration,
    Compacted,
    Compaction,
    Event,
    Health,
    Joined,
    Keyring,
    LiveRecovery,
    Member,
    Members,
    Metrics,
    Namespace,
    NamespaceCapabilities,
    OperatorHealth,
    PreemptionConfig,
    RaftConfiguration,
    RaftFacts,
    RaftServer,
    Rejoined,
    RestoreReport,
    RootKey,
    RootKeyRotated,
    RootKeys,
    SchedulerConfiguration,
    SchedulerUpdate,
    ServerHealth,
    StateSize,
    Transfer,
    UpgradeCheck,
    UpgradeServer,
    View,
    Views,
)
from quorate.client.calls.variables import (
    Operation,
    Page,
    Seen,
    Variable,
    VariableConflict,
    VariableMetadata,
)
from quorate.client.client import Client
from quorate.client.coordination.lock_steps import LockLost
from quorate.client.coordination.locks import Election, Lock
from quorate.client.coordination.watch import Change, Gap, TooMany
from quorate.client.errors import (
    AddressError,
    AnswerError,
    ClientError,
    RequestError,
    StateFull,
    StatusError,
    TlsError,
)
from quorate.client.transport.environment import Settings, settings_from_environment
from quorate.client.transport.tls import TlsOptions
from quorate.client.variables import AsyncVariables, Variables

if TYPE_CHECKING:
    from quorate.client.coordination.async_locks import AsyncElection, AsyncLock

__all__ = [
    "AclPolicy",
    "AclPolicyListed",
    "AclRole",
    "AclToken",
    "AclTokenListed",
    "AclTransition",
    "AddressError",
    "AgentSelf",
    "Answer",
    "AnswerError",
    "AsyncClient",
    "AsyncElection",
    "AsyncLock",
    "AsyncVariables",
    "AuditLane",
    "AuditLog",
    "AuditRecord",
    "AutopilotConfiguration",
    "Backup",
    "BackupList",
    "Change",
    "Client",
    "ClientError",
    "Compacted",
    "Compaction",
    "Election",
    "Event",
    "Gap",
    "Health",
    "Joined",
    "Keyring",
    "LiveRecovery",
    "Lock",
    "LockLost",
    "Member",
    "Members",
    "Metrics",
    "Namespace",
    "NamespaceCapabilities",
    "Operation",
    "OperatorHealth",
    "Page",
    "PreemptionConfig",
    "PrunedBackups",
    "RaftConfiguration",
    "RaftFacts",
    "RaftServer",
    "Rejoined",
    "RequestError",
    "RestoreReport",
    "RootKey",
    "RootKeyRotated",
    "RootKeys",
    "SchedulerConfiguration",
    "SchedulerUpdate",
    "Seen",
    "ServerHealth",
    "Settings",
    "StateFull",
    "StateSize",
    "StatusError",
    "TlsError",
    "TlsOptions",
    "TooMany",
    "Transfer",
    "UpgradeCheck",
    "UpgradeServer",
    "Variable",
    "VariableConflict",
    "VariableMetadata",
    "Variables",
    "View",
    "Views",
    "settings_from_environment",
]


def __getattr__(name: str) -> Any:
    """These import asyncio, which no command needs."""
    if name in {"AsyncElection", "AsyncLock"}:
        from quorate.client.coordination import async_locks

        return getattr(async_locks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
