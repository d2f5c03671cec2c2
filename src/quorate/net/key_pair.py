"""An Ed25519 key pair in memory (RFC 8032)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class KeyPair:
    """Signs for one server. `seed` is the private key as it is stored: 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        """Raises ValueError unless the seed has 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: Final = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> KeyPair:
        """A new one, from the system's randomness."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        """Without the private half."""
        return f"KeyPair({self.public.hex()[:16]}...)"
