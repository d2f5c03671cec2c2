"""The one table from errors to HTTP: the status, and the text where clients know another one.

The body is the error's text alone, as today's servers send it. Our addition is two headers that
any client may ignore: `X-Quorate-Error`, the kind of error, for programs, and `X-Quorate-Next`,
what to do next, for people. Both travel with a forwarded answer.
"""

from __future__ import annotations

import re
from typing import Final

from quorate.acl.invalid import AclInvalid
from quorate.api.codec.encode import text_response
from quorate.api.http.messages import Header, Response
from quorate.errors import (
    ApplyTimeout,
    AuditUnwritable,
    BackupFailed,
    ChangeRefused,
    GossipDisabled,
    KeyMissing,
    LeadershipLost,
    LevelTooLow,
    MachineHeld,
    NoBackupTarget,
    NoLeader,
    NoPathToRegion,
    NoSuchBackup,
    NoSuchNamespace,
    NoSuchRole,
    NoSuchRootKey,
    NotCaughtUp,
    NotLeader,
    NotReady,
    PeerNotFound,
    PermissionDenied,
    QuorateError,
    RestoreRefused,
    RestoreUnderWay,
    SealBroken,
    StateDamaged,
    StateFull,
    StorageFull,
    StorageStalled,
    TokensNotCurrent,
)

ERROR_HEADER: Final = b"X-Quorate-Error"
NEXT_HEADER: Final = b"X-Quorate-Next"

# Derived classes come under their nearest base. 500 is what today's servers answer and what
# clients retry on; the others are cases that today's servers do not have.
STATUS: Final[dict[type[QuorateError], int]] = {
    QuorateError: 500,
    NoLeader: 500,
    NotLeader: 500,
    NotReady: 500,
    LeadershipLost: 500,
    ApplyTimeout: 500,
    KeyMissing: 500,
    NoSuchRootKey: 404,
    NoSuchRole: 404,
    NoSuchNamespace: 404,
    NoBackupTarget: 501,
    NoSuchBackup: 404,
    BackupFailed: 500,
    SealBroken: 500,
    PermissionDenied: 403,
    AuditUnwritable: 500,
    TokensNotCurrent: 503,
    AclInvalid: 400,
    NoPathToRegion: 500,
    GossipDisabled: 501,
    PeerNotFound: 500,
    ChangeRefused: 409,
    LevelTooLow: 503,  # 409 has the variable in its body, for clients that know it
    RestoreRefused: 409,
    RestoreUnderWay: 503,
    StorageFull: 507,
    StateFull: 507,
    StorageStalled: 503,
    StateDamaged: 503,
    MachineHeld: 503,
    NotCaughtUp: 503,
}

# To a client "not the leader" means that nobody was found who is.
TEXT: Final[dict[type[QuorateError], str]] = {NotLeader: "No cluster leader"}

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_NOT_FOR_A_HEADER: Final = re.compile(r"[^\x20-\x7e]+")


def status_of(error: QuorateError) -> int:
    """The status of the nearest base in the table."""
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def kind_of(error: type[QuorateError]) -> str:
    """The kind as programs read it: PeerNotFound is "peer-not-found"."""
    return _CAPITAL.sub("-", error.__name__).lower()


def error_response(error: QuorateError, *, status: int | None = None) -> Response:
    """The answer to a request that ended in `error`; `status` overrides the table's."""
    headers: list[Header] = [(ERROR_HEADER, kind_of(type(error)).encode())]
    if error.next_step:
        next_step = _NOT_FOR_A_HEADER.sub(" ", error.next_step).strip()
        headers.append((NEXT_HEADER, next_step.encode()))
    text = TEXT.get(type(error), error.text)
    return text_response(status or status_of(error), text, headers=headers)
