"""The curl command that does what `operator api` would do.

A token that comes from a variable or a file is written as that, so that the secret does not end
up in a terminal's history or in a ticket.
"""

from __future__ import annotations

import shlex

from quorate.cli.context import Context, Failure, doing
from quorate.client import Settings, settings_from_environment
from quorate.client.transport.address import addresses_of, parse_address
from quorate.client.transport.environment import token_source

CONTINUED = " \\\n  "


def curl_command(
    context: Context,
    method: str,
    path: str,
    *,
    query: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    has_body: bool,
) -> str:
    """The command, one option a line. Raises Failure where curl has no such option."""
    given = {k: v for k, v in context.flags.values.items() if isinstance(v, (str, bool))}
    if "insecure" in given:
        given.setdefault("tls-skip-verify", given["insecure"])
    with doing("Error initializing client: "):
        settings = settings_from_environment(context.environ, given)
        address = parse_address(addresses_of(settings.address)[0])
    if settings.tls.server_name:
        raise Failure(
            "Error building curl command: curl has no option for -tls-server-name",
            "give an -address whose host is that name",
        )
    parts = ["curl", f"-X {shlex.quote(method)}"]
    if address.socket:
        parts.append(f"--unix-socket {shlex.quote(address.socket)}")
    source = token_source(context.environ, given)
    parts += _identity(context, settings, source[1] if source and source[0] != "token" else "")
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers]
    parts += ["--data-binary @-"] if has_body else []
    return CONTINUED.join([*parts, shlex.quote(_url(address.base, path, query, settings))])


def _identity(context: Context, settings: Settings, token_file: str) -> list[str]:
    """Options for this client's certificate and token, and the authorities that it trusts."""
    tls = settings.tls
    files = (
        ("--cacert", tls.ca_cert),
        ("--capath", tls.ca_path),
        ("--cert", tls.client_cert),
        ("--key", tls.client_key),
    )
    parts = [f"{option} {shlex.quote(path)}" for option, path in files if path]
    parts += ["--insecure"] if tls.skip_verify else []
    if settings.http_auth:
        parts.append(f'--user "${{{_variable(context, "HTTP_AUTH")}}}"')
    if token_file:
        parts.append(f'-H "X-Nomad-Token: $(cat {shlex.quote(token_file)})"')
    elif settings.token and settings.token == context.flags.text("token"):
        parts.append(f"-H {shlex.quote(f'X-Nomad-Token: {settings.token}')}")
    elif settings.token:
        parts.append(f'-H "X-Nomad-Token: ${{{_variable(context, "TOKEN")}}}"')
    return parts


def _variable(context: Context, name: str) -> str:
    return f"QUORATE_{name}" if context.environ.get(f"QUORATE_{name}") else f"NOMAD_{name}"


def _url(base: str, path: str, query: list[tuple[str, str]], settings: Settings) -> str:
    from urllib.parse import urlencode

    wanted = [*query]
    wanted += [("region", settings.region)] if settings.region else []
    wanted += [("namespace", settings.namespace)] if settings.namespace else []
    url = base + path if path.startswith("/") else path
    if not wanted:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(sorted(wanted), errors='surrogateescape')}"
