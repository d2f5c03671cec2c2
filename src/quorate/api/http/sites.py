"""Which web pages may use the HTTP port: browsers send what a page tells them to.

Two ways of a hostile page are shut. It may send a form or a script's request here from its own
site: the browser says so in `Origin`, or in `Sec-Fetch-Site`, and such a request changes nothing.
Or the name of its own site may be turned to this server's address (DNS rebinding): then page and
server are one site for the browser, but `Host` still has the foreign name, and a browser is
answered under this server's own names alone. An IP address cannot be turned to another one.

Clients that are no browsers send none of these headers, and nothing here concerns them. What a
page of another site may read stays decided by CORS, that is by the browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from quorate.api.codec.go_text import quote

HOSTS_REMEMBERED: Final = 256
"""Host headers whose judgement is kept; each costs some 100 bytes."""

HOST_BYTES_MAX: Final = 262
"""A name of DNS has 253 characters at most, and a port 6. A longer one is not this server's."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_BROWSERS_SEND: Final = (
    b"origin",
    b"sec-fetch-site",
    b"sec-fetch-mode",
    b"referer",
    b"accept-language",
)
_BROWSERS_AGENT: Final = b"mozilla/"
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
_OF_THIS_SITE: Final = frozenset({b"same-origin", b"none"})  # none: typed in, or a bookmark


class Sites:
    """The names of this server.

    `names` are its own; `trusted` are further ones, given by the operator (`http_hosts`), whose
    pages may also change things from any port.
    """

    def __init__(self, names: Iterable[str], trusted: Iterable[str] = ()) -> None:
        self._trusted = frozenset(map(_plain, trusted))
        self._names = frozenset(map(_plain, names)) | self._trusted
        self._judged: dict[bytes, bool] = {}

    def objection(self, method: str, headers: Mapping[bytes, bytes]) -> str:
        """Empty, or why this request of a browser is refused. Names of headers are lower case."""
        host = headers.get(b"host", b"")
        known = self._judged.get(host)
        if known and (method in SAFE or not (b"origin" in headers or b"sec-fetch-site" in headers)):
            return ""  # the usual case
        if (self._judge(host) if known is None else known) is False and _is_browsers(headers):
            return (
                f"refused: this server is not known by the name {_quoted(host)}; use its IP "
                "address, or add the name to http_hosts in the agent's configuration"
            )
        if method in SAFE:
            return ""
        origin = headers.get(b"origin")
        if origin is None:
            site = headers.get(b"sec-fetch-site")
            return "" if site is None else _from_elsewhere(site)
        if self._may_change(origin, host):
            return ""
        return (
            f"refused: a web page of {_quoted(origin)} changes nothing here; if it is yours, add "
            "its host name to http_hosts in the agent's configuration"
        )

    def _judge(self, host: bytes) -> bool:
        """Whether that value of a Host header is this server's; kept for the next time."""
        own = len(host) <= HOST_BYTES_MAX and self._is_own(_name_of(host))
        if len(self._judged) >= HOSTS_REMEMBERED:
            self._judged.clear()
        if len(host) <= HOST_BYTES_MAX:
            self._judged[host] = own
        return own

    def _is_own(self, name: str) -> bool:
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def _may_change(self, origin: bytes, host: bytes) -> bool:
        scheme, _, place = origin.lower().partition(b"://")
        if not place or len(origin) > HOST_BYTES_MAX + len("https://"):
            return False
        port = _DEFAULT_PORTS.get(scheme, b"")
        if place.removesuffix(port) == host.lower().removesuffix(port):
            return True
        return _name_of(place) in self._trusted


def _from_elsewhere(site: bytes) -> str:
    if site in _OF_THIS_SITE:
        return ""
    return (
        f"refused: a web page of another site (Sec-Fetch-Site: {_quoted(site)}) changes nothing "
        "here; ask from the command line, or from a page of this server"
    )


def _is_browsers(headers: Mapping[bytes, bytes]) -> bool:
    if headers.get(b"user-agent", b"").lower().startswith(_BROWSERS_AGENT):
        return True
    return any(name in headers for name in _BROWSERS_SEND)


def _name_of(place: bytes) -> str:
    """Host of "host", "host:port", "[ip]:port", as names are compared."""
    text = place.decode("latin-1")
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return _plain(text.partition(":")[0])


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _quoted(value: bytes) -> str:
    return quote(value.decode("latin-1"))
