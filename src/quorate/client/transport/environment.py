"""Where a client's settings come from: flags, then QUORATE_*, then NOMAD_* (docs/cli.md#rules).

A variable that is set to the empty text counts as not set, as in the Go client.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quorate.client.errors import ClientError
from quorate.client.transport.address import DEFAULT_ADDRESS
from quorate.client.transport.tls import TlsOptions
from quorate.given_files import content

_TOKEN_BYTES_MAX = 1024
_FILE_STEP = "write the secret ID of a token into it, and nothing else"
PREFIXES = ("QUORATE_", "NOMAD_")
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

VARIABLES = {
    "address": "ADDR",
    "region": "REGION",
    "namespace": "NAMESPACE",
    "token": "TOKEN",
    "token-file": "TOKEN_FILE",
    "ca-cert": "CACERT",
    "ca-path": "CAPATH",
    "client-cert": "CLIENT_CERT",
    "client-key": "CLIENT_KEY",
    "tls-server-name": "TLS_SERVER_NAME",
    "tls-skip-verify": "SKIP_VERIFY",
}
"""Option of the command line -> its variable without the prefix."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a `Client` needs to know. Empty means not given."""

    address: str = DEFAULT_ADDRESS
    region: str = ""
    namespace: str = ""
    token: str = ""
    tls: TlsOptions = TlsOptions()
    http_auth: tuple[str, str] | None = None


def lookup(environ: Mapping[str, str], name: str) -> str:
    """The variable `name` (without prefix): QUORATE_ before NOMAD_; empty if neither is set."""
    for prefix in PREFIXES:
        value = environ.get(prefix + name, "")
        if value:
            return value
    return ""


def settings_from_environment(
    environ: Mapping[str, str], given: Mapping[str, str | bool] | None = None
) -> Settings:
    """Settings by precedence; `given` holds the options of the command line by their names.

    Raises ClientError when NOMAD_SKIP_VERIFY or QUORATE_SKIP_VERIFY is no boolean, and when the
    file of the token cannot be read.
    """
    options = dict(given or {})

    def text(option: str) -> str:
        value = options.get(option)
        return value if isinstance(value, str) and value else lookup(environ, VARIABLES[option])

    skip = options.get("tls-skip-verify")
    tls = TlsOptions(
        ca_cert=text("ca-cert"),
        ca_path=text("ca-path"),
        client_cert=text("client-cert"),
        client_key=text("client-key"),
        server_name=text("tls-server-name"),
        skip_verify=skip if isinstance(skip, bool) else _boolean(environ, "SKIP_VERIFY"),
    )
    return Settings(
        address=text("address") or DEFAULT_ADDRESS,
        region=text("region"),
        namespace=text("namespace"),
        token=_token(environ, options),
        tls=tls,
        http_auth=_http_auth(lookup(environ, "HTTP_AUTH")),
    )


def token_source(
    environ: Mapping[str, str], given: Mapping[str, str | bool]
) -> tuple[str, str] | None:
    """Where the secret is: `token` with the secret, or `token-file` with the name of its file.

    Options come before variables, and of both the secret itself before a file.
    """
    for named in (given.get, lambda option: lookup(environ, VARIABLES[option])):
        for option in ("token", "token-file"):
            value = named(option)
            if isinstance(value, str) and value:
                return option, value
    return None


def _token(environ: Mapping[str, str], given: Mapping[str, str | bool]) -> str:
    option, value = token_source(environ, given) or ("token", "")
    return value if option == "token" else _of_file(value)


def _of_file(name: str) -> str:
    """The secret in a file, without the end of its line. Raises ClientError."""
    try:
        secret = content(name, _TOKEN_BYTES_MAX, stream=True).decode().strip()
    except (OSError, ValueError) as error:  # of the file, or of its text
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ClientError(f"cannot read the token file {name}: {why}", _FILE_STEP) from None
    if not secret:
        raise ClientError(f"the token file {name} is empty", _FILE_STEP)
    return secret


def _boolean(environ: Mapping[str, str], name: str) -> bool:
    value = lookup(environ, name)
    if not value or value in FALSE:
        return False
    if value in TRUE:
        return True
    prefix = next(p for p in PREFIXES if environ.get(p + name))
    raise ClientError(
        f'could not parse {prefix}{name}: strconv.ParseBool: parsing "{value}": invalid syntax',
        "set it to true or false, or unset it",
    )


def _http_auth(value: str) -> tuple[str, str] | None:
    if not value:
        return None
    user, _, password = value.partition(":")
    return user, password
