"""The other end of a TLS connection, as the names in its certificate say."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Final

import msgspec
from cryptography import x509

from quorate.certificates.facts import facts_of
from quorate.certificates.names import DOMAIN, Role, name_of
from quorate.errors import BadFrame

_SERVER: Final = re.compile(rf"server\.([^.]+(?:\.[^.]+)*)\.{DOMAIN}\Z")


class Certified(msgspec.Struct, frozen=True):
    """A certificate that an authority of ours has signed, as the other end has shown it.

    `issuer` is the name of the authority in DER.
    """

    names: tuple[str, ...]
    server_ids: tuple[str, ...]
    issuer: bytes
    serial: int


def certified(transport: asyncio.BaseTransport) -> Certified | None:
    """What the other end has shown; None without TLS, or if it was asked for nothing.

    Raises BadFrame for a certificate that cannot be read.
    """
    link: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    data = None if link is None else link.getpeercert(binary_form=True)
    if data is None:
        return None
    try:
        certificate = x509.load_der_x509_certificate(data)
        facts = facts_of(certificate)
    except ValueError as error:
        raise BadFrame(f"its certificate cannot be read: {error}") from None
    # A certificate of the old kind has its common name alone.
    names = facts.dns_names or (facts.common_name,)
    return Certified(
        names, facts.server_ids, certificate.issuer.public_bytes(), certificate.serial_number
    )


def no_server(shown: Certified) -> str:
    """Empty, or why this is the certificate of no server."""
    if any(_SERVER.match(name) for name in shown.names):
        return ""
    return (
        f"its certificate is for {_list(shown.names)}, and a server's has the name "
        f"{name_of(Role.SERVER, '<region>')}"
    )


def other_server(shown: Certified, region: str, server_id: str, *, bound: bool) -> str:
    """Empty, or why this is not the certificate of that server of that region.

    With `bound` it has to name the server's ID.
    """
    wanted = name_of(Role.SERVER, region)
    if wanted not in shown.names:
        return f"its certificate is for {_list(shown.names)}, and not for {wanted}"
    if not bound:
        return ""
    if server_id in shown.server_ids:
        return ""
    has = f"is for the server {_list(shown.server_ids)}" if shown.server_ids else "names no server"
    return (
        f"its certificate {has}, and it is {server_id} (tls.verify_server_id); make one with: "
        f"quorate tls cert create -server -region={region} -server-id={server_id}"
    )


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(name[:128] for name in names[:3]) or "no name"
