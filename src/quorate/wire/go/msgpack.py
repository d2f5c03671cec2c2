"""msgpack as go-msgpack writes it, and a bounded, tolerant way to read it.

Writing (docs/wire.md#msgpack): byte strings and text alike in the old raw form, nil for None,
unsigned integers in the shortest unsigned form, and signed integers in the *signed* forms even
when they are positive. The order of keys is the business of the message tables.

Reading: everything that the Go decoders accept, by the C library `msgpack`. What a peer can make
us hold is bounded by `LIMITS` and `MAX_ITEMS`, whatever lengths it declares; anything that is no
msgpack, or is beyond the bounds, is `BadFrame`.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

import msgpack

from quorate.errors import BadFrame

NIL: Final = b"\xc0"
EMPTY_ARRAY: Final = b"\x90"
FALSE: Final = b"\xc2"
TRUE: Final = b"\xc3"

MAX_ARRAY_LENGTH: Final = 1024
"""Longest array we read; also the most entries that hashicorp/raft puts in one message."""

MAX_MAP_LENGTH: Final = 64
"""Longest map we read. Our widest message has 13 keys; the rest is room for unknown ones."""

MAX_ITEMS: Final = 256 * 1024
"""Most values inside one value. A Python object is up to 80 times as large as the byte that
declares it, so bytes alone are no bound for memory. A value of no more than this many bytes
cannot exceed it and need not be counted."""

NEXT_STEP: Final = "check what runs at the other end, and its version"

_FIXINT: Final = tuple(bytes((n,)) for n in range(128))
_UINT8: Final = tuple(b"\xcc" + bytes((n,)) for n in range(256))
_FIXRAW: Final = tuple(bytes((0xA0 | n,)) for n in range(32))
_U16: Final = struct.Struct(">BH").pack
_U32: Final = struct.Struct(">BI").pack
_U64: Final = struct.Struct(">BQ").pack
_I8: Final = struct.Struct(">Bb").pack
_I16: Final = struct.Struct(">Bh").pack
_I32: Final = struct.Struct(">Bi").pack
_I64: Final = struct.Struct(">Bq").pack


class Extension(NamedTuple):
    """An ext value other than a timestamp. No message of ours has one: it is skipped or refused."""

    code: int
    data: bytes


LIMITS: Final[dict[str, Any]] = {
    "raw": True,  # addresses, log data and nested msgpack all arrive as "strings"
    "use_list": False,
    "strict_map_key": False,  # an unknown key may hold any map
    "max_array_len": MAX_ARRAY_LENGTH,
    "max_map_len": MAX_MAP_LENGTH,
    "ext_hook": Extension,
}
"""Options of every unpacker here. Lengths of strings are bounded by the bytes that really come."""


def bad_frame(text: str) -> BadFrame:
    """BadFrame with the step that fits all of them."""
    return BadFrame(text, NEXT_STEP)


def pack_uint(value: int) -> bytes:
    """An unsigned Go integer (0 to 2**64-1) in its shortest form."""
    if value < 128:
        assert value >= 0, value
        return _FIXINT[value]
    if value < 1 << 8:
        return _UINT8[value]
    if value < 1 << 16:
        return _U16(0xCD, value)
    if value < 1 << 32:
        return _U32(0xCE, value)
    return _U64(0xCF, value)


def pack_int(value: int) -> bytes:
    """A signed Go integer (int64): above 127 the forms of int16, int32 and int64."""
    if 0 <= value < 128:
        return _FIXINT[value]
    if -32 <= value < 0:
        return bytes((value & 0xFF,))
    if -(1 << 7) <= value < 0:
        return _I8(0xD0, value)
    if -(1 << 15) <= value < 1 << 15:
        return _I16(0xD1, value)
    if -(1 << 31) <= value < 1 << 31:
        return _I32(0xD2, value)
    return _I64(0xD3, value)


def pack_raw(value: bytes) -> bytes:
    """A byte string or text in the old raw form: never str8, never bin."""
    size = len(value)
    if size < 32:
        return _FIXRAW[size] + value
    if size < 1 << 16:
        return _U16(0xDA, size) + value
    return _U32(0xDB, size) + value


def pack_bool(value: bool) -> bytes:
    """True or false."""
    return TRUE if value else FALSE


def array_header(length: int) -> bytes:
    """The bytes before the elements of an array."""
    if length < 16:
        return bytes((0x90 | length,))
    if length < 1 << 16:
        return _U16(0xDC, length)
    return _U32(0xDD, length)


def map_header(length: int) -> bytes:
    """The bytes before the keys and values of a map of at most 15 keys (all of ours are)."""
    assert length < 16, length
    return bytes((0x80 | length,))


class ItemCounter:
    """Counts the values inside one value while it is being read, by the hooks of the unpacker."""

    def __init__(self) -> None:
        self.left = MAX_ITEMS

    def restart(self) -> None:
        """A new value begins."""
        self.left = MAX_ITEMS

    def count(self, container: Any) -> Any:
        """The hook: a list or map was read whole. Raises BadFrame when there are too many."""
        self.left -= len(container) + 1
        if self.left < 0:
            raise bad_frame(f"a msgpack value with more than {MAX_ITEMS} values inside")
        return container


def unpack(data: bytes) -> Any:
    """Read exactly one value. Raises BadFrame for anything else."""
    hooks: dict[str, Any] = {}
    if len(data) > MAX_ITEMS:
        count = ItemCounter().count
        hooks = {"object_hook": count, "list_hook": count}
    try:
        return msgpack.unpackb(data, **LIMITS, **hooks)
    except UNPACK_ERRORS as error:
        raise undecodable(error) from None


UNPACK_ERRORS: Final = (msgpack.UnpackException, ValueError, TypeError, OverflowError)
"""What the C library raises for bytes that are no msgpack, or beyond the limits: its own errors,
a map or list as a key (TypeError), an impossible timestamp (ValueError, OverflowError)."""


def undecodable(error: Exception) -> BadFrame:
    """The BadFrame for one of UNPACK_ERRORS."""
    return bad_frame(f"undecodable msgpack: {str(error) or type(error).__name__}")
