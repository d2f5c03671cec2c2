"""A list of certificates that an authority has taken back (RFC 5280, 5).

Serial numbers are compared here, after the handshake, and not by OpenSSL, which would end every
connection once the list is older than it says it is: then the cluster would stop for a file that
somebody forgot to renew. An old list still counts, and its age is said (`RevocationList.ended`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from quorate.certificates.reading import read_pem
from quorate.errors import QuorateError

_BEGIN: Final = b"-----BEGIN X509 CRL-----"


class RevocationList(msgspec.Struct, frozen=True):
    """Serial numbers, each with its authority's name in DER.

    `next_update` is when a newer list should have come.
    """

    serials: frozenset[tuple[bytes, int]]
    next_update: datetime | None

    def has(self, issuer: bytes, serial: int) -> bool:
        """Was that certificate taken back?"""
        return (issuer, serial) in self.serials

    def ended(self, now: datetime) -> bool:
        """Is there a newer list, which is not here?"""
        return self.next_update is not None and self.next_update <= now


def read_revoked(path: Path, authorities: Sequence[x509.Certificate]) -> RevocationList:
    """The lists in a PEM file, each signed by one of the authorities. Raises QuorateError."""
    parts = [_BEGIN + part for part in read_pem(path).split(_BEGIN)[1:]]
    found = [_read(part, path, authorities) for part in parts or [b""]]
    updates = [each.next_update for each in found if each.next_update is not None]
    return RevocationList(
        frozenset().union(*(each.serials for each in found)), min(updates, default=None)
    )


def _read(data: bytes, path: Path, authorities: Sequence[x509.Certificate]) -> RevocationList:
    try:
        listed = x509.load_pem_x509_crl(data)
    except ValueError as error:
        raise QuorateError(
            f"{path} holds no revocation list that can be read",
            "give a PEM file with `-----BEGIN X509 CRL-----`",
        ) from error
    if not any(_signed(listed, each) for each in authorities):
        raise QuorateError(
            f"the revocation list in {path} is signed by none of the authorities in ca_file",
            "give the list of the authority that signs the servers' certificates",
        )
    issuer = listed.issuer.public_bytes()
    serials = frozenset((issuer, each.serial_number) for each in listed)
    return RevocationList(serials, listed.next_update_utc)


def _signed(listed: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    try:
        return listed.issuer == authority.subject and listed.is_signature_valid(key)  # type: ignore[arg-type]
    except TypeError:  # a kind of key that signs no list
        return False
