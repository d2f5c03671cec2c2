"""The keys of a pool, and AES-GCM with them.

See docs/wire.md#encryption-of-gossip; docs/wire.md#data-folder.

A ring is an immutable value: the first key is the primary one, which seals; opening tries all in
their order, since sealed bytes name no key. Changing a ring makes another. Nonces come from
outside; nothing here is random.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quorate.wire.go.msgpack import bad_frame
from quorate.wire.gossip_key import without_line_ends

KEY_SIZES: Final = (16, 24, 32)
"""Bytes of a key: AES-128, AES-192, AES-256."""

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = 1 + NONCE_BYTES + TAG_BYTES
"""What sealing adds in version 1."""

KEYS_MAX: Final = 64
"""Most keys in a ring: each is tried on every packet that no key opens."""

_PADDED: Final = 0
_PLAIN: Final = 1
_BLOCK: Final = 16


class Keyring:
    """See the module. Raises ValueError without a key, with one of another size, or too many."""

    __slots__ = ("_ciphers", "keys")

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys: Final = tuple(dict.fromkeys(keys))
        if not self.keys:
            raise ValueError("a keyring needs a key")
        if len(self.keys) > KEYS_MAX:
            raise ValueError(f"a keyring holds {KEYS_MAX} keys at most")
        for key in self.keys:
            check_key(key)
        self._ciphers = tuple(AESGCM(key) for key in self.keys)

    @property
    def primary(self) -> bytes:
        """The key that seals."""
        return self.keys[0]

    def install(self, key: bytes) -> Self:
        """A ring that has this key too, as the last. Raises ValueError."""
        return type(self)((*self.keys, key))

    def use(self, key: bytes) -> Self:
        """A ring with this key as the primary one. Raises ValueError if it is not there."""
        if key not in self.keys:
            raise ValueError("Requested key is not in the keyring")
        return type(self)((key, *self.keys))

    def remove(self, key: bytes) -> Self:
        """A ring without this key. Raises ValueError for the primary one; unknown ones are gone."""
        if key == self.primary:
            raise ValueError("Removing the primary key is not allowed")
        return type(self)(other for other in self.keys if other != key)

    def seal(self, plain: bytes, nonce: bytes, extra: bytes = b"", version: int = 1) -> bytes:
        """Version byte, nonce, and the sealed bytes with their tag.

        `nonce`: 12 bytes, never used before with this key. `extra` is authenticated, not sent.
        Version 0 pads to 16 bytes, as the oldest members need it.
        """
        if version == _PADDED:
            missing = _BLOCK - len(plain) % _BLOCK
            plain += bytes((missing,)) * missing
        return bytes((version,)) + nonce + self._ciphers[0].encrypt(nonce, plain, extra)

    def open(self, sealed: bytes, extra: bytes = b"") -> bytes:
        """The plain bytes. Raises BadFrame if no key opens them, or they are no sealed bytes."""
        if len(sealed) < OVERHEAD:
            raise bad_frame(f"{len(sealed)} bytes are too few to be encrypted ones")
        version = sealed[0]
        if version > _PLAIN:
            raise bad_frame(f"unknown version {version} of encryption")
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(nonce, body, extra)
            except InvalidTag:
                continue
            return plain if version == _PLAIN else _without_padding(plain)
        raise bad_frame("No installed keys could decrypt the message")


def _without_padding(plain: bytes) -> bytes:
    missing = plain[-1] if plain else 0
    if not 1 <= missing <= _BLOCK or len(plain) % _BLOCK:
        raise bad_frame("encrypted bytes with impossible padding")
    return plain[:-missing]


def check_key(key: bytes) -> None:
    """Raise ValueError for a key of impossible size."""
    if len(key) not in KEY_SIZES:
        raise ValueError("key size must be 16, 24 or 32 bytes")


def key_text(key: bytes) -> str:
    """A key as people handle it: base64."""
    return base64.b64encode(key).decode()


def parse_key(text: str) -> bytes:
    """The reverse of `key_text`. Raises ValueError for no base64 and for impossible sizes."""
    try:
        key = base64.b64decode(without_line_ends(text), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key must be base64 of 16, 24 or 32 bytes") from None
    check_key(key)
    return key


def encode_keyring(ring: Keyring) -> bytes:
    """The content of a keyring file: a JSON list of base64 keys, the primary one first."""
    return json.dumps([key_text(key) for key in ring.keys], separators=(",", ":")).encode()


def decode_keyring(content: bytes) -> Keyring:
    """The reverse of `encode_keyring`. Raises ValueError, saying what is wrong."""
    try:
        texts = json.loads(content)
    except ValueError:
        raise ValueError("it is no JSON") from None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("it is no JSON list of keys")
    return Keyring(map(parse_key, texts))
