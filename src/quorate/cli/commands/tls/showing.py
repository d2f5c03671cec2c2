"""`tls ca info FILE` and `tls cert info FILE`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quorate.certificates.facts import CertificateFacts, facts_of
from quorate.certificates.reading import certificates_in
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table


def show_authority(context: Context) -> int:
    """What an authority's certificate says."""
    found = _facts(context)
    if not found.is_authority:
        raise Failure(
            f"{context.flags.args[0]} is not the certificate of an authority",
            "see what it is: quorate tls cert info FILE",
        )
    last = ("Permitted DNS Domains", _go_list(found.permitted_domains))
    return context.show(_as_json(found), lambda: _print(context, found, last))


def show_certificate(context: Context) -> int:
    """What a certificate says."""
    found = _facts(context)
    last = [
        ("DNS Names", _go_list(found.dns_names)),
        ("IP Addresses", _go_list(found.addresses)),
    ]
    if found.server_ids:
        last.append(("Server ID", " ".join(found.server_ids)))
    return context.show(_as_json(found), lambda: _print(context, found, *last))


def _facts(context: Context) -> CertificateFacts:
    path = Path(context.flags.args[0])
    with doing(""):
        certificate = certificates_in(path)[0]
    try:
        return facts_of(certificate)
    except ValueError as error:
        raise Failure(f"the certificate in {path} cannot be read: {error}") from error


def _print(context: Context, found: CertificateFacts, *last: tuple[str, str]) -> None:
    ended = " (expired)" if found.not_after <= datetime.now(UTC) else ""
    rows = [
        ("Serial Number", str(found.serial)),
        ("Issuer CN", found.issuer_common_name),
        ("Common Name", found.subject),
        ("Expiry Date", f"{found.not_after:%Y-%m-%d %H:%M:%S} +0000 UTC{ended}"),
        *last,
    ]
    context.out.line(format_table(rows))


def _go_list(values: tuple[str, ...]) -> str:
    return f"[{' '.join(values)}]"


def _as_json(found: CertificateFacts) -> dict[str, Any]:
    return {
        "SerialNumber": str(found.serial),
        "Subject": found.subject,
        "CommonName": found.common_name,
        "Issuer": found.issuer,
        "IssuerCommonName": found.issuer_common_name,
        "NotBefore": f"{found.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "NotAfter": f"{found.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "IsCA": found.is_authority,
        "PermittedDNSDomains": list(found.permitted_domains),
        "DNSNames": list(found.dns_names),
        "IPAddresses": list(found.addresses),
        "URIs": list(found.uris),
        "ServerIDs": list(found.server_ids),
    }
