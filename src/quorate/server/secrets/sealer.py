"""From the items of a variable to the bytes that are replicated, and back.

Only a leader, before it proposes, seals; only a server that answers a read of values opens.

Invariants: from the level of root keys on nothing is replicated in the clear. A leader seals only
once it has applied all that was written before its term, so the key that it takes for the active
one is not removed already; and with a salt drawn for its term (`server.secrets.cipher`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from quorate.errors import CannotSealYet, SealBroken
from quorate.server.secrets.cipher import SALT_BYTES, BadSeal, Sealing, open_with, place
from quorate.server.secrets.ring import KeyRing
from quorate.state.engine.store import StateStore
from quorate.state.tables.root_keys import ROOT_KEYS_LEVEL
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
        """The nonce that the cipher needs beside the key."""


class Sealer:
    """See the module. Items are packed in the order of their keys.

    `leads` says whether this server leads, and has applied all there was before. `draw` gives so
    many random bytes.
    """

    def __init__(
        self,
        state: StateStore,
        ring: KeyRing,
        leads: Callable[[], bool],
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._state = state
        self._ring = ring
        self._leads = leads
        self._draw = draw
        self._sealing: Sealing | None = None

    def renew(self) -> None:
        """This server begins to lead: another salt is drawn before it seals."""
        self._sealing = None

    def seal(self, namespace: str, path: str, items: Mapping[str, str]) -> Sealed:
        """The bytes to replicate for that variable. Raises CannotSealYet, KeyMissing."""
        in_order = items if len(items) == 1 else dict(sorted(items.items()))
        return self.seal_packed(namespace, path, _pack(in_order))

    def seal_packed(self, namespace: str, path: str, data: bytes) -> Sealed:
        """The same of items that are packed already."""
        if not self._leads():
            raise CannotSealYet
        sealing = self._sealing
        if sealing is None or sealing.key_id != self._ring.active_id or sealing.spent:
            key_id = self._ring.active_id
            if not key_id:
                if self._state.level < ROOT_KEYS_LEVEL:  # the write is refused, by its level
                    return Sealed(data)
                raise CannotSealYet
            root_key = self._ring.root_key(key_id)
            sealing = self._sealing = Sealing(key_id, root_key, self._draw(SALT_BYTES))
        sealed, nonce = sealing.seal(namespace, path, data)
        return Sealed(sealed, sealing.key_id, nonce)

    def open(self, record: HasSealed) -> dict[str, str]:
        """The items of a record. Raises KeyMissing, SealBroken."""
        try:
            return _unpack(self.packed(record))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise SealBroken(record.namespace, record.path, record.key_id) from None

    def packed(self, record: HasSealed) -> bytes:
        """The same, as they are packed."""
        key_id = record.key_id
        if not key_id:
            return record.data
        cipher = self._ring.cipher(key_id, record.nonce)
        where = place(record.namespace, record.path, key_id)
        try:
            return open_with(cipher, record.nonce, record.data, where)
        except BadSeal:
            raise SealBroken(record.namespace, record.path, key_id) from None
