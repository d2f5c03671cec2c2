"""The codec that the gossip core needs; `quorate.wire.gossip` is the real one.

The core needs encoded sizes to fill packets, and meets bytes inside messages (tags in `meta`,
coordinates in acks, Serf's messages in memberlist's). It is given this as an argument, so that it
depends on no format. Every `decode_*` raises BadFrame for bytes that are no such thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from quorate.gossip.messages import Coordinate, Message, NodeFilter, SerfMessage, TagFilter


class Codec(Protocol):
    """Bytes to values and back."""

    def encode(self, message: Message) -> bytes:
        """A memberlist message with its type byte, as it stands in a packet or on a stream."""

    def encode_serf(self, message: SerfMessage) -> bytes:
        """A Serf message with Serf's type byte: what `User.payload` and `user_state` hold."""

    def decode_serf(self, data: bytes) -> SerfMessage:
        """The reverse of `encode_serf`."""

    def encode_filter(self, wanted: NodeFilter | TagFilter) -> bytes:
        """One of a query's `filters`, with its type byte."""

    def decode_filter(self, data: bytes) -> NodeFilter | TagFilter:
        """The reverse of `encode_filter`."""

    def encode_tags(self, tags: Mapping[str, str]) -> bytes:
        """A member's meta. Raises ValueError if it is over 512 bytes."""

    def decode_tags(self, meta: bytes | None) -> dict[str, str]:
        """The tags in a member's meta."""

    def encode_coordinate(self, coordinate: Coordinate) -> bytes:
        """The payload of an ack."""

    def decode_coordinate(self, payload: bytes) -> Coordinate | None:
        """The coordinate in an ack's payload; None for a version that we do not know."""
