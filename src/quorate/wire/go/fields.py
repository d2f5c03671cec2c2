"""How one value of a message reads and writes: the Go types of the transport's structs.

Each `read_*` takes what the msgpack library made of a value and the name of its key, and returns
our value; nil (and so a missing key) is Go's zero value. It raises BadFrame for what the Go
decoders refuse: a negative number in an unsigned field, a float or bool in a number, a number
where bytes belong (docs/wire.md#msgpack).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from quorate.wire.go.msgpack import (
    NIL,
    bad_frame,
    pack_bool,
    pack_int,
    pack_raw,
    pack_uint,
)

_TEXTS_KEPT: Final = 512
"""Packed texts that are found again: each message of a server has the same four or five."""

Reader: TypeAlias = Callable[[Any, str], Any]


class Codec(NamedTuple):
    """One Go type: our value to bytes, and what msgpack made of the bytes to our value."""

    pack: Callable[[Any], bytes]
    read: Reader


def read_uint(value: Any, key: str) -> int:
    """A uint64. msgpack itself has no integer beyond it."""
    if type(value) is int and value >= 0:
        return value
    if value is None:
        return 0
    raise bad_frame(f"{key} is no unsigned number: {_shown(value)}")


def read_uint8(value: Any, key: str) -> int:
    """A uint8."""
    number = read_uint(value, key)
    if number > 255:
        raise bad_frame(f"{key} does not fit in 8 bits: {number}")
    return number


def read_int(value: Any, key: str) -> int:
    """An int64."""
    if type(value) is int and value < 1 << 63:
        return value
    if value is None:
        return 0
    raise bad_frame(f"{key} is no signed number: {_shown(value)}")


def read_size(value: Any, key: str) -> int:
    """An int64 that counts bytes, and therefore is not negative."""
    number = read_int(value, key)
    if number < 0:
        raise bad_frame(f"{key} is negative: {number}")
    return number


def read_bool(value: Any, key: str) -> bool:
    """A bool."""
    if value is True or value is False:
        return bool(value)
    if value is None:
        return False
    raise bad_frame(f"{key} is neither true nor false: {_shown(value)}")


def read_bytes(value: Any, key: str) -> bytes:
    """A byte string; nil is empty."""
    if type(value) is bytes:
        return value
    if value is None:
        return b""
    raise bad_frame(f"{key} is no byte string: {_shown(value)}")


def read_optional_bytes(value: Any, key: str) -> bytes | None:
    """A byte string where nil means something else than empty."""
    return None if value is None else read_bytes(value, key)


def read_text(value: Any, key: str) -> str:
    """An id or address. Raises BadFrame unless it is UTF-8, because it will be printed."""
    try:
        return value.decode() if type(value) is bytes else read_bytes(value, key).decode()
    except UnicodeDecodeError:
        raise bad_frame(f"{key} is not UTF-8: {_shown(value)}") from None


@lru_cache(_TEXTS_KEPT)
def pack_text(value: str) -> bytes:
    """An id or address; empty is nil, which is what Go has for "not given"."""
    return pack_raw(value.encode()) if value else NIL


def pack_bytes(value: bytes | None) -> bytes:
    """A byte string; empty is nil."""
    return pack_raw(value) if value else NIL


def pack_optional_bytes(value: bytes | None) -> bytes:
    """A byte string; None is nil, empty is empty."""
    return NIL if value is None else pack_raw(value)


def values_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from an object to its attributes of these names: one call for all of them."""
    if len(names) > 1:
        return attrgetter(*names)  # with one name it would give the value alone
    return lambda owner: tuple([getattr(owner, name) for name in names])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


UINT = Codec(pack_uint, read_uint)
INT = Codec(pack_int, read_int)
SIZE = Codec(pack_int, read_size)
BOOL = Codec(pack_bool, read_bool)
TEXT = Codec(pack_text, read_text)
BYTES = Codec(pack_bytes, read_bytes)
OPTIONAL_BYTES = Codec(pack_optional_bytes, read_optional_bytes)
