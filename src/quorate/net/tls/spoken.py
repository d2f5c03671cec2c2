"""Versions of TLS and cipher suites, by the names of Nomad's configuration, which are Go's."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

from quorate.errors import QuorateError

VERSIONS: Final = {"tls12": ssl.TLSVersion.TLSv1_2, "tls13": ssl.TLSVersion.TLSv1_3}
"""Values of `tls_min_version`. Older ones are broken (RFC 8996)."""

# Those of TLS 1.2 with forward secrecy. TLS 1.3 has its own, which nobody chooses (RFC 8446, B.4).
_OPENSSL: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}


def suites_of(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def check_version(text: str) -> None:
    """Raise QuorateError for a version that is not known, or not spoken."""
    if text not in VERSIONS:
        raise QuorateError(
            f"version {text[:32]!r} of TLS is not spoken",
            "give tls12 or tls13: older versions are broken",
        )


def openssl_names(suites: Sequence[str]) -> str:
    """The list as OpenSSL takes it. Raises QuorateError for a name that is not known."""
    unknown = [name for name in suites if name not in _OPENSSL]
    if unknown:
        raise QuorateError(
            f"cipher suite {unknown[0][:64]!r} is not known",
            "give names such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, or none",
        )
    return ":".join(dict.fromkeys(_OPENSSL[name] for name in suites))
