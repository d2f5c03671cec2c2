"""The files of which the TLS of a server is made."""

from __future__ import annotations

from pathlib import Path

import msgspec


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of PEM files, and what is spoken. `crl_file` may be empty."""

    ca_file: str
    cert_file: str
    key_file: str
    crl_file: str = ""
    min_version: str = "tls12"
    cipher_suites: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, those that are given."""
        named = (self.ca_file, self.cert_file, self.key_file, self.crl_file)
        return tuple(Path(path) for path in named if path)
