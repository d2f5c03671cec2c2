"""TLS as a client: which authority is trusted, and who we are (docs/cli.md#rules).

Everything is loaded before the first byte is sent, so a wrong path is an error of its own and
never looks like a refused connection.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

import msgspec

from quorate.client.errors import TlsError
from quorate.given_files import content

_FILE_BYTES_MAX: Final = 4 << 20


class TlsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of PEM files (empty: not given), and what is checked of the server.

    `server_name` replaces the address's host in the check of the certificate; `skip_verify`
    turns all checks off.
    """

    ca_cert: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""
    skip_verify: bool = False


def build_context(options: TlsOptions) -> ssl.SSLContext:
    """The context for these options. Raises TlsError naming the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _trust(context, options)
    if options.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if bool(options.client_cert) != bool(options.client_key):
        raise TlsError(
            "Both client cert and client key must be provided",
            "give -client-cert and -client-key together",
        )
    if options.client_cert:
        for path in (options.client_cert, options.client_key):
            _read(path, "open", path)
        try:
            context.load_cert_chain(options.client_cert, options.client_key)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(
                f"Error loading client certificate {options.client_cert} with key "
                f"{options.client_key}: {_reason(error)}",
                "both must be PEM files, and the key must belong to the certificate",
            ) from error
    return context


def _trust(context: ssl.SSLContext, options: TlsOptions) -> None:
    if options.ca_cert:
        found = _read(options.ca_cert, "Error loading CA File: open", options.ca_cert)
        try:
            context.load_verify_locations(cadata=found)
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(
                f"Error loading CA File: Couldn't parse PEM in: {options.ca_cert}",
                "the file must hold one or more PEM certificates",
            ) from error
    elif options.ca_path:
        _trust_folder(context, options.ca_path)
    else:
        context.load_default_certs()


def _trust_folder(context: ssl.SSLContext, folder: str) -> None:
    """Load every file below a folder, as the Go client does (no hashed names are needed)."""
    if not Path(folder).is_dir():
        raise TlsError(
            f"Error loading CA Path: lstat {folder}: no such file or directory",
            "give -ca-path a folder of PEM certificates",
        )
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            try:
                context.load_verify_locations(cadata=_pem(path))
            except (ssl.SSLError, OSError, ValueError) as error:
                raise TlsError(
                    f"Error loading CA Path: Couldn't parse PEM in: {path}",
                    "keep only PEM certificates in that folder",
                ) from error


def _read(path: str, doing: str, named: str) -> str:
    try:
        return _pem(path)
    except (OSError, ValueError) as error:
        raise TlsError(f"{doing} {named}: {_reason(error)}", "check the path") from error


def _pem(path: str | Path) -> str:
    """What of a file can be PEM: bundles have names in other letters above their certificates."""
    return content(path, _FILE_BYTES_MAX).decode("ascii", errors="ignore")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file").replace("_", " ").lower()
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
