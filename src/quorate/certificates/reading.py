"""Reads certificates and keys from PEM files, each of them bounded and checked."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from quorate.errors import QuorateError
from quorate.given_files import content

PEM_BYTES_MAX: Final = 1 << 20
"""Of a file: the authorities that a whole system trusts have a quarter of it."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_pem(path: Path) -> bytes:
    """The bytes of a file. Raises QuorateError: not readable, no file, too large."""
    try:
        return content(path, PEM_BYTES_MAX)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise QuorateError(
            f"cannot read {path}: {reason}", "give a PEM file that you may read"
        ) from error


def certificates_in(path: Path) -> list[x509.Certificate]:
    """All certificates of a file, at least one. Raises QuorateError."""
    try:
        return x509.load_pem_x509_certificates(read_pem(path))
    except ValueError as error:
        raise QuorateError(
            f"{path} holds no certificate that can be read",
            "give a PEM file with `-----BEGIN CERTIFICATE-----`",
        ) from error


def authority_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of an authority of ours. Raises QuorateError."""
    try:
        key = load_pem_private_key(read_pem(path), None)
    except TypeError as error:
        raise QuorateError(
            f"the key in {path} is encrypted", "decrypt it: openssl ec -in FILE -out NEW"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise QuorateError(
            f"{path} holds no private key that can be read", "give a PEM file"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise QuorateError(
            f"the key in {path} is no elliptic-curve key",
            "certificates are made here with the authorities of `tls ca create`; sign these with "
            "your own authority's tools",
        )
    return key


def readable_by_others(path: Path) -> bool:
    """Can accounts beside the owner read or write the file?"""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
