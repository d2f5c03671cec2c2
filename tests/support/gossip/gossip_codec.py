"""A small byte format for the core's tests: what it is given must not matter to the core.

Decoding remembers what it has seen: in a simulated pool the same bytes arrive a thousand times.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from quorate.errors import BadFrame
from quorate.gossip import messages
from quorate.gossip.messages import Coordinate, Message, NodeFilter, SerfMessage, TagFilter

_MESSAGES = (
    *(messages.Ping, messages.IndirectPing, messages.Ack, messages.Nack, messages.Suspect),
    *(messages.Alive, messages.Dead, messages.User, messages.RemoteError, messages.PushPull),
)
_SERF = (
    *(messages.LeaveIntent, messages.JoinIntent, messages.SerfPushPull, messages.UserEvent),
    *(messages.Query, messages.QueryResponse, messages.ConflictResponse, messages.KeyRequest),
    *(messages.KeyResponse, messages.Relay),
)
_FILTERS = (NodeFilter, TagFilter)
META_MAX = 512


class _Family:
    """One kind of messages: a type byte, and the fields."""

    def __init__(self, types: tuple[type, ...]) -> None:
        self._bytes = {kind: bytes([number]) for number, kind in enumerate(types)}
        self._decoders: list[msgspec.msgpack.Decoder[Any]] = [
            msgspec.msgpack.Decoder(kind) for kind in types
        ]
        self.encode = lru_cache(maxsize=1 << 14)(self._encode)
        self.decode = lru_cache(maxsize=1 << 14)(self._decode)

    def encode_uncached(self, message: Any) -> bytes:
        return self._encode(message)

    def _encode(self, message: Any) -> bytes:
        return self._bytes[type(message)] + msgspec.msgpack.encode(message)

    def _decode(self, data: bytes) -> Any:
        if not data or data[0] >= len(self._decoders):
            raise BadFrame("no such message")
        try:
            return self._decoders[data[0]].decode(data[1:])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadFrame(str(error)) from error


_messages, _serf, _filters = _Family(_MESSAGES), _Family(_SERF), _Family(_FILTERS)
_coordinates = msgspec.msgpack.Decoder(Coordinate)


@lru_cache(maxsize=1 << 14)
def _coordinate(payload: bytes) -> Coordinate:
    try:
        return _coordinates.decode(payload)
    except msgspec.MsgspecError as error:
        raise BadFrame(str(error)) from error


@lru_cache(maxsize=1 << 12)
def _tags(meta: bytes) -> dict[str, str]:
    try:
        return msgspec.msgpack.decode(meta, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise BadFrame(str(error)) from error


class PlainCodec:
    """A `quorate.gossip.codec.Codec`."""

    def encode(self, message: Message) -> bytes:
        return _messages.encode_uncached(message)

    def decode(self, data: bytes) -> Message:
        message: Message = _messages.decode(data)
        return message

    def encode_serf(self, message: SerfMessage) -> bytes:
        return _serf.encode_uncached(message)

    def decode_serf(self, data: bytes) -> SerfMessage:
        message: SerfMessage = _serf.decode(data)
        return message

    def encode_filter(self, wanted: NodeFilter | TagFilter) -> bytes:
        return _filters.encode_uncached(wanted)

    def decode_filter(self, data: bytes) -> NodeFilter | TagFilter:
        wanted: NodeFilter | TagFilter = _filters.decode(data)
        return wanted

    def encode_tags(self, tags: Mapping[str, str]) -> bytes:
        meta = msgspec.msgpack.encode(dict(tags))
        if len(meta) > META_MAX:
            raise ValueError(f"the tags have {len(meta)} bytes; the limit is {META_MAX}")
        return meta

    def decode_tags(self, meta: bytes | None) -> dict[str, str]:
        return _tags(meta) if meta else {}

    def encode_coordinate(self, coordinate: Coordinate) -> bytes:
        return msgspec.msgpack.encode(coordinate)

    def decode_coordinate(self, payload: bytes) -> Coordinate | None:
        return _coordinate(payload)
