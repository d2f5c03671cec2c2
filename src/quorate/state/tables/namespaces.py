"""Namespaces: the built-in one, which every server has from the start, and those of operators.

A namespace's hash is what today's servers send: BLAKE2b-256 over name, description, quota, the
drivers of its capabilities, and its meta data by key (recomputed from the captured answers).
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from quorate.state.engine.table import Command, OnRestore, Reader, Record, Table, Tables
from quorate.state.tables import limits, variables

_encode = msgspec.msgpack.Encoder().encode

DEFAULT: Final = "default"

NAMESPACES_LEVEL: Final = 3
"""The feature level from which on namespaces are written."""

NAMESPACES_MAX: Final = 4096
"""A list of all of them stays below a megabyte."""

ROW_BYTES: Final = 1024
"""Memory of a row beside its texts."""

Meta = tuple[tuple[str, str], ...]
"""Keys and values, in the order of the keys."""


class Capabilities(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Task drivers that jobs of a namespace may or may not use. None: nothing was said."""

    disabled_task_drivers: tuple[str, ...] | None = None
    enabled_task_drivers: tuple[str, ...] | None = None


class Namespace(Record, frozen=True, kw_only=True):
    """A name under which jobs and variables live. Quota, meta data and capabilities are kept."""

    name: str
    description: str = ""
    quota: str = ""
    meta: Meta = ()
    capabilities: Capabilities | None = None

    def content_hash(self) -> bytes:
        """32 bytes that change when anything but the indexes changes."""
        parts = [self.name, self.description, self.quota]
        if self.capabilities is not None:
            parts += self.capabilities.enabled_task_drivers or ()
            parts += self.capabilities.disabled_task_drivers or ()
        for pair in self.meta:
            parts += pair
        return hashlib.blake2b("".join(parts).encode(), digest_size=32).digest()


class UpsertNamespace(Command, frozen=True, kw_only=True):
    """Write a namespace; the indexes inside `namespace` do not matter.

    Result: empty, or why it is not written.
    """

    TYPE: ClassVar[int] = 24
    LEVEL: ClassVar[int] = NAMESPACES_LEVEL

    namespace: Namespace

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        name = self.namespace.name
        if tables.get(TABLE, name) is None and len(tables.rows(TABLE)) >= NAMESPACES_MAX:
            return f"there are {NAMESPACES_MAX} namespaces, which is the most there can be"
        tables.put(TABLE, name, self.namespace, index)
        return ""


class DeleteNamespace(Command, frozen=True, kw_only=True):
    """Delete a namespace that holds no variables; one that is not there is no error.

    Result: empty, or why it is not deleted.
    """

    TYPE: ClassVar[int] = 25
    LEVEL: ClassVar[int] = NAMESPACES_LEVEL

    name: str

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        if self.name == DEFAULT:
            return "can not delete default namespace"
        inside = variables.any_in(tables, self.name)
        if inside is not None:
            return f"it holds variables, among them {inside.path}: delete them first"
        tables.delete(TABLE, self.name, index)
        tables.delete(limits.TABLE, self.name, index)
        return ""


def weigh(row: Namespace) -> tuple[str, int]:
    """No namespace, since it counts against no namespace's bound; and the memory that it takes."""
    return "", ROW_BYTES + 2 * len(_encode(row))


BUILT_IN: Final = Namespace(
    name=DEFAULT, description="Default shared namespace", create_index=1, modify_index=1
)

TABLE: Final = Table(
    name="namespaces",
    record=Namespace,
    on_restore=OnRestore.REPLACED,
    commands=(UpsertNamespace, DeleteNamespace),
    initial=MappingProxyType({DEFAULT: BUILT_IN}),
    initial_index=1,
    weigh=weigh,
)


def by_name(reader: Reader, name: str) -> Namespace | None:
    """The namespace of this name, or None."""
    return reader.get(TABLE, name)


def with_prefix(reader: Reader, prefix: str) -> list[Namespace]:
    """Those whose names begin with `prefix`, sorted by name."""
    return [record for _, record in reader.scan(TABLE, prefix)]
