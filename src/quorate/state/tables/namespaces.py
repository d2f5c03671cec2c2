"""Namespaces. For now there is the built-in one, which every server has from the start.

A namespace's hash is what today's servers send: BLAKE2b-256 over name, description and quota
(recomputed from the captured answers).
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import Final

from quorate.state.engine.table import OnRestore, Reader, Record, Table

DEFAULT: Final = "default"


class Namespace(Record, frozen=True, kw_only=True):
    """A name under which jobs and variables live."""

    name: str
    description: str = ""
    quota: str = ""

    def content_hash(self) -> bytes:
        """32 bytes that change when anything but the indexes changes."""
        content = (self.name + self.description + self.quota).encode()
        return hashlib.blake2b(content, digest_size=32).digest()


BUILT_IN: Final = Namespace(
    name=DEFAULT, description="Default shared namespace", create_index=1, modify_index=1
)

TABLE: Final = Table(
    name="namespaces",
    record=Namespace,
    on_restore=OnRestore.REPLACED,
    initial=MappingProxyType({DEFAULT: BUILT_IN}),
    initial_index=1,
)


def by_name(reader: Reader, name: str) -> Namespace | None:
    """The namespace of this name, or None."""
    return reader.get(TABLE, name)


def with_prefix(reader: Reader, prefix: str) -> list[Namespace]:
    """Those whose names begin with `prefix`, sorted by name."""
    return [record for _, record in reader.scan(TABLE, prefix)]
