"""Makes the certificate of an authority, the one that a cluster trusts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quorate.certificates.made import SERIAL_BITS, Pair, begun, identifiers, pair_of
from quorate.certificates.names import DOMAIN, check_dns_name
from quorate.errors import QuorateError

DAYS: Final = 1825
"""For which an authority is valid, if nothing else is asked for: five years, as Nomad's."""

_TEXT_MAX: Final = 64
_OIDS: Final = {
    "country": NameOID.COUNTRY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "street_address": NameOID.STREET_ADDRESS,
    "postal_code": NameOID.POSTAL_CODE,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizational_unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "common_name": NameOID.COMMON_NAME,
}


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose authority it is, in the fields of X.520; empty ones are left out."""

    common_name: str = ""
    country: str = ""
    locality: str = ""
    organization: str = ""
    organizational_unit: str = ""
    postal_code: str = ""
    province: str = ""
    street_address: str = ""

    def named(self) -> x509.Name:
        """As a name. Raises QuorateError."""
        fields = []
        for field, oid in _OIDS.items():
            if not (text := getattr(self, field)):
                continue
            if len(text) > _TEXT_MAX or not text.isprintable():
                raise QuorateError(
                    f"{field.replace('_', ' ')} {text[:128]!r} cannot stand in a certificate",
                    f"give at most {_TEXT_MAX} printable characters",
                )
            try:
                fields.append(x509.NameAttribute(oid, text))
            except ValueError as error:
                raise QuorateError(
                    f"{field.replace('_', ' ')} {text[:128]!r} cannot stand in a certificate: "
                    f"{error}",
                    "a country is its two letters (ISO 3166)",
                ) from error
        return x509.Name(fields)


def make_authority(
    now: datetime,
    days: int = DAYS,
    subject: Subject | None = None,
    only_domains: Sequence[str] = (),
) -> Pair:
    """A new authority with an EC P-256 key. `now` has a time zone.

    It can vouch for names below `only_domains` alone, if there are any (RFC 5280, 4.2.1.10).
    Raises QuorateError.
    """
    for domain in only_domains:
        check_dns_name(domain, "domain")
    serial = secrets.randbits(SERIAL_BITS) or 1
    named = (subject or Subject(common_name=f"Nomad Agent CA {serial}")).named()
    key = ec.generate_private_key(ec.SECP256R1())
    first, last = begun(now, days)
    own, issuer = identifiers(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .serial_number(serial)
        .not_valid_before(first)
        .not_valid_after(last)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(own, critical=False)
        .add_extension(issuer, critical=False)
    )
    if only_domains:
        permitted = [x509.DNSName(domain) for domain in only_domains]
        constraints = x509.NameConstraints(permitted, None)
        builder = builder.add_extension(constraints, critical=True)
    return pair_of(builder.sign(key, hashes.SHA256()), key)


def permitted_domains(domain: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    """The domains of an authority that is bound to one cluster: `localhost` is one of them."""
    return tuple(dict.fromkeys((*more, domain or DOMAIN, "localhost")))


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
