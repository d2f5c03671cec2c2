"""Requests about the lock of a variable. See docs/http-api.md#variables."""

from __future__ import annotations

import re
import uuid
from enum import Enum
from typing import Any, Final

import msgspec

from quorate.api.codec.encode import text_response
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.state.engine.table import Command
from quorate.state.tables.locks import LOCKS_MAX, AcquireLock, ReleaseLock, RenewLock
from quorate.state.tables.variables import Conflict, Sealed, Why
from quorate.wire.go.duration import HOUR, SECOND, format_duration

TTL_MIN_NS: Final = 10 * SECOND
TTL_MAX_NS: Final = 24 * HOUR
DEFAULT_NS: Final = 15 * SECOND
"""Of the TTL, and of the delay."""

_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")


class LockOperation(Enum):
    """The query parameters; their presence counts."""

    ACQUIRE = "lock-acquire"
    RENEW = "lock-renew"
    RELEASE = "lock-release"


_OPERATIONS: Final = frozenset(each.value for each in LockOperation)


class AskedLock(msgspec.Struct, frozen=True):
    """A checked request. Times are in nanoseconds."""

    operation: LockOperation
    lock_id: str
    ttl_ns: int
    delay_ns: int


def lock_operation(call: Call) -> LockOperation | None:
    """The operation that is asked for, None if none is. Raises RequestError."""
    values = call.query.values
    if _OPERATIONS.isdisjoint(values):
        return None
    found = [each for each in LockOperation if each.value in values]
    if len(found) > 1:
        raise RequestError("multiple lock operations")
    if "cas" in values:
        raise RequestError("CAS can't be used with lock operations")
    return found[0]


def asked_lock(operation: LockOperation, fields: dict[str, Any]) -> AskedLock:
    """The lock that the fields of a body describe, checked. Raises RequestError."""
    lock_id = fields.get("lock_id", "")
    if lock_id and not _ID.match(lock_id):
        raise RequestError("Lock: ID: a lock's ID is 1 to 128 of letters, digits, - and _")
    if operation is not LockOperation.ACQUIRE and not lock_id:
        raise RequestError("Lock: ID: the ID that the acquiring answer gave is required")
    ttl_ns = fields.get("ttl_ns", 0) or DEFAULT_NS
    if not TTL_MIN_NS <= ttl_ns <= TTL_MAX_NS:
        raise RequestError(f"Lock: TTL: {format_duration(ttl_ns)} is not 10s to 24h")
    delay_ns = fields.get("delay_ns", DEFAULT_NS)
    if not 0 <= delay_ns <= TTL_MAX_NS:
        raise RequestError(f"Lock: LockDelay: {format_duration(delay_ns)} is not 0s to 24h")
    return AskedLock(operation, lock_id or str(uuid.uuid4()), ttl_ns, delay_ns)


def lock_command(
    asked: AskedLock, namespace: str, path: str, time_ns: int, items: Sealed, *, keep: bool
) -> Command:
    """The command of the operation; `keep` leaves the items of a variable that is there."""
    match asked.operation:
        case LockOperation.RENEW:
            return RenewLock(namespace=namespace, path=path, lock_id=asked.lock_id)
        case LockOperation.RELEASE:
            return ReleaseLock(
                namespace=namespace, path=path, lock_id=asked.lock_id, time_ns=time_ns
            )
    return AcquireLock(
        namespace=namespace,
        path=path,
        time_ns=time_ns,
        lock_id=asked.lock_id,
        ttl_ns=asked.ttl_ns,
        delay_ns=asked.delay_ns,
        data=items.data,
        key_id=items.key_id,
        nonce=items.nonce,
        keep=keep,
    )


def lock_refusal(operation: LockOperation, conflict: Conflict) -> Response | None:
    """The answer to a lost lock; None where the variable as it is now is the answer."""
    match conflict.why:
        case Why.MISSING:
            return text_response(404, "variable doesn't exist")
        case Why.NOT_HELD:
            return text_response(409, "variable doesn't hold a lock")
        case Why.LOCKED if operation is not LockOperation.ACQUIRE:
            return text_response(409, "attempting to modify locked variable")
        case Why.TOO_MANY:
            return text_response(429, f"there are {LOCKS_MAX} locks, and no more may be")
    return None
