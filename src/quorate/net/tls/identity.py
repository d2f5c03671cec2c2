"""The certificate of this server and the authorities it trusts, read from files and checked."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from quorate.certificates.facts import CertificateFacts, facts_of
from quorate.certificates.reading import certificates_in, read_pem
from quorate.errors import QuorateError
from quorate.net.tls.files import TlsFiles
from quorate.net.tls.revoked import RevocationList, read_revoked
from quorate.net.tls.spoken import VERSIONS, check_version, openssl_names


class TlsIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One set of files, as it was read. The contexts are for any number of connections.

    `open_listener` asks clients for no certificate, `proving_listener` for one of the authority.
    `content` is that of the files, to see whether they have changed.
    """

    facts: CertificateFacts
    authorities_end: datetime
    dialer: ssl.SSLContext
    proving_listener: ssl.SSLContext
    open_listener: ssl.SSLContext
    revoked: RevocationList | None
    content: tuple[bytes, ...]
    issuer: bytes
    """The name in DER of the authority that has signed the certificate."""

    def days_left(self, now: datetime) -> float:
        """Until the certificate, or all authorities, end; below 0: they have ended."""
        return (min(self.facts.not_after, self.authorities_end) - now).total_seconds() / 86_400


def read_identity(files: TlsFiles) -> TlsIdentity:
    """Read and check all files; waits for the disk. Raises QuorateError naming file and cause."""
    for name in ("ca_file", "cert_file", "key_file"):
        if not getattr(files, name):
            raise QuorateError(
                f"tls.{name} is not set", "set it, or switch tls.http and tls.rpc off"
            )
    before = _content(files)
    authorities = certificates_in(Path(files.ca_file))
    certificate = certificates_in(Path(files.cert_file))[0]
    facts = _facts(certificate, files.cert_file)
    if not any(_issued(certificate, authority) for authority in authorities):
        _check_chain(files, authorities)
    revoked = read_revoked(Path(files.crl_file), authorities) if files.crl_file else None
    identity = TlsIdentity(
        facts=facts,
        authorities_end=max(each.not_valid_after_utc for each in authorities),
        dialer=_dialer(files),
        proving_listener=_listener(files, proving=True),
        open_listener=_listener(files, proving=False),
        revoked=revoked,
        content=before,
        issuer=certificate.issuer.public_bytes(),
    )
    if _content(files) != before:
        raise QuorateError(
            "the certificate files changed while they were read", "they are read again in a moment"
        )
    return identity


def check_valid(identity: TlsIdentity, now: datetime) -> None:
    """Raise QuorateError for a certificate that counts no more, or not yet, or was revoked."""
    facts, revoked = identity.facts, identity.revoked
    if facts.not_before > now:
        raise QuorateError(
            f"the certificate is valid from {facts.not_before:%Y-%m-%d %H:%M:%S} UTC on",
            "look at the clock of this machine, or wait",
        )
    if identity.days_left(now) <= 0:
        ends = min(facts.not_after, identity.authorities_end)
        raise QuorateError(
            f"the certificate, or its authority, has expired at {ends:%Y-%m-%d %H:%M:%S} UTC",
            "make a new one: quorate tls cert create -server",
        )
    if revoked is not None and revoked.has(identity.issuer, facts.serial):
        raise QuorateError(
            f"the certificate with serial number {facts.serial} was revoked, says the list",
            "make a new one: quorate tls cert create -server",
        )


def _content(files: TlsFiles) -> tuple[bytes, ...]:
    return tuple(read_pem(path) for path in files.paths)


def changed(files: TlsFiles, identity: TlsIdentity) -> bool:
    """Do the files hold something else than that identity? Waits for the disk."""
    try:
        return _content(files) != identity.content
    except QuorateError:
        return True


def _facts(certificate: x509.Certificate, path: str) -> CertificateFacts:
    try:
        return facts_of(certificate)
    except ValueError as error:
        raise QuorateError(f"the certificate in {path} cannot be read: {error}") from error


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_chain(files: TlsFiles, authorities: list[x509.Certificate]) -> None:
    """Raise QuorateError unless the certificates of the file lead to an authority."""
    chain = certificates_in(Path(files.cert_file))
    for certificate, above in zip(chain, [*chain[1:], None], strict=True):
        if any(_issued(certificate, authority) for authority in authorities):
            return
        if above is None or not _issued(certificate, above):
            break
    raise QuorateError(
        f"the certificate in {files.cert_file} is signed by none of the authorities in "
        f"{files.ca_file}",
        "the other servers would not believe it: give certificates of one authority, with those "
        "in between",
    )


def _context(files: TlsFiles, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    check_version(files.min_version)
    context.minimum_version = VERSIONS[files.min_version]
    if files.cipher_suites:
        context.set_ciphers(openssl_names(files.cipher_suites))
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise QuorateError(
            f"the key in {files.key_file} does not go with the certificate in {files.cert_file}: "
            f"{_words(error)}",
            "give both of one `tls cert create`; an encrypted key cannot be used",
        ) from error
    return context


def _dialer(files: TlsFiles) -> ssl.SSLContext:
    context = _context(files, ssl.PROTOCOL_TLS_CLIENT)
    # Names are compared with what the server proves behind the handshake (`names`): its region is
    # not known before.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=files.ca_file)
    return context


def _listener(files: TlsFiles, *, proving: bool) -> ssl.SSLContext:
    context = _context(files, ssl.PROTOCOL_TLS_SERVER)
    if proving:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=files.ca_file)
        # A session that is taken up again brings no certificate that could be looked at.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def _no_password() -> bytes:
    # Without it OpenSSL would ask at the terminal.
    raise ValueError("the key is encrypted")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file").replace("_", " ").lower()
    return str(error)
