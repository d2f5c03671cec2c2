"""The byte formats of gossip, joined as the pure core wants them (`quorate.gossip.codec`)."""

from __future__ import annotations

from quorate.wire.memberlist.messages import encode_message as encode
from quorate.wire.serf.filters import decode_filter, encode_filter
from quorate.wire.serf.messages import decode_serf, encode_serf
from quorate.wire.serf.tags import (
    decode_coordinate,
    decode_tags,
    encode_coordinate,
    encode_tags,
)

__all__ = [
    "decode_coordinate",
    "decode_filter",
    "decode_serf",
    "decode_tags",
    "encode",
    "encode_coordinate",
    "encode_filter",
    "encode_serf",
    "encode_tags",
]
