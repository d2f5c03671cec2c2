"""One HTTP exchange: bytes out, `Answer` in, every failure named.

httpx is imported when the first `Transport` is made, not before: `quorate version` and all help
texts do without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from quorate.client.address import Address, parse_address
from quorate.client.errors import ClientError, RequestError
from quorate.client.tls import TlsOptions, build_context

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 10.0
REDIRECTS_MAX = 3
FILE_SILENCE_S = 900.0
"""How long a server may make a file, or read one, before it answers."""
FILE_PIECE_BYTES = 256 << 10
_SAME = (307, 308)  # the statuses that keep method and body
Query = Sequence[tuple[str, str]]


class Answer(msgspec.Struct, frozen=True):
    """One response. Header names are lower case; `body` is decompressed."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode(errors="replace")


class Transport:
    """Connections to one agent.

    Args:
        address: see `quorate.client.address`.
        tls: used when the address begins with https.
        headers: sent with every request.
        auth: user and password of HTTP basic authentication, or None.
        timeout_s: longest silence of the server, in seconds; None waits for ever.

    Raises AddressError, TlsError, and ClientError for a header that cannot be sent.
    """

    def __init__(
        self,
        address: str,
        tls: TlsOptions,
        headers: Mapping[str, str],
        auth: tuple[str, str] | None,
        timeout_s: float | None,
    ) -> None:
        self.address = parse_address(address)
        for name, value in headers.items():
            check_header(name, value)
        self._http = _open(self.address, tls, headers, auth, timeout_s)
        self._timeout_s = timeout_s
        self._extensions = {"sni_hostname": tls.server_name} if tls.server_name else {}

    def url(self, path: str, query: Query = ()) -> str:
        """The whole URL of a path below this agent; query keys are sorted as Go sorts them."""
        encoded = urlencode(sorted(query, key=itemgetter(0)), errors="surrogateescape")
        joiner = "&" if "?" in path else "?"
        return f"{self.address.base}{path}{joiner + encoded if encoded else ''}"

    def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        timeout_s: float | None = None,
    ) -> Answer:
        """One exchange; `timeout_s` overrides the transport's. Raises RequestError."""
        import httpx

        from quorate.client.network_text import explain

        for name, value in headers:
            check_header(name, value)
        silence_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            request = self._http.build_request(
                method,
                url,
                content=body,
                headers=list(headers),
                extensions=dict(self._extensions),
                timeout=httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S),
            )
            response = self._follow(request)
        except (httpx.InvalidURL, UnicodeError, TypeError) as error:
            raise RequestError(method, ascii(url)[1:-1], str(error), "check the path") from error
        except (httpx.HTTPError, OSError) as error:
            reason, next_step = explain(error, self.address)
            raise RequestError(method, url, reason, next_step) from error
        return _answer(response, response.content)

    def stream(self, url: str, silence_s: float | None = None) -> Iterator[str | Answer]:
        """The text of an answer as it comes; of one that is not 200 the whole Answer alone.

        It is silent for as long as the server is, or for `silence_s`. Raises RequestError.
        """
        import httpx

        from quorate.client.network_text import explain

        timeout = httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)
        extensions = dict(self._extensions)
        try:
            with self._http.stream("GET", url, timeout=timeout, extensions=extensions) as response:
                if response.status_code == 200:
                    yield from response.iter_text()
                    return
                yield _answer(response, response.read())
        except (httpx.HTTPError, OSError) as error:
            reason, next_step = explain(error, self.address)
            raise RequestError("GET", url, reason, next_step) from error

    def download(self, url: str) -> Iterator[Answer | bytes]:
        """First the head of the answer, then its body in pieces; of one that is not 200 no pieces.

        The body is as the server made it, not compressed for the way. Raises RequestError, also
        where the connection ends before the body does.
        """
        import httpx

        from quorate.client.network_text import explain

        request = self._http.build_request(
            "GET",
            url,
            headers={"Accept-Encoding": "identity"},
            extensions=dict(self._extensions),
            timeout=httpx.Timeout(FILE_SILENCE_S, connect=CONNECT_TIMEOUT_S),
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                whole = b"" if response.status_code == 200 else response.read()
                yield _answer(response, whole)
                if response.status_code == 200:
                    yield from response.iter_bytes(FILE_PIECE_BYTES)
            finally:
                response.close()
        except (httpx.HTTPError, OSError) as error:
            reason, next_step = explain(error, self.address)
            raise RequestError("GET", url, reason, next_step) from error

    def upload(self, url: str, pieces: Iterator[bytes], size: int) -> Answer:
        """PUT a body of `size` bytes that comes in pieces. Raises RequestError."""
        import httpx

        from quorate.client.network_text import explain

        request = self._http.build_request(
            "PUT",
            url,
            content=pieces,
            headers={"Content-Length": str(size)},
            extensions=dict(self._extensions),
            timeout=httpx.Timeout(FILE_SILENCE_S, connect=CONNECT_TIMEOUT_S),
        )
        try:
            response = self._http.send(request)
        except (httpx.HTTPError, OSError) as error:
            reason, next_step = explain(error, self.address)
            raise RequestError("PUT", url, reason, next_step) from error
        return _answer(response, response.content)

    def _follow(self, request: httpx.Request) -> httpx.Response:
        """Send, and follow redirects as far as they stay at this agent.

        A token in a header would otherwise travel to wherever an answer points. A write follows
        only where it stays the same request (307, 308).
        """
        response = self._http.send(request)
        for _ in range(REDIRECTS_MAX):
            onward = response.next_request
            if onward is None or (request.method != "GET" and response.status_code not in _SAME):
                break
            if _origin(onward.url) != _origin(request.url):
                break
            response = self._http.send(onward)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _answer(response: httpx.Response, body: bytes) -> Answer:
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


def _open(
    address: Address,
    tls: TlsOptions,
    headers: Mapping[str, str],
    auth: tuple[str, str] | None,
    timeout_s: float | None,
) -> httpx.Client:
    # Loaded even for http://, so that a wrong path is reported whatever the scheme; httpx gets
    # no context of its own making, which would cost a load of all system authorities.
    named = tls != TlsOptions()
    verify = build_context(tls) if address.tls or named else False
    import httpx

    transport = None
    if address.socket:
        transport = httpx.HTTPTransport(uds=address.socket)
    return httpx.Client(
        verify=verify,
        transport=transport,
        headers=dict(headers),
        auth=auth,
        timeout=timeout_s,
        trust_env=not address.is_loopback,  # proxies are for what is far away
    )
