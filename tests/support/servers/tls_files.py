"""Certificates for the tests: authorities, and files of servers, good ones and others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from quorate.certificates.authority import make_authority
from quorate.certificates.issue import Authority, Holder
from quorate.certificates.names import Role
from quorate.net.tls.files import TlsFiles
from quorate.net.tls.identity import read_identity
from quorate.net.tls.keeper import TlsKeeper


def now() -> datetime:
    return datetime.now(UTC)


class Certificates:
    """One authority, whose files are in `folder`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ca_file = folder / f"{name}.pem"
        pair = make_authority(now() - timedelta(days=400), days=4000)
        self.ca_file.write_bytes(pair.certificate)
        key: Any = load_pem_private_key(pair.key, None)
        self.key = key
        self.certificate = x509.load_pem_x509_certificate(pair.certificate)
        self.authority = Authority(self.certificate, self.key)

    def files(self, name: str = "server", **more: Any) -> TlsFiles:
        """Files of a server; `made` is when its certificate was made, `days` how long it counts."""
        made, days = more.pop("made", now()), more.pop("days", 365)
        ca_file = more.pop("ca_file", self.ca_file)
        spoken = {key: more.pop(key) for key in ("min_version", "cipher_suites", "crl_file")
                  if key in more}  # fmt: skip
        holder = Holder(**{"role": Role.SERVER, **more})
        pair = self.authority.issue(holder, made, days)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        return TlsFiles(
            ca_file=str(ca_file), cert_file=str(certificate), key_file=str(key), **spoken
        )

    def encrypted_key(self, path: Path) -> bytes:
        """The key of a file, with a password."""
        key: Any = load_pem_private_key(path.read_bytes(), None)
        data: bytes = key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
        )
        return data

    def revoked(self, *files: TlsFiles, next_update: datetime | None = None) -> str:
        """A list in which their certificates are; its path."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now() - timedelta(days=2))
            .next_update(next_update or now() + timedelta(days=1))
        )
        for each in files:
            serial = x509.load_pem_x509_certificate(Path(each.cert_file).read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(now()).build())
        path = self.folder / "crl.pem"
        signed = builder.sign(self.key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(Encoding.PEM))
        return str(path)


def keeper(files: TlsFiles, **more: Any) -> TlsKeeper:
    return TlsKeeper(files, read_identity(files), **{"region": "global", **more})
