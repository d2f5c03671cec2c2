"""The specification of one key: its kind, how it merges, whether it does anything.

The records of `model` are written with `key(...)`, so that the name, the default and the rules
of a key stand in one place; `schema` reads them from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_METADATA: Final = "key"


class Kind(StrEnum):
    """The type of a value, as the reference page names it."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STRING = "string"
    DURATION = "duration"
    LIST = "list"
    MAP = "map"
    FILTERS = "blocks"  # that have labels: filters of the audit
    ANY = "any"  # not looked at; only for what has no effect


class Merge(StrEnum):
    """The effect of a later file or flag on a value that is there already.

    See docs/configuration.md#files-flags-and-order.
    """

    SET = "set"  # replaces it, unless the later value is false, 0, "" or []
    GIVEN = "given"  # replaces it whenever it is written: "unset" is known
    APPEND = "append"  # a list that grows
    MAP = "map"  # key by key


class Effect(StrEnum):
    """Whether setting a key to something else than its default changes what a server does."""

    LIVE = "live"  # yes, and SIGHUP applies a new value
    RESTART = "restart"  # yes, at the next start
    GRANTED = "granted"  # it asks for what is always so
    REFUSED = "refused"  # not supported yet: a start with it ends with an error
    NONE = "none"  # accepted, and warned about


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The rules of one key. `minimum` bounds numbers and durations from below."""

    kind: Kind
    default: Any = None
    merge: Merge = Merge.SET
    effect: Effect = Effect.NONE
    minimum: int = 0


def key(
    default: _T,
    *,
    merge: Merge = Merge.SET,
    effect: Effect = Effect.RESTART,
    minimum: int = 0,
    secret: bool = False,
    kind: Kind | None = None,
) -> _T:
    """A field of a configuration record that is a key with this default.

    The value of a `secret` one never appears in the text form of a record. Without a `kind` it is
    told by the default.
    """
    rules: dict[str, Any] = {"merge": merge, "effect": effect, "minimum": minimum}
    if kind is not None:
        rules["kind"] = kind
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: default, metadata={_METADATA: rules})
    return dataclasses.field(default=default, repr=not secret, metadata={_METADATA: rules})


def name_of(field: dataclasses.Field[Any]) -> str:
    """The key's name in a file: a duration's field says its unit, the key does not."""
    return field.name.removesuffix("_ns")


def key_of(field: dataclasses.Field[Any]) -> Key | None:
    """The rules written with `key(...)`, or None if the field is no key."""
    rules = field.metadata.get(_METADATA)
    if rules is None:
        return None
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    return Key(**{"kind": _kind(field.name, default), "default": default, **rules})


def _kind(field_name: str, default: object) -> Kind:
    if field_name.endswith("_ns"):
        return Kind.DURATION
    by_type: dict[type, Kind] = {
        bool: Kind.BOOL,
        int: Kind.INT,
        float: Kind.FLOAT,
        str: Kind.STRING,
        tuple: Kind.LIST,
    }
    return by_type.get(type(default), Kind.MAP)
