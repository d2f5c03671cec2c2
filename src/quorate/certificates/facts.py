"""The content of a certificate, for people and for checks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from quorate.certificates.names import server_id_of

_GO_NAMES: Final = {NameOID.POSTAL_CODE: "POSTALCODE", NameOID.STREET_ADDRESS: "STREET"}

_E = TypeVar("_E", bound=x509.ExtensionType)


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. Times have a time zone."""

    serial: int
    subject: str
    common_name: str
    issuer: str
    issuer_common_name: str
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    is_authority: bool = False
    permitted_domains: tuple[str, ...] = ()

    @property
    def server_ids(self) -> tuple[str, ...]:
        """The IDs of the servers that it is for; none: it is bound to no ID."""
        return tuple(found for uri in self.uris if (found := server_id_of(uri)))


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """What it says. Raises ValueError for one whose extensions cannot be read."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    constraints = _extension(certificate, x509.NameConstraints)
    basic = _extension(certificate, x509.BasicConstraints)
    permitted = [] if constraints is None else constraints.permitted_subtrees or []
    return CertificateFacts(
        serial=certificate.serial_number,
        subject=_go_name(certificate.subject),
        common_name=_common(certificate.subject),
        issuer=_go_name(certificate.issuer),
        issuer_common_name=_common(certificate.issuer),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns_names=_texts(names, x509.DNSName),
        addresses=_texts(names, x509.IPAddress),
        uris=_texts(names, x509.UniformResourceIdentifier),
        is_authority=basic is not None and basic.ca,
        permitted_domains=tuple(
            str(each.value) for each in permitted if isinstance(each, x509.DNSName)
        ),
    )


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _texts(names: x509.SubjectAlternativeName | None, kind: type[Any]) -> tuple[str, ...]:
    if names is None:
        return ()
    return tuple(str(value) for value in names.get_values_for_type(kind))


def _go_name(name: x509.Name) -> str:
    """As Go's `pkix.Name` prints it: the last part first (RFC 4514, 2)."""
    return name.rfc4514_string(_GO_NAMES)


def _common(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""
