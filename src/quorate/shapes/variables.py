"""Variables as the API shows them (docs/http-api.md#variables)."""

from __future__ import annotations

import msgspec


class VariableLock(msgspec.Struct, frozen=True, kw_only=True):
    """The lock of a variable that is held. Times are durations as Go writes them.

    `fence` is the fencing number (Quorate's alone): it rises with each holder.
    """

    fence: int = msgspec.field(name="Fence", default=0)
    id: str = msgspec.field(name="ID", default="")
    lock_delay: str = msgspec.field(name="LockDelay", default="")
    ttl: str = msgspec.field(name="TTL", default="")


class VariableMetadata(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A row of `GET vars`. Times are Unix nanoseconds; a lock is there while it is held."""

    create_index: int = 0
    create_time: int = 0
    lock: VariableLock | msgspec.UnsetType = msgspec.UNSET
    modify_index: int = 0
    modify_time: int = 0
    namespace: str = ""
    path: str = ""


class Variable(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A variable with its items; they are null where there is no variable."""

    create_index: int = 0
    create_time: int = 0
    items: dict[str, str] | None = None
    lock: VariableLock | msgspec.UnsetType = msgspec.UNSET
    modify_index: int = 0
    modify_time: int = 0
    namespace: str = ""
    path: str = ""


class VariablesWritten(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Answer to `PUT vars/write`: what is there after each operation, null after a deletion."""

    index: int = 0
    variables: list[VariableMetadata | None] = []


class VariablesConflict(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Answer of status 409 to `PUT vars/write`: nothing was written.

    `operation` is the first whose condition did not hold, from 0 on; `variable` is as it is now.
    """

    operation: int = 0
    variable: Variable = Variable()
