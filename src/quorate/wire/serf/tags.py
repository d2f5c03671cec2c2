"""A member's data about itself: tags in its meta, its coordinate in acks.

See docs/wire.md#tags-and-coordinates.

Tags are the byte ff and a map of text to text, in at most 512 bytes. A meta without that byte is
a role alone, as old members have it. A coordinate is a version byte and four numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

import msgpack

from quorate.gossip.messages import Coordinate
from quorate.wire.go.msgpack import (
    LIMITS,
    UNPACK_ERRORS,
    array_header,
    bad_frame,
    undecodable,
)
from quorate.wire.memberlist.fields import (
    fields_of,
    pack_float,
    pack_long_map,
    pack_map,
    pack_string,
)

META_MAX: Final = 512
"""Most bytes of a member's meta, its first byte included."""

_TAGS: Final = 0xFF
_ROLE: Final = "role"
_COORDINATE_VERSION: Final = 1
_DIMENSIONS: Final = 8
_LIMITS: Final = {**LIMITS, "max_map_len": META_MAX}


def encode_tags(tags: Mapping[str, str]) -> bytes:
    """A member's meta, in the order of `tags`. Raises ValueError if it is over 512 bytes."""
    meta = bytes((_TAGS,)) + pack_long_map([(k, pack_string(v)) for k, v in tags.items()])
    if len(meta) > META_MAX:
        raise ValueError(f"the tags take {len(meta)} bytes; {META_MAX} is the most")
    return meta


def decode_tags(meta: bytes | None) -> dict[str, str]:
    """The tags in a member's meta.

    Text that is no UTF-8 is shown with replacement characters: a member is known by its name, and
    an odd tag is no reason not to see it. Raises BadFrame for what is no map of text, and over
    512 bytes.
    """
    if meta is None:
        meta = b""
    if len(meta) > META_MAX:
        raise bad_frame(f"a meta of {len(meta)} bytes; {META_MAX} is the most")
    if not meta or meta[0] != _TAGS:
        return {_ROLE: meta.decode(errors="replace")}
    try:
        value = msgpack.unpackb(meta[1:], **_LIMITS)
    except UNPACK_ERRORS as error:
        raise undecodable(error) from None
    if value is None:
        return {}
    if type(value) is not dict:
        raise bad_frame(f"tags are no map but {type(value).__name__}")
    return {_text(key): _text(tag) for key, tag in value.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is not bytes:
        raise bad_frame(f"a tag is no text but {type(value).__name__}")
    return value.decode(errors="replace")


def encode_coordinate(coordinate: Coordinate) -> bytes:
    """The payload of an ack in a packet."""
    vector = array_header(len(coordinate.vector)) + b"".join(map(pack_float, coordinate.vector))
    return bytes((_COORDINATE_VERSION,)) + pack_map(
        (b"Adjustment", pack_float(coordinate.adjustment)),
        (b"Error", pack_float(coordinate.error)),
        (b"Height", pack_float(coordinate.height)),
        (b"Vec", vector),
    )


def decode_coordinate(payload: bytes) -> Coordinate | None:
    """The coordinate in an ack's payload; None for a version that we do not know.

    Raises BadFrame for other dimensions than 8 and for numbers that are not finite.
    """
    if not payload or payload[0] != _COORDINATE_VERSION:
        return None
    fields = fields_of(payload[1:], "a coordinate")
    vector = fields.array(b"Vec") or ()
    if len(vector) != _DIMENSIONS:
        raise bad_frame(f"a coordinate of {len(vector)} dimensions instead of {_DIMENSIONS}")
    return Coordinate(
        vector=tuple(_number(value) for value in vector),
        error=_number(fields.value(b"Error")),
        height=_number(fields.value(b"Height")),
        adjustment=_number(fields.value(b"Adjustment")),
    )


def _number(value: Any) -> float:
    if value is None:
        return 0.0
    if type(value) not in {int, float} or not isfinite(value):
        raise bad_frame(f"a coordinate with {str(value)[:40]} for a number")
    return float(value)
