"""Forms of an agent's address (docs/cli.md#rules).

`http://host:port`, `https://host:port` (a path before `/v1` is kept, for proxies) or
`unix:///path/to/socket`. The first refusal's text is the Go URL parser's, which scripts know.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from quorate.client.errors import AddressError

DEFAULT_ADDRESS = "http://127.0.0.1:4646"
DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A parsed address. `base` has no trailing slash; `socket` is empty unless `unix://`."""

    base: str
    host: str
    port: int
    tls: bool
    socket: str = ""

    @property
    def is_loopback(self) -> bool:
        """True if the agent is on this machine, so that no proxy can be meant."""
        if self.socket or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def dialled(self) -> str:
        """`host:port` as the Go client names what it tried to reach."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address. Raises AddressError with what is wrong with it."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise AddressError(text, _without_scheme(text))
    scheme = scheme.lower()
    if scheme == "unix":
        if not rest:
            raise AddressError(text, "the path of the socket is missing")
        return Address("http://127.0.0.1", "127.0.0.1", 80, tls=False, socket=rest)
    if scheme not in DEFAULT_PORTS:
        raise AddressError(text, f'unsupported protocol scheme "{scheme}"')
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(text, f'parse "{text}": {error}') from None
    if not host or any(c.isspace() for c in rest):
        raise AddressError(text, f'parse "{text}": the host is missing or has blanks')
    base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return Address(base, host, port or DEFAULT_PORTS[scheme], tls=scheme == "https")


def addresses_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Several addresses, or one text with commas between. Raises AddressError for none."""
    if not isinstance(given, str):
        found = tuple(given)
    elif given.startswith("unix:"):
        found = (given,)  # a path may have commas
    else:
        found = tuple(part.strip() for part in given.split(","))
    if not found:
        raise AddressError("", "there is none")
    return found


def _without_scheme(text: str) -> str:
    if text.startswith(":"):
        return f'parse "{text}": missing protocol scheme'
    if ":" in text and text[0].isdigit():
        return f'parse "{text}": first path segment in URL cannot contain colon'
    return "the protocol scheme is missing"
