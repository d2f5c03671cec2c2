"""Sealed values open at their place, with their key, and as they were sealed; nothing else opens.

The example is computed here by hand from the parts that the format names.
"""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from quorate.server.secrets.cipher import (
    BadSeal,
    Sealing,
    data_cipher,
    open_with,
    place,
)

KEY, SALT = bytes(range(32)), bytes(range(100, 116))
ID = "c97d2330-aa51-4a65-219c-395644383cf1"

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def opened(nonce: bytes, data: bytes, where: bytes, key: bytes = KEY) -> bytes:
    return open_with(data_cipher(key, nonce[:16].ljust(16, b"\0")), nonce, data, where)


@given(texts, texts, st.binary(max_size=300))
def test_what_is_sealed_opens(namespace: str, path: str, data: bytes) -> None:
    sealed, nonce = Sealing(ID, KEY, SALT).seal(namespace, path, data)
    assert len(sealed) == len(data) + 16
    assert len(nonce) == 24
    assert opened(nonce, sealed, place(namespace, path, ID)) == data


@given(texts, texts, texts, texts)
def test_two_places_are_never_the_same(a: str, b: str, c: str, d: str) -> None:
    assert (place(a, b, ID) == place(c, d, ID)) == ((a, b) == (c, d))


@given(st.data())
def test_a_flipped_bit_is_found(data: st.DataObject) -> None:
    sealed, nonce = Sealing(ID, KEY, SALT).seal("default", "a/b", b"value")
    whole = bytearray(nonce + sealed)
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    with pytest.raises(BadSeal):
        opened(bytes(whole[:24]), bytes(whole[24:]), place("default", "a/b", ID))


@pytest.mark.parametrize(
    ("namespace", "path", "key_id", "key"),
    [
        ("other", "a/b", ID, KEY),
        ("default", "a/c", ID, KEY),
        ("default", "a/b", "11111111-2222-3333-4444-555555555555", KEY),
        ("default", "a/b", ID, bytes(32)),
    ],
    ids=["namespace", "path", "key ID", "key"],
)
def test_nothing_opens_elsewhere(namespace: str, path: str, key_id: str, key: bytes) -> None:
    sealed, nonce = Sealing(ID, KEY, SALT).seal("default", "a/b", b"value")
    with pytest.raises(BadSeal):
        opened(nonce, sealed, place(namespace, path, key_id), key)


@pytest.mark.parametrize("size", [0, 12, 23, 25])
def test_a_nonce_of_another_size_opens_nothing(size: int) -> None:
    sealed, nonce = Sealing(ID, KEY, SALT).seal("default", "a/b", b"value")
    with pytest.raises(BadSeal):
        opened((nonce + b"\0")[:size], sealed, place("default", "a/b", ID))


def test_the_form_is_the_one_that_is_written_down() -> None:
    """HKDF-SHA256 of root key and salt, the counter as nonce, the place as additional data."""
    extracted = hmac.digest(SALT, KEY, hashlib.sha256)
    data_key = hmac.digest(extracted, b"quorate variables 1" + b"\x01", hashlib.sha256)
    sealing = Sealing(ID, KEY, SALT)
    for counter in range(3):
        sealed, nonce = sealing.seal("default", "a/b", b"value")
        assert nonce == SALT + counter.to_bytes(8)
        where = f"default\0a/b\0{ID}".encode()
        assert AESGCM(data_key).encrypt(bytes(4) + counter.to_bytes(8), b"value", where) == sealed


def test_a_nonce_never_repeats_with_a_salt() -> None:
    sealing = Sealing(ID, KEY, SALT)
    nonces = {sealing.seal("default", "a", b"")[1] for _ in range(5000)}
    assert len(nonces) == 5000
