"""`AppendedAt` of a log entry: Go's time in its travelling forms (docs/wire.md#messages).

Two forms are about: Go's binary time (15 bytes, or 16 when the zone has seconds), which we write,
and the payload of the msgpack timestamp (4, 8 or 12 bytes), with or without an ext header, which
recent Nomad writes. Go's zero time means "not given" and is None here. The zone is not kept.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from msgpack import Timestamp

from quorate.wire.go.msgpack import bad_frame

NS_PER_SECOND: Final = 1_000_000_000

_GO_EPOCH: Final = 62_135_596_800  # seconds from 0001-01-01 UTC to 1970-01-01 UTC
_ZERO_TIME_NS: Final = -_GO_EPOCH * NS_PER_SECOND
_YEAR_10000_NS: Final = 253_402_300_800 * NS_PER_SECOND
_UTC: Final = -1

_PACK_BINARY: Final = struct.Struct(">BBqih").pack
_READ_BINARY: Final = struct.Struct(">Bqi").unpack_from
_READ_32: Final = struct.Struct(">I").unpack
_READ_64: Final = struct.Struct(">Q").unpack
_READ_96: Final = struct.Struct(">Iq").unpack

_VERSION_OF_SIZE: Final = {15: 1, 16: 2}

_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def format_time(unix_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC, without zeros at the end, as Go writes it in JSON.

    What is outside of the years 1 to 9999 becomes Go's zero time.
    """
    if not _ZERO_TIME_NS < unix_ns < _YEAR_10000_NS:
        unix_ns = _ZERO_TIME_NS
    seconds, nanoseconds = divmod(unix_ns, NS_PER_SECOND)
    whole = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    return f"{whole}.{nanoseconds:09}".rstrip("0") + "Z" if nanoseconds else f"{whole}Z"


def parse_time(text: str) -> int:
    """The Unix nanoseconds of a time in RFC 3339. Raises ValueError for anything else."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:64]!a} is no time in RFC 3339")
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return int(whole.timestamp()) * NS_PER_SECOND + int((found[2] or "").ljust(9, "0"))


@lru_cache(maxsize=16)  # all entries of a batch have the same time
def pack_time(unix_ns: int) -> bytes:
    """Unix nanoseconds as a raw string of Go's 15 byte binary time, in UTC."""
    seconds, nanoseconds = divmod(unix_ns, NS_PER_SECOND)
    return _PACK_BINARY(0xA0 | 15, 1, seconds + _GO_EPOCH, nanoseconds, _UTC)


def read_time(value: Any, key: str) -> int | None:
    """Unix nanoseconds, or None where no time is given.

    Raises BadFrame for a value of no known form, or a time outside the years 1 to 9999.
    """
    if value is None:
        return None
    if type(value) is bytes:
        unix_ns = _read_bytes(value, key)
    elif isinstance(value, Timestamp):
        unix_ns = value.to_unix_nano()
    else:
        raise bad_frame(f"{key} is no time: {type(value).__name__}")
    if unix_ns == _ZERO_TIME_NS:
        return None
    if not _ZERO_TIME_NS < unix_ns < _YEAR_10000_NS:
        raise bad_frame(f"{key} is outside the years 1 to 9999")
    return unix_ns


@lru_cache(maxsize=16)  # likewise
def _read_bytes(value: bytes, key: str) -> int:
    match len(value):
        case 15 | 16 as size if value[0] == _VERSION_OF_SIZE[size]:
            _, seconds, nanoseconds = _READ_BINARY(value)
            seconds -= _GO_EPOCH
        case 4:
            seconds, nanoseconds = _READ_32(value)[0], 0
        case 8:
            packed = _READ_64(value)[0]
            seconds, nanoseconds = packed & ((1 << 34) - 1), packed >> 34
        case 12:
            nanoseconds, seconds = _READ_96(value)
        case _:
            raise bad_frame(f"{key} has no known form: {value[:16].hex()}")
    return int(seconds * NS_PER_SECOND + nanoseconds)
