"""Answers of the endpoints, as values (docs/http-api.md).

Invariant: any compatible server's answer can be read. A field that is missing or null takes its
default, an unknown one is ignored by type but kept: `raw` of the outermost value is the whole
answer, so that nothing a newer server says is lost when it is shown or written back.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import msgspec

from quorate.shapes import (
    agent,
    audit,
    compaction,
    events,
    namespaces,
    operator,
    root_keys,
    settings,
    state,
)
from quorate.shapes.agent import HealthOf, Member
from quorate.shapes.audit import AuditLane, AuditRecord
from quorate.shapes.compaction import Compacted
from quorate.shapes.namespaces import NamespaceCapabilities
from quorate.shapes.operator import RaftServer, ServerHealth, UpgradeServer, View
from quorate.shapes.root_keys import RootKey
from quorate.shapes.settings import PreemptionConfig

__all__ = [
    "AgentSelf",
    "AuditLane",
    "AuditLog",
    "AuditRecord",
    "AutopilotConfiguration",
    "Compacted",
    "Compaction",
    "Event",
    "Gauge",
    "Health",
    "HealthOf",
    "Joined",
    "Keyring",
    "LiveRecovery",
    "Member",
    "Members",
    "Metrics",
    "Namespace",
    "NamespaceCapabilities",
    "OperatorHealth",
    "PreemptionConfig",
    "RaftConfiguration",
    "RaftFacts",
    "RaftServer",
    "Rejoined",
    "RestoreReport",
    "RootKey",
    "RootKeyRotated",
    "RootKeys",
    "Sample",
    "SchedulerConfiguration",
    "SchedulerUpdate",
    "ServerHealth",
    "StateSize",
    "Transfer",
    "UpgradeCheck",
    "UpgradeServer",
    "View",
    "Views",
    "from_json",
    "to_json",
]

T = TypeVar("T")
RAW = "(raw)"  # no field of the API has such a name


class Model(Protocol):
    """The answers that are one object; `raw` is that object as it came."""

    @property
    def raw(self) -> dict[str, Any]:
        """The response as the server sent it."""


class RaftConfiguration(operator.RaftConfiguration, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/raft/configuration`. `index` is 0 from servers that do not know it."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class OperatorHealth(operator.OperatorHealth, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/autopilot/health`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class UpgradeCheck(operator.UpgradeCheck, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/upgrade` (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class RestoreReport(operator.RestoreReport, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/snapshot` with `details` or `dry-run` (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Views(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/raft/views` (Quorate's alone)."""

    servers: tuple[View, ...] = ()
    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class RaftFacts(operator.RaftFacts, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/raft/facts` (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Compaction(compaction.Compaction, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/raft/compact` (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AuditLog(audit.AuditLog, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/audit` (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class LiveRecovery(operator.LiveRecovery, frozen=True, kw_only=True, rename="pascal"):
    """`operator/recovery`, on the control socket (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Joined(agent.Joined, frozen=True, kw_only=True):
    """`PUT agent/join`. `error` is why none was reached, `warning` why some were not."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Rejoined(agent.Rejoined, frozen=True, kw_only=True, rename="pascal"):
    """`PUT agent/rejoin` (Quorate's alone)."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Keyring(agent.KeyringDetails, frozen=True, kw_only=True, rename="pascal"):
    """`agent/keyring/<operation>`; what details tell comes from Quorate only, if asked for."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Event(events.Event, frozen=True, kw_only=True, rename="pascal"):
    """One event of `GET event/stream`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Namespace(namespaces.Namespace, frozen=True, kw_only=True, rename="pascal"):
    """One of `GET namespaces`, or `GET namespace/<name>`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class RootKeys(msgspec.Struct, frozen=True, kw_only=True):
    """`GET operator/keyring/keys`; `raw` is the list as the server sent it."""

    keys: tuple[RootKey, ...] = ()
    raw: Any = None


class RootKeyRotated(root_keys.Rotated, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/keyring/rotate`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class StateSize(state.StateSize, frozen=True, kw_only=True, rename="pascal"):
    """`GET operator/state`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Transfer(operator.Transfer, frozen=True, kw_only=True, rename="pascal"):
    """`PUT operator/raft/transfer-leadership`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AutopilotConfiguration(
    settings.AutopilotConfiguration, frozen=True, kw_only=True, rename="pascal"
):
    """`operator/autopilot/configuration`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class SchedulerConfiguration(
    settings.SchedulerConfiguration, frozen=True, kw_only=True, rename="pascal"
):
    """The `SchedulerConfig` of `operator/scheduler/configuration`; `raw` is that object."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class SchedulerUpdate(settings.SchedulerUpdate, frozen=True, kw_only=True, rename="pascal"):
    """Answer to `PUT operator/scheduler/configuration`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Members(agent.Members, frozen=True, kw_only=True, rename="pascal"):
    """`GET agent/members`: the pool as the asked agent sees it."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class AgentSelf(agent.AgentSelf, frozen=True, kw_only=True):
    """`GET agent/self`. The own entry of an agent that is in no pool is empty."""

    member: Member = Member()
    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`GET agent/health`. A part that was not asked about, or is not there, is None."""

    server: HealthOf | None = None
    client: HealthOf | None = None
    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Sample(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A counter or a timing of one interval."""

    name: str = ""
    labels: dict[str, str] = {}
    count: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    mean: float = 0.0
    stddev: float = 0.0
    rate: float = 0.0


class Gauge(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A value that goes up and down."""

    name: str = ""
    labels: dict[str, str] = {}
    value: float = 0.0


class Metrics(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET metrics`: the last complete interval."""

    timestamp: str = ""
    counters: tuple[Sample, ...] = ()
    samples: tuple[Sample, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


def from_json(data: Any, model: type[T]) -> T:
    """Build `model` from decoded JSON. Raises msgspec.ValidationError naming the wrong field."""
    cleaned = _without_nulls(data)
    if isinstance(cleaned, dict):
        cleaned[RAW] = data
    return msgspec.convert(cleaned, model, strict=False)


def to_json(value: Model) -> dict[str, Any]:
    """The object to write back: the fields of `value` over whatever else it came with."""
    known = msgspec.to_builtins(value)
    raw = known.pop(RAW)
    merged: dict[str, Any] = {**raw, **known}
    for key, inner in known.items():
        if isinstance(inner, dict) and isinstance(raw.get(key), dict):
            merged[key] = {**raw[key], **inner}
    return merged


def _without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_nulls(v) for k, v in data.items() if v is not None}
    if isinstance(data, list):
        return [_without_nulls(v) for v in data]
    return data
