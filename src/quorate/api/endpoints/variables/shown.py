"""Records of variables as the API shows them."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from quorate.api.parts import Sealer
from quorate.shapes.variables import Variable as VariableJson
from quorate.shapes.variables import VariableLock, VariableMetadata
from quorate.state.tables.variables import Variable
from quorate.wire.go.duration import format_duration


def _lock_of(record: Variable) -> VariableLock | msgspec.UnsetType:
    if not record.lock_id:
        return msgspec.UNSET
    return VariableLock(
        fence=record.lock_fence,
        id=record.lock_id,
        lock_delay=format_duration(record.lock_delay_ns),
        ttl=format_duration(record.lock_ttl_ns),
    )


def metadata_of(record: Variable) -> VariableMetadata:
    """The metadata that lists show."""
    return VariableMetadata(
        create_index=record.create_index,
        create_time=record.create_time,
        lock=_lock_of(record),
        modify_index=record.modify_index,
        modify_time=record.modify_time,
        namespace=record.namespace,
        path=record.path,
    )


def variable_of(record: Variable, items: dict[str, str]) -> VariableJson:
    """A variable with its items, in the order of their keys."""
    return VariableJson(
        create_index=record.create_index,
        create_time=record.create_time,
        items=items if len(items) == 1 else dict(sorted(items.items())),
        lock=_lock_of(record) if record.lock_id else msgspec.UNSET,
        modify_index=record.modify_index,
        modify_time=record.modify_time,
        namespace=record.namespace,
        path=record.path,
    )


def current_of(
    record: Variable | None, namespace: str, path: str, sealer: Sealer | None
) -> VariableJson:
    """The variable as it is now; all zero where there is none. Raises KeyMissing, SealBroken.

    Without a sealer its items are null: for a caller that may not read them.
    """
    if record is None:
        return VariableJson(namespace=namespace, path=path)
    if sealer is None:
        return replace(variable_of(record, {}), items=None)
    return variable_of(record, sealer.open(record))
