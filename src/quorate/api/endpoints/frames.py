"""The log of a server on its way through another one.

Servers send it to each other in frames always. A quiet log has empty ones, by which each side
notices that the other is gone; of plain lines there would be nothing to see.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import ClassVar, Final, Self
from urllib.parse import urlencode

import msgspec

from quorate.api.http.messages import Call
from quorate.errors import QuorateError
from quorate.loglines.taps import BYTES_MAX
from quorate.server.rpc.pieces import ByteStream

FRAME_BYTES_MAX: Final = 2 * 4 * BYTES_MAX
"""Of a frame before its end: all that waits for a reader, characters of four bytes, in base64."""

_END: Final = b"}"  # base64 has none


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Lines on their way; one without any says that the stream is alive."""

    data: str = ""
    file_event: str = ""


def framed(lines: bytes) -> bytes:
    """The lines as a frame."""
    if not lines:
        return b"{}"
    return msgspec.json.encode(Frame(data=b64encode(lines).decode(), file_event="log"))


def asking_for_frames(call: Call) -> Call:
    """The same call without `plain`."""
    values = {name: found for name, found in call.query.values.items() if name != "plain"}
    path = call.request.target.partition(b"?")[0]
    target = path + b"?" + urlencode(values, doseq=True).encode()
    request = msgspec.structs.replace(call.request, target=target)
    return msgspec.structs.replace(call, request=request)


class PassedOn:
    """The frames of another server, or with `plain` the lines in them.

    It counts from the request for it to its end: `count` is of this process.
    """

    _open: ClassVar[set[PassedOn]] = set()

    def __init__(self, *, plain: bool) -> None:
        self.pieces: ByteStream | None = None
        self._plain = plain
        self._rest = b""
        self._open.add(self)

    @classmethod
    def count(cls) -> int:
        """How many there are."""
        return len(cls._open)

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> bytes:
        """The next piece. Raises QuorateError for what is no frame."""
        assert self.pieces is not None, "the answer has come"
        piece = await anext(aiter(self.pieces))
        return self._lines(piece) if self._plain else piece

    def _lines(self, piece: bytes) -> bytes:
        *frames, self._rest = (self._rest + piece).split(_END)
        if len(self._rest) > FRAME_BYTES_MAX:
            raise QuorateError("the other server sends a frame without an end", "see its version")
        try:
            found = [msgspec.json.decode(frame + _END, type=Frame).data for frame in frames]
            return b"".join(b64decode(data, validate=True) for data in found)
        except (msgspec.MsgspecError, ValueError, Base64Error):
            raise QuorateError(
                "the other server sends no frames of a log", "see its version"
            ) from None

    async def aclose(self) -> None:
        """See `ByteStream`. The other server hears of it."""
        self._open.discard(self)
        if self.pieces is not None:
            await self.pieces.aclose()
