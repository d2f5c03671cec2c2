"""The kinds of fields that shapes have, and making a shape of records that have its values.

A shape is written and read as JSON: its fields have the names and the order of today's servers, and
their zero values as defaults, so that any server's answer can be read.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, Generic, TypeVar, get_origin

import msgspec

from quorate.wire.go.duration import format_duration

T = TypeVar("T", bound=msgspec.Struct)

UINT64: Final = msgspec.Meta(extra={"kind": "uint64"})
INT64: Final = msgspec.Meta(extra={"kind": "int64"})
DURATION: Final = msgspec.Meta(extra={"kind": "duration"})
INDEX: Final = msgspec.Meta(extra={"kind": "index"})

Uint64 = Annotated[int, UINT64]
Int64 = Annotated[int, INT64]
Duration = Annotated[str, DURATION]
"""A duration as Go writes it (`200ms`); records have it as whole nanoseconds, `<name>_ns`."""
Index = Annotated[int, INDEX]
"""Of a log entry: never read from a request, and 0 where a source has none."""


def kind_of(field: msgspec.structs.FieldInfo) -> Any:
    """The mark of an annotated field, or its type."""
    if get_origin(field.type) is Annotated:
        return field.type.__metadata__[0]
    return field.type


def attribute_of(field: msgspec.structs.FieldInfo) -> str:
    """The attribute that a record has for this field."""
    return f"{field.name}_ns" if kind_of(field) is DURATION else field.name


class _Source(msgspec.Struct, frozen=True):
    """Where the value of one field comes from."""

    name: str
    attribute: str
    shape: type[msgspec.Struct] | None
    is_duration: bool
    is_index: bool


@cache
def _sources(target: type[msgspec.Struct]) -> tuple[_Source, ...]:
    found = []
    for field in msgspec.structs.fields(target):
        kind = kind_of(field)
        inner = kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None
        is_index = kind is INDEX or field.name in {"create_index", "modify_index"}
        source = _Source(field.name, attribute_of(field), inner, kind is DURATION, is_index)
        found.append(source)
    return tuple(found)


class Shown(Generic[T]):
    """A shape of one record, made again only for another one: records never change."""

    def __init__(self, target: type[T]) -> None:
        self._target = target
        self._record: object = None
        self._shape: T | None = None

    def of(self, record: object) -> T:
        """The shape of this record."""
        if self._shape is None or record is not self._record:
            self._record, self._shape = record, made(self._target, record)
        return self._shape


def made(target: type[T], *sources: object, **given: Any) -> T:
    """A `target` of the attributes of the sources, by name; the first that has it counts.

    An object in an object is made of the same sources. `given` comes before all of them. Raises
    AttributeError if a field has no source.
    """
    values = dict(given)
    for wanted in _sources(target):
        if wanted.name not in values:
            values[wanted.name] = _value(wanted, sources)
    return target(**values)


def _value(wanted: _Source, sources: tuple[object, ...]) -> Any:
    if wanted.shape is not None:
        return made(wanted.shape, *sources)
    for source in sources:
        value = getattr(source, wanted.attribute, msgspec.UNSET)
        if value is not msgspec.UNSET:
            return format_duration(value) if wanted.is_duration else value
    if wanted.is_index:
        return 0
    raise AttributeError(f"nothing has {wanted.attribute}")
