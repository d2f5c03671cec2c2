"""The common part of both transports: URLs, requests, and the names of failures.

httpx is imported when the first transport is made, not before: `quorate version` and all help
texts do without it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from quorate.client.calls.call import Answer
from quorate.client.errors import AnswerError, ClientError, RequestError
from quorate.client.transport.address import parse_address
from quorate.client.transport.tls import TlsOptions, build_context

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S: Final = 10.0
REDIRECTS_MAX: Final = 3
FILE_SILENCE_S: Final = 900.0
"""How long a server may make a file, or read one, before it answers."""
FILE_PIECE_BYTES: Final = 256 << 10
BODY_MAX: Final = 64 << 20
"""Bytes of an answer that is held in memory; the longest of a server has some megabytes."""
_SAME: Final = (307, 308)  # the statuses that keep method and body
Headers = Sequence[tuple[str, str]]


class Reaching(NamedTuple):
    """How agents are reached.

    `address` see `quorate.client.transport.address`; `tls` is used when it begins with https;
    `headers` are sent with every request; `auth` is user and password of HTTP basic authentication;
    `timeout_s` is the longest silence of the server in seconds, None waits for ever.
    """

    address: str
    tls: TlsOptions
    headers: Mapping[str, str]
    auth: tuple[str, str] | None
    timeout_s: float | None


class Wire:
    """Raises AddressError, TlsError, and ClientError for a header that cannot be sent."""

    def __init__(self, reaching: Reaching) -> None:
        self.address = parse_address(reaching.address)
        for name, value in reaching.headers.items():
            check_header(name, value)
        self._timeout_s = reaching.timeout_s
        self._extensions = (
            {"sni_hostname": reaching.tls.server_name} if reaching.tls.server_name else {}
        )

    def url(self, path: str, query: Sequence[tuple[str, str]] = ()) -> str:
        """The whole URL of a path below this agent; query keys are sorted as Go sorts them.

        A path that does not begin with `/` is a whole URL already.
        """
        encoded = urlencode(sorted(query, key=itemgetter(0)), errors="surrogateescape")
        base = self.address.base if path.startswith("/") else ""
        joiner = "&" if "?" in path else "?"
        return f"{base}{path}{joiner + encoded if encoded else ''}"

    def options(self, reaching: Reaching) -> dict[str, Any]:
        """The arguments of an httpx client, apart from its transport."""
        import httpx

        # Loaded even for http://, so that a wrong path is reported whatever the scheme; httpx gets
        # no context of its own making, which would cost a load of all system authorities.
        named = reaching.tls != TlsOptions()
        return {
            "verify": build_context(reaching.tls) if self.address.tls or named else False,
            "headers": dict(reaching.headers),
            "auth": reaching.auth,
            "timeout": reaching.timeout_s,
            # Each watch and each waiting lock holds a connection: none waits for another.
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
            "trust_env": not self.address.is_loopback,  # proxies are for what is far away
        }

    def request(
        self,
        http: httpx.Client | httpx.AsyncClient,
        method: str,
        url: str,
        *,
        body: bytes | Iterator[bytes] | AsyncIterator[bytes] | None = None,
        headers: Headers = (),
        silence_s: float | None = None,
    ) -> httpx.Request:
        """The request as it is sent; `silence_s` None waits for ever. Raises RequestError."""
        import httpx

        for name, value in headers:
            check_header(name, value)
        try:
            return http.build_request(
                method,
                url,
                content=body,
                headers=list(headers),
                extensions=dict(self._extensions),
                timeout=httpx.Timeout(
                    silence_s, connect=min(silence_s or CONNECT_TIMEOUT_S, CONNECT_TIMEOUT_S)
                ),
            )
        except (httpx.InvalidURL, UnicodeError, TypeError) as error:
            raise RequestError(method, ascii(url)[1:-1], str(error), "check the path") from error

    def silence_s(self, timeout_s: float | None) -> float | None:
        """The longest silence of one request."""
        return self._timeout_s if timeout_s is None else timeout_s

    @contextmanager
    def named(self, method: str, url: str) -> Iterator[None]:
        """Failures of the network within it are told as RequestError."""
        import httpx

        from quorate.client.transport.network_text import explain

        try:
            yield
        except (httpx.InvalidURL, UnicodeError, TypeError) as error:
            raise RequestError(method, ascii(url)[1:-1], str(error), "check the path") from error
        except (httpx.HTTPError, OSError) as error:
            reason, next_step = explain(error, self.address)
            unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
            was_sent = not isinstance(error, unsent)
            raise RequestError(method, url, reason, next_step, was_sent=was_sent) from error


def onward(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """The request that a redirect leads to, if it is to be followed: only within this agent.

    A token in a header would otherwise travel to wherever an answer points. A write follows only
    where it stays the same request (307, 308).
    """
    following = response.next_request
    if following is None or (request.method != "GET" and response.status_code not in _SAME):
        return None
    return following if _origin(following.url) == _origin(request.url) else None


class Body:
    """A body that comes in pieces. Raises AnswerError if it is no answer of an agent."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """The next piece, decompressed."""
        self._size += len(piece)
        if self._size > BODY_MAX:
            raise AnswerError(self._url, f"more than {BODY_MAX} bytes")
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    """An answer of httpx as ours."""
    return Answer(
        response.status_code,
        response.reason_phrase,
        {name.lower(): value for name, value in response.headers.items()},
        body,
    )


def check_header(name: str, value: str) -> None:
    """Raise ClientError if this cannot be sent; the value may be a secret and is not named."""
    if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
        raise ClientError(
            f"the value of header {name!a} has characters that cannot be sent",
            "use printable ASCII characters only; look for a line end within a token",
        )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
