"""A byte stream cut into msgpack values, in pieces of any size (docs/wire.md#framing).

The stream has no lengths: only the msgpack values themselves say where they end. The C library
goes on where it stopped, so every byte is looked at once or twice however it arrives.

Invariants: what is held is at most one value of `max_value_bytes` and the newest piece; what
comes out does not depend on how the bytes were cut.

Two lanes. A piece that begins with a value and is no longer than MAX_ITEMS bytes is read without
counting values (see MAX_ITEMS), which halves the cost; if a value at its end is not complete,
its bytes move to the counting lane, which keeps its place until the value is.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from quorate.wire.go.msgpack import (
    LIMITS,
    MAX_ITEMS,
    UNPACK_ERRORS,
    ItemCounter,
    bad_frame,
    undecodable,
)

INCOMPLETE: Final = object()
"""What `read_value` returns while the end of the value has not come."""

# The library would take a mebibyte for each connection; it grows from here as needed. The limit
# on what waits in it is ours to keep, because it must hold one piece of any size besides.
_BUFFER: Final = {"read_size": 4096, "max_buffer_size": 0}


class ValueStream:
    """Bytes in by `feed`; single bytes, raw bytes and msgpack values out.

    All that is complete has to be taken out before the next `feed`.
    """

    def __init__(self, max_value_bytes: int) -> None:
        self._max_value_bytes = max_value_bytes
        self._counter = ItemCounter()
        self._in_value = False
        self._unpacker: Any = None
        self._quick = True
        self._piece = b""  # what the quick lane was fed last
        self._fed = 0  # bytes fed to this unpacker
        self._value_start = 0  # where among them the current value begins
        self._begin_quick_lane()

    @property
    def is_empty(self) -> bool:
        """True when all bytes have been taken out."""
        return not self._in_value and self._fed == self._unpacker.tell()

    @property
    def unfinished(self) -> int:
        """Bytes held of a value whose end has not come."""
        return self._fed - self._value_start if self._in_value else 0

    def feed(self, piece: bytes) -> None:
        """More bytes came."""
        if self.is_empty:
            if len(piece) > MAX_ITEMS:
                self._begin_counting_lane()
            elif not self._quick:
                self._begin_quick_lane()
            self._piece = piece
        else:
            assert not self._quick, "complete values were left behind"
        self._unpacker.feed(piece)
        self._fed += len(piece)

    def read_byte(self) -> int | None:
        """The next byte, or None when there is none."""
        byte = self.read_raw(1)
        return byte[0] if byte else None

    def read_raw(self, size: int) -> bytes:
        """Up to `size` of the bytes that are here, between two values."""
        here = min(size, self._fed - self._unpacker.tell())
        taken: bytes = self._unpacker.read_bytes(here) if here else b""
        return taken

    def read_value(self) -> Any:
        """The next msgpack value, or INCOMPLETE.

        Raises BadFrame for bytes that are no msgpack, and for a value over the limits.
        """
        if not self._in_value:
            self._value_start = self._unpacker.tell()
            if not self._quick:
                self._counter.restart()
            self._in_value = True
        try:
            value = self._unpacker.unpack()
        except msgpack.OutOfData:
            return self._wait_for_more()
        except UNPACK_ERRORS as error:
            raise undecodable(error) from None
        self._in_value = False
        end = self._unpacker.tell()
        if end - self._value_start > self._max_value_bytes:
            self._check_size(end - self._value_start)
        if end == self._fed and not self._quick:
            self._begin_quick_lane()
        return value

    def _wait_for_more(self) -> Any:
        begun = self._fed - self._value_start
        self._check_size(begun)
        if not self._quick:
            return INCOMPLETE
        piece = self._piece[len(self._piece) - begun :]
        self._begin_counting_lane()
        self._unpacker.feed(piece)
        self._fed = begun
        return self.read_value()

    def _check_size(self, size: int) -> None:
        if size > self._max_value_bytes:
            raise bad_frame(f"a message of more than {self._max_value_bytes} bytes")

    def _begin_quick_lane(self) -> None:
        self._begin_lane(msgpack.Unpacker(**LIMITS, **_BUFFER), quick=True)

    def _begin_counting_lane(self) -> None:
        self._counter.restart()
        hook = self._counter.count
        unpacker = msgpack.Unpacker(**LIMITS, **_BUFFER, object_hook=hook, list_hook=hook)
        self._begin_lane(unpacker, quick=False)

    def _begin_lane(self, unpacker: Any, *, quick: bool) -> None:
        """Always a new unpacker: an old one keeps its place, and all the memory it ever took."""
        self._unpacker = unpacker
        self._quick = quick
        self._piece = b""
        self._fed = 0
        self._value_start = 0
