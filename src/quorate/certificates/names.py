"""The names in certificates, and what they grant."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from quorate.errors import QuorateError

DOMAIN: Final = "nomad"
"""The last part of the names of a Nomad cluster's servers."""

LABELS_MAX: Final = 253
"""Characters of a DNS name (RFC 1035, 2.3.4)."""

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\Z")
_SERVER_URI: Final = "urn:quorate:server:"


class Role(StrEnum):
    """What a certificate lets its holder be."""

    SERVER = "server"
    CLIENT = "client"
    CLI = "cli"


def name_of(role: Role, region: str, domain: str = DOMAIN) -> str:
    """The name by which a certificate grants that role."""
    return f"{role}.{region}.{domain}"


def uri_of(server_id: str) -> str:
    """The URI among the names of a certificate that is for the server of this ID alone."""
    return _SERVER_URI + server_id


def server_id_of(uri: str) -> str:
    """The ID in such a URI; empty for others."""
    return uri[len(_SERVER_URI) :] if uri.startswith(_SERVER_URI) else ""


def check_dns_name(text: str, what: str) -> None:
    """Raise QuorateError for what can be no DNS name. A first label of `*` is one."""
    if len(text) > LABELS_MAX or not _DNS_NAME.match(text):
        raise QuorateError(
            f"{what} {text[:128]!r} is no DNS name",
            "labels of letters, digits and dashes, with points between them",
        )
