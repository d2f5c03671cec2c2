"""How a value is sealed: AES-256-GCM, with a key derived from a root key.

- The data key is HKDF-SHA256 of the root key with a salt of 128 random bits, drawn once for each
  leadership. So no data key is used by two leaders, or by one server before and after a restart.
- The nonce of AES-GCM is a counter of the values sealed with that data key, which starts at 0.
  Since keys never repeat, a nonce never repeats with a key.
- The additional data are namespace, path and ID of the root key: a sealed value opens nowhere else.

What is kept beside the ciphertext is the salt and the counter, 24 bytes (`NONCE_BYTES`). The
ciphertext ends with the tag of 16 bytes.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = SALT_BYTES + 8

SEALED_MAX: Final = 1 << 32
"""Values sealed with one data key; then another salt is drawn."""

_INFO: Final = b"quorate variables 1"
_PAD: Final = bytes(4)  # the nonce of AES-GCM has 12 bytes, the counter 8


class BadSeal(Exception):
    """These bytes are not what was sealed at that place with that key."""


def data_cipher(root_key: bytes, salt: bytes) -> AESGCM:
    """The cipher of the data key that belongs to root key and salt. Takes some 10 us."""
    assert len(root_key) == KEY_BYTES, "root keys have 32 bytes"
    assert len(salt) == SALT_BYTES, "salts have 16 bytes"
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=_INFO)
    return AESGCM(derived.derive(root_key))


def place(namespace: str, path: str, key_id: str) -> bytes:
    """The additional data. Unambiguous: neither a namespace nor a key ID has a zero byte."""
    return f"{namespace}\0{path}\0{key_id}".encode()


class Sealing:
    """One data key, and the counter of what was sealed with it. Made once for each `salt`."""

    __slots__ = ("_cipher", "_count", "_salt", "key_id")

    def __init__(self, key_id: str, root_key: bytes, salt: bytes) -> None:
        self.key_id = key_id
        self._salt = salt
        self._cipher = data_cipher(root_key, salt)
        self._count = 0

    @property
    def spent(self) -> bool:
        """True if another salt is to be drawn."""
        return self._count >= SEALED_MAX

    def seal(self, namespace: str, path: str, data: bytes) -> tuple[bytes, bytes]:
        """The sealed bytes, and salt and counter."""
        assert self._count < SEALED_MAX, "another salt has to be drawn"
        counter = self._count.to_bytes(8)
        self._count += 1
        sealed = self._cipher.encrypt(_PAD + counter, data, place(namespace, path, self.key_id))
        return sealed, self._salt + counter


def open_with(cipher: AESGCM, nonce: bytes, data: bytes, where: bytes) -> bytes:
    """The bytes that were sealed at that `place`. Raises BadSeal."""
    if len(nonce) != NONCE_BYTES:
        raise BadSeal
    try:
        return cipher.decrypt(_PAD + nonce[SALT_BYTES:], data, where)
    except InvalidTag:
        raise BadSeal from None
