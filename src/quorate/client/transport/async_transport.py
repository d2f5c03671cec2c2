"""HTTP exchanges of an event loop: the `async` twin of `quorate.client.transport.transport`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from quorate.client.calls.call import Answer
from quorate.client.transport.wire import (
    FILE_PIECE_BYTES,
    FILE_SILENCE_S,
    REDIRECTS_MAX,
    Body,
    Headers,
    Reaching,
    Wire,
    answer_of,
    onward,
)

if TYPE_CHECKING:
    import httpx


class AsyncTransport:
    """Connections to one agent. Raises what `Wire` raises."""

    def __init__(self, reaching: Reaching) -> None:
        self.wire = Wire(reaching)
        options = self.wire.options(reaching)
        import httpx

        socket = self.wire.address.socket
        transport = (
            httpx.AsyncHTTPTransport(uds=socket, limits=options["limits"]) if socket else None
        )
        self._http = httpx.AsyncClient(transport=transport, **options)

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Headers = (),
        timeout_s: float | None = None,
    ) -> Answer:
        """One exchange; `timeout_s` overrides the transport's. Raises RequestError."""
        silence_s = self.wire.silence_s(timeout_s)
        request = self.wire.request(
            self._http, method, url, body=body, headers=headers, silence_s=silence_s
        )
        with self.wire.named(method, url):
            for _ in range(REDIRECTS_MAX + 1):
                answer, following = await self._exchanged(request, url)
                if following is None:
                    break
                request = following
            return answer

    async def stream(
        self, url: str, silence_s: float | None = None
    ) -> AsyncGenerator[str | Answer, None]:
        """The text of an answer as it comes; of one that is not 200 the whole Answer alone.

        It is silent for as long as the server is, or for `silence_s`. Raises RequestError.
        """
        request = self.wire.request(self._http, "GET", url, silence_s=silence_s)
        with self.wire.named("GET", url):
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code == 200:
                    async for piece in response.aiter_text():
                        yield piece
                    return
                yield answer_of(response, await _body(response, url))
            finally:
                await response.aclose()

    async def download(self, url: str) -> AsyncGenerator[Answer | bytes, None]:
        """First the head of the answer, then its body in pieces; of one that is not 200 no pieces.

        The body is as the server made it, not compressed for the way. Raises RequestError, also
        where the connection ends before the body does.
        """
        request = self.wire.request(
            self._http,
            "GET",
            url,
            headers=[("Accept-Encoding", "identity")],
            silence_s=FILE_SILENCE_S,
        )
        with self.wire.named("GET", url):
            response = await self._http.send(request, stream=True)
            try:
                whole = b"" if response.status_code == 200 else await _body(response, url)
                yield answer_of(response, whole)
                if response.status_code == 200:
                    async for piece in response.aiter_bytes(FILE_PIECE_BYTES):
                        yield piece
            finally:
                await response.aclose()

    async def upload(self, url: str, pieces: AsyncIterator[bytes], size: int) -> Answer:
        """PUT a body of `size` bytes that comes in pieces. Raises RequestError."""
        request = self.wire.request(
            self._http,
            "PUT",
            url,
            body=pieces,
            headers=[("Content-Length", str(size))],
            silence_s=FILE_SILENCE_S,
        )
        with self.wire.named("PUT", url):
            return (await self._exchanged(request, url))[0]

    async def _exchanged(
        self, request: httpx.Request, url: str
    ) -> tuple[Answer, httpx.Request | None]:
        """The answer, and where it leads."""
        response = await self._http.send(request, stream=True)
        try:
            body = await _body(response, url)
            return answer_of(response, body), onward(request, response)
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


async def _body(response: httpx.Response, url: str) -> bytes:
    body = Body(url)
    async for piece in response.aiter_bytes():
        body.add(piece)
    return body.whole()
