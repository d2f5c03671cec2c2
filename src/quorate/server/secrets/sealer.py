"""From the items of a variable to the bytes that are replicated, and back.

Only a leader, before it proposes, seals; only a server that answers a read of values opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from quorate.state.tables.variables import Sealed

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(dict[str, str]).decode


class HasSealed(Protocol):
    """A variable's record, or what else says where and how items are sealed."""

    @property
    def namespace(self) -> str:
        """Of the variable."""

    @property
    def path(self) -> str:
        """Of the variable."""

    @property
    def data(self) -> bytes:
        """The sealed items."""

    @property
    def key_id(self) -> str:
        """The root key that they are sealed with; empty if they are in the clear."""

    @property
    def nonce(self) -> bytes:
        """What the cipher needs beside the key."""


class Sealer:
    """See the module. Items are packed in the order of their keys."""

    def seal(self, namespace: str, path: str, items: Mapping[str, str]) -> Sealed:
        """The bytes to replicate for that variable."""
        del namespace, path
        return Sealed(_pack(dict(sorted(items.items()))))

    def open(self, record: HasSealed) -> dict[str, str]:
        """The items of a record. Raises KeyMissing."""
        return _unpack(record.data)
