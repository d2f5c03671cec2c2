"""The key ring of one server: the replicated root keys, ready for use."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quorate.errors import KeyMissing
from quorate.server.secrets.cipher import SALT_BYTES, data_cipher
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping
from quorate.state.engine.changes import Change
from quorate.state.engine.store import StateStore
from quorate.state.tables import root_keys

_CIPHERS_MAX: Final = 256
"""Data keys kept: one for each root key and leadership of which values are read."""

_TABLE: Final = root_keys.TABLE.name


class KeyRing:
    """See the module."""

    def __init__(self, state: StateStore, wrapping: Wrapping = NO_WRAPPING) -> None:
        self._state = state
        self._wrapping = wrapping
        self._ciphers: dict[tuple[str, bytes], AESGCM] = {}
        self._ids: tuple[str, ...] = ()
        self._active_id = ""
        self._is_fresh = False
        state.follow(self._changed, (_TABLE,))

    @property
    def active_id(self) -> str:
        """The ID of the active key; empty before the first."""
        if not self._is_fresh:
            self._look()
        return self._active_id

    def _changed(self, _: list[Change] | None) -> None:
        self._is_fresh = False

    def _look(self) -> None:
        """After a change of the table: a key that is gone is forgotten here too."""
        if self._is_fresh:
            return
        self._is_fresh = True
        found = root_keys.active(self._state)
        self._active_id = found[0] if found is not None else ""
        ids = tuple(self._state.rows(root_keys.TABLE))
        if ids != self._ids:
            self._ids = ids
            self._ciphers.clear()

    def root_key(self, key_id: str) -> bytes:
        """The 32 bytes of that key. Raises KeyMissing."""
        row = self._state.get(root_keys.TABLE, key_id)
        if row is None:
            raise KeyMissing(key_id)
        return self._wrapping.unwrap(key_id, row)

    def cipher(self, key_id: str, nonce: bytes) -> AESGCM:
        """The cipher for a value with this nonce. Raises KeyMissing."""
        self._look()
        salt = nonce[:SALT_BYTES].ljust(SALT_BYTES, b"\0")
        cipher = self._ciphers.get((key_id, salt))
        if cipher is None:
            if len(self._ciphers) >= _CIPHERS_MAX:
                del self._ciphers[next(iter(self._ciphers))]
            cipher = self._ciphers[key_id, salt] = data_cipher(self.root_key(key_id), salt)
        return cipher
