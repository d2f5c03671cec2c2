"""Makes certificates of servers, clients and people, signed by an authority."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quorate.certificates.made import SERIAL_BITS, Pair, begun, identifiers, pair_of
from quorate.certificates.names import DOMAIN, Role, check_dns_name, name_of, uri_of
from quorate.errors import QuorateError

DAYS: Final = 365
"""For which a certificate is valid, if nothing else is asked for."""

NAMES_MAX: Final = 100
"""DNS names and addresses beside those that come with the role."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says of its holder. `server_id` binds it to one server's ID."""

    role: Role
    region: str = "global"
    domain: str = DOMAIN
    dns_names: Sequence[str] = ()
    addresses: Sequence[str] = ()
    server_id: str = ""

    @property
    def name(self) -> str:
        """The first name, which grants the role."""
        return name_of(self.role, self.region, self.domain)


class Authority:
    """A certificate and a key that sign others. Raises QuorateError if they do not fit."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            signs = constraints.value.ca
        except x509.ExtensionNotFound:
            signs = False
        if not signs:
            raise QuorateError(
                "the certificate is not that of an authority", "make one with `tls ca create`"
            )
        if certificate.public_key() != key.public_key():
            raise QuorateError(
                "the authority's key does not belong to its certificate",
                "give -ca and -key of one `tls ca create`",
            )
        self.certificate = certificate
        self._key = key

    def issue(self, holder: Holder, now: datetime, days: int = DAYS) -> Pair:
        """A certificate for that holder, with a key of its own. Raises QuorateError.

        It ends no later than the authority does. `now` has a time zone.
        """
        first, last = begun(now, days)
        ends = self.certificate.not_valid_after_utc
        if ends <= now:
            raise QuorateError(
                f"the authority's certificate expired at {ends:%Y-%m-%d %H:%M:%S} UTC",
                "make a new authority with `tls ca create`",
            )
        key = ec.generate_private_key(ec.SECP256R1())
        own, issuer = identifiers(key.public_key(), self._identifier())
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _common(holder))]))
            .issuer_name(self.certificate.subject)
            .serial_number(secrets.randbits(SERIAL_BITS) or 1)
            .not_valid_before(max(first, self.certificate.not_valid_before_utc))
            .not_valid_after(min(last, ends))
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(own, critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(x509.SubjectAlternativeName(_names(holder)), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return pair_of(certificate, key)

    def _identifier(self) -> x509.SubjectKeyIdentifier | None:
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return own.value


def _common(holder: Holder) -> str:
    if len(holder.name) > 64:  # RFC 5280, ub-common-name
        raise QuorateError(
            f"the name {holder.name} has over 64 characters", "give a shorter region or domain"
        )
    return holder.name


def _names(holder: Holder) -> list[x509.GeneralName]:
    """The role's name first: older clients look at that one alone."""
    if len(holder.dns_names) + len(holder.addresses) > NAMES_MAX:
        raise QuorateError(
            f"a certificate has at most {NAMES_MAX} additional names", "make two certificates"
        )
    check_dns_name(holder.name, "name")
    for name in holder.dns_names:
        check_dns_name(name, "additional name")
    dns = dict.fromkeys((holder.name, "localhost", *holder.dns_names))
    local = () if holder.role is Role.CLI else ("127.0.0.1",)
    addresses = dict.fromkeys(_address(text) for text in (*local, *holder.addresses))
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    names += [x509.IPAddress(address) for address in addresses]
    if holder.server_id:
        names.append(x509.UniformResourceIdentifier(uri_of(holder.server_id)))
    return names


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise QuorateError(
            f"additional address {text[:128]!r} is no IP address", "give it as 10.0.0.1 or ::1"
        ) from error


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=False,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
