"""From change records to events: which table makes events of which topic, and what they show.

What an event keeps is small: of a variable its metadata, never its items; of a token no secret.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

import msgspec

from quorate.server.access.shown import policy_shown, role_shown, token_shown
from quorate.server.views.journal import entry_of
from quorate.server.views.namespaces import shown
from quorate.shapes import events as shapes
from quorate.shapes.variables import VariableMetadata
from quorate.state.engine.changes import Change
from quorate.state.engine.table import Reader
from quorate.state.tables import journal, namespaces, variables
from quorate.state.tables.acl import policies, roles, tokens
from quorate.state.tables.acl.policies import AclPolicy
from quorate.state.tables.acl.roles import AclRole
from quorate.state.tables.acl.tokens import AclToken
from quorate.state.tables.journal import JournalRecord
from quorate.state.tables.namespaces import Namespace

NAMESPACE: Final = "Namespace"
VARIABLE: Final = "Variable"
OPERATOR: Final = "Operator"
OF_TOKENS: Final = "ACLToken"
OF_POLICIES: Final = "ACLPolicy"
OF_ROLES: Final = "ACLRole"

_TYPES: Final = MappingProxyType(
    {
        journal.ELECTION: "LeaderElected",
        journal.MEMBERSHIP: "MembershipChanged",
        journal.LEVEL: "LevelRaised",
        journal.SETTING: "SettingChanged",
        journal.ACT: "OperatorAct",
        journal.RESTORE: "OperatorAct",
    }
)
_OTHER_TYPE: Final = "Told"

_VARIABLES: Final = variables.TABLE.name
_EVENT_BYTES: Final = 400  # what an event takes besides its texts, encoded too


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event before it is encoded. `shown` is its payload, under `word`; `size` about bytes.

    It is found by its key, and by its `filter_keys`.
    """

    topic: str
    type: str
    key: str
    namespace: str
    word: str
    shown: msgspec.Struct
    index: int
    size: int
    filter_keys: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """Its JSON."""
        return _encode(
            shapes.Event(
                filter_keys=self.filter_keys or None,
                index=self.index,
                key=self.key,
                namespace=self.namespace,
                payload={self.word: self.shown},
                topic=self.topic,
                type=self.type,
            )
        )


_encode: Final = msgspec.json.Encoder().encode


Outline = tuple[str, str, int, int, int, int, int, bool]
"""What an event of a variable needs: see `outline_of`."""

_outline: Final = attrgetter(
    *("namespace", "path", "create_index", "create_time", "modify_index", "modify_time")
)


def outline_of(change: Change) -> Outline | None:
    """The least to keep until the event of a change of a variable is asked for; else None.

    The same few of its fields that the event has: the record would hold its items as well.
    """
    if change.table != _VARIABLES:
        return None
    new = change.new
    return (*_outline(change.old if new is None else new), change.index, new is None)


def outlined_bytes(outline: Outline) -> int:
    """The size of its event."""
    return _EVENT_BYTES + 4 * len(outline[1])


def outlined(outline: Outline) -> Event:
    """The event."""
    namespace, path, create_index, create_time, modify_index, modify_time, index, deleted = outline
    return Event(
        topic=VARIABLE,
        type="VariableDeleted" if deleted else "VariableUpserted",
        key=path,
        namespace=namespace,
        word="Variable",
        shown=VariableMetadata(
            create_index=create_index,
            create_time=create_time,
            modify_index=modify_index,
            modify_time=modify_time,
            namespace=namespace,
            path=path,
        ),
        index=index,
        size=outlined_bytes(outline),
    )


def event_of(reader: Reader, change: Change) -> Event | None:
    """The event of a change; None for what is not told. `reader` is the state after it."""
    make = _MAKERS.get(change.table)
    return None if make is None else make(reader, change)


def _namespace(_: Reader, change: Change) -> Event:
    record: Any = change.old if change.new is None else change.new
    assert isinstance(record, Namespace)
    size = sum(len(key) + len(value) for key, value in record.meta) + len(record.description)
    return Event(
        topic=NAMESPACE,
        type="NamespaceDeleted" if change.new is None else "NamespaceUpserted",
        key=record.name,
        namespace="",
        word="Namespace",
        shown=shown(record),
        index=change.index,
        size=_EVENT_BYTES + 2 * size,
    )


def _variable(_: Reader, change: Change) -> Event:
    outline = outline_of(change)
    assert outline is not None, "it is of that table"
    return outlined(outline)


def _token(reader: Reader, change: Change) -> Event:
    record: Any = change.old if change.new is None else change.new
    assert isinstance(record, AclToken)
    return Event(
        topic=OF_TOKENS,
        type="ACLTokenDeleted" if change.new is None else "ACLTokenUpserted",
        key=change.key,
        namespace="",
        word=OF_TOKENS,
        shown=token_shown(reader, change.key, record),
        index=change.index,
        size=_EVENT_BYTES + tokens.weigh(record)[1],
    )


def _policy(_: Reader, change: Change) -> Event:
    record: Any = change.old if change.new is None else change.new
    assert isinstance(record, AclPolicy)
    return Event(
        topic=OF_POLICIES,
        type="ACLPolicyDeleted" if change.new is None else "ACLPolicyUpserted",
        key=change.key,
        namespace="",
        word=OF_POLICIES,
        shown=policy_shown(record, whole=False),
        index=change.index,
        size=_EVENT_BYTES + policies.weigh(record)[1],
    )


def _role(_: Reader, change: Change) -> Event:
    record: Any = change.old if change.new is None else change.new
    assert isinstance(record, AclRole)
    return Event(
        topic=OF_ROLES,
        type="ACLRoleDeleted" if change.new is None else "ACLRoleUpserted",
        key=change.key,
        namespace="",
        word=OF_ROLES,
        shown=role_shown(change.key, record),
        index=change.index,
        size=_EVENT_BYTES + roles.weigh(record)[1],
        filter_keys=(record.name,),
    )


def _told(reader: Reader, change: Change) -> Event | None:
    record: Any = change.new
    if record is None or change.old is not None:
        return None  # the journal forgets its oldest record
    assert isinstance(record, JournalRecord)
    if record.kind == journal.REFUSAL:
        return None  # it may name what the readers of events may not see
    entry = entry_of(reader, record)
    told = shapes.Told(
        by=entry.by,
        by_name=entry.by_name,
        cause=entry.cause,
        details=dict(entry.details),
        force=entry.force,
        kind=entry.kind,
        name=entry.name,
        subject=entry.subject,
        time=_time(entry.time_ms),
        what=entry.what,
    )
    size = sum(len(name) + len(text) for name, text in entry.details)
    return Event(
        topic=OPERATOR,
        type=_TYPES.get(record.kind, _OTHER_TYPE),
        key=record.subject,
        namespace="",
        word="Operator",
        shown=told,
        index=change.index,
        size=_EVENT_BYTES + 2 * size,
    )


def _time(unix_ms: int) -> str:
    """RFC 3339; empty for a time that no calendar has (a clock that was far off)."""
    try:
        moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_MAKERS: Final[dict[str, Callable[[Reader, Change], Event | None]]] = {
    namespaces.TABLE.name: _namespace,
    policies.TABLE.name: _policy,
    roles.TABLE.name: _role,
    tokens.TABLE.name: _token,
    variables.TABLE.name: _variable,
    journal.TABLE.name: _told,
}

TOLD: Final = frozenset(_MAKERS)
"""The tables whose changes may be events."""
