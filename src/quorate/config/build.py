"""From merged settings to the configuration record; its keys one by one, read and replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from quorate.config.keys.schema import dotted, is_block
from quorate.config.keys.spec import key_of, name_of
from quorate.config.model import AgentConfig
from quorate.config.read.value import Partial

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_R = TypeVar("_R", bound="DataclassInstance")


def build(settings: Partial) -> AgentConfig:
    """The configuration that these settings and the defaults make; not checked yet."""
    config = _record(AgentConfig, "", settings)
    known = dict(key_values(config))
    return dataclasses.replace(
        config,
        sources=MappingProxyType({name: each.source for name, each in settings.items()}),
        without_effect=MappingProxyType(
            {name: each.value for name, each in settings.items() if name not in known}
        ),
    )


def _record(record: type[_R], block: str, settings: Partial) -> _R:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        name = dotted(block, name_of(field))
        if is_block(field):
            inner: Any = field.default_factory
            values[field.name] = _record(inner, name, settings)
        elif key_of(field) is not None and name in settings:
            value = settings[name].value
            values[field.name] = MappingProxyType(value) if isinstance(value, dict) else value
    return record(**values)


def key_values(record: Any, block: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every key of a configuration record."""
    for field in dataclasses.fields(record):
        name = dotted(block, name_of(field))
        if is_block(field):
            yield from key_values(getattr(record, field.name), name)
        elif key_of(field) is not None:
            yield name, getattr(record, field.name)


def with_value(record: _R, name: str, value: Any) -> _R:
    """The same record with another value for one key, given by its dotted name."""
    first, _, rest = name.partition(".")
    field = next(each for each in dataclasses.fields(record) if name_of(each) == first)
    if rest:
        value = with_value(getattr(record, field.name), rest, value)
    return dataclasses.replace(record, **{field.name: value})
