"""The parts of which certificates are made: a serial number, times, and the two as PEM."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from quorate.errors import QuorateError

SERIAL_BITS: Final = 127
"""Of serial numbers: positive, and within the 20 octets of RFC 5280, 4.1.2.2."""

DAYS_MAX: Final = 36_500

SKEW: Final = timedelta(minutes=1)
"""How far before now a certificate begins, for servers whose clocks are behind."""


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, each as PEM."""

    certificate: bytes
    key: bytes


def pair_of(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    """Both as PEM. The key has the form that Go's and OpenSSL's tools write."""
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    )


def begun(now: datetime, days: int) -> tuple[datetime, datetime]:
    """(first, last moment) of a certificate that is made now. Raises QuorateError."""
    if not 0 < days <= DAYS_MAX:
        raise QuorateError(
            f"a certificate cannot be valid for {days} days", f"give 1 to {DAYS_MAX}"
        )
    whole = now.replace(microsecond=0)
    return whole - SKEW, whole + timedelta(days=days)


def identifiers(
    key: ec.EllipticCurvePublicKey, issuer: x509.SubjectKeyIdentifier | None = None
) -> tuple[x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier]:
    """By which a chain is found (RFC 5280, 4.2.1.1 and 4.2.1.2)."""
    own = x509.SubjectKeyIdentifier.from_public_key(key)
    of_issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer or own)
    return own, of_issuer
