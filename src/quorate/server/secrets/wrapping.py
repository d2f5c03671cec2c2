"""Wrapping keys: root keys lie in the replicated state wrapped, if a server is given such a key.

A wrapping key comes from outside the cluster and never travels: not in the log, not in a snapshot,
not in a call. Its ID, which follows from the key, stands beside what it wraps. Of several keys the
first one wraps; the others only unwrap what they had wrapped before, while they are being replaced.

A wrapped root key is the nonce of AES-256-GCM (12 bytes), the ciphertext and the tag; additional
data are the IDs of both keys.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quorate.errors import KeyMissing, QuorateError, WrappingKeyMissing
from quorate.server.secrets.cipher import KEY_BYTES
from quorate.state.engine.table import Reader
from quorate.state.tables import root_keys
from quorate.state.tables.root_keys import RootKey

KEYS_MAX: Final = 8
NO_KEY: Final = "none"
"""As the first line: root keys are unwrapped, and not wrapped any more."""

_NONCE_BYTES: Final = 12
_ID_LABEL: Final = b"quorate wrapping key 1\0"
_ID_DIGITS: Final = 16


def id_of(key: bytes) -> str:
    """The ID of a wrapping key: it tells nothing of the key."""
    return sha256(_ID_LABEL + key).hexdigest()[:_ID_DIGITS]


class Wrapping:
    """The wrapping keys of one server, each of 32 bytes.

    Without `first_wraps` none is used to wrap: what is wrapped is unwrapped.
    """

    def __init__(
        self,
        keys: tuple[bytes, ...] = (),
        *,
        first_wraps: bool = True,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        assert all(len(key) == KEY_BYTES for key in keys), "wrapping keys have 32 bytes"
        self._ciphers = {id_of(key): AESGCM(key) for key in keys}
        self._draw = draw
        self.ids = frozenset(self._ciphers)
        self.current_id = id_of(keys[0]) if keys and first_wraps else ""

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Wrapping({', '.join(sorted(self.ids))})"

    def take(self, other: Wrapping, state: Reader) -> bool:
        """Have the keys of another one from now on; whether they are others.

        Raises QuorateError, with the keys as they were, if a key is gone that is still needed.
        """
        gone = (needed(state) & self.ids) - other.ids
        if gone:
            raise QuorateError(
                f"the wrapping keys stay as they are: root keys are wrapped with {min(gone)}, "
                "which is not among the new ones",
                "write the new key above it; it may go when `quorate operator root keyring list` "
                "does not name it any more",
            )
        before = (self.ids, self.current_id)
        self._ciphers, self.ids, self.current_id = other._ciphers, other.ids, other.current_id
        return (self.ids, self.current_id) != before

    def wrap(self, key_id: str, root_key: bytes) -> tuple[bytes, str]:
        """The root key as it is replicated, and the ID of what wraps it; empty: in the clear."""
        wrapped_by = self.current_id
        if not wrapped_by:
            return root_key, ""
        nonce = self._draw(_NONCE_BYTES)
        sealed = self._ciphers[wrapped_by].encrypt(nonce, root_key, _place(key_id, wrapped_by))
        return nonce + sealed, wrapped_by

    def unwrap(self, key_id: str, row: RootKey) -> bytes:
        """The 32 bytes of a root key. Raises WrappingKeyMissing, KeyMissing."""
        key = row.key
        if row.wrapped_by:
            cipher = self._ciphers.get(row.wrapped_by)
            if cipher is None:
                raise WrappingKeyMissing(key_id, row.wrapped_by)
            nonce, sealed = key[:_NONCE_BYTES], key[_NONCE_BYTES:]
            try:
                key = cipher.decrypt(nonce, sealed, _place(key_id, row.wrapped_by))
            except (InvalidTag, ValueError):
                raise KeyMissing(key_id) from None
        if len(key) != KEY_BYTES:
            raise KeyMissing(key_id)
        return key

    def stale(self, state: Reader) -> list[tuple[str, RootKey]]:
        """The root keys that are not wrapped as they should be, as far as that is known here."""
        if not self.ids:
            return []
        rows = state.rows(root_keys.TABLE).items()
        return [(key_id, row) for key_id, row in rows if row.wrapped_by != self.current_id]

    def lack(self, state: Reader) -> list[str]:
        """The IDs of wrapping keys that root keys of the state need, and this server lacks."""
        return sorted(needed(state) - self.ids)


NO_WRAPPING: Final = Wrapping()


def needed(state: Reader) -> frozenset[str]:
    """The IDs of the keys that wrap root keys of the state; empty: they are in the clear."""
    rows = state.rows(root_keys.TABLE).values()
    return frozenset(row.wrapped_by for row in rows if row.wrapped_by)


def parsed(text: str, where: str) -> Wrapping:
    """The keys in a text: base64 of 32 bytes a line, the one that wraps first. Raises QuorateError.

    Empty lines, and those that begin with #, are skipped. The error never holds what was read.
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    first_wraps = lines[:1] != [NO_KEY]
    given = lines if first_wraps else lines[1:]
    keys = []
    for number, line in enumerate(given, start=1):
        try:
            key = b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise QuorateError(
                f"{where}: key {number} is not base64 of {KEY_BYTES} bytes",
                "make one with: head -c 32 /dev/urandom | base64",
            )
        keys.append(key)
    if not 1 <= len(keys) <= KEYS_MAX:
        raise QuorateError(
            f"{where}: it has {len(keys)} keys, and 1 to {KEYS_MAX} are taken",
            "write one key a line, the one that is to wrap first",
        )
    return Wrapping(tuple(keys), first_wraps=first_wraps)


def _place(key_id: str, wrapped_by: str) -> bytes:
    return f"{key_id}\0{wrapped_by}".encode()
