"""One UDP packet of a pool, both ways (docs/wire.md#packets and #encryption-of-gossip).

Going out: one message or a compound of several, compressed if that makes it smaller, checksum,
encryption, label. Coming in, compounds and compression may stand in each other; how deep, how
many messages and how much decompressed data one packet may hold is bounded, whatever it declares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from quorate.errors import BadFrame
from quorate.gossip.messages import Message
from quorate.wire.go.msgpack import bad_frame, unpack
from quorate.wire.memberlist.layers import Layers, compressed, decompressed, wrong_label
from quorate.wire.memberlist.messages import Kind, decode_in_packet

PARTS_MAX: Final = 127
"""Most messages in a compound that we write: old members misread more."""

DECOMPRESSED_MAX: Final = 64 * 1024
"""Most bytes that all compressed parts of one packet may become: no packet is larger plain."""

COMPRESSED_MAX: Final = 16 * 1024
"""Most compressed bytes of one packet: each code takes its time, whatever it stands for. Packets
have 1,400 bytes; more would take 10 ms."""

MESSAGES_MAX: Final = 256
"""Most messages that one packet may hold: a compound has 255 at most."""

_DEPTH_MAX: Final = 4
_CRC: Final = Struct(">BI")
_LENGTH: Final = Struct(">H")
_LENGTH_MAX: Final = 0xFFFF


class Opened(NamedTuple):
    """The contents of a packet: its messages, and why parts of it were not read (for people)."""

    messages: tuple[Message, ...]
    problems: tuple[str, ...]


def compound(parts: Sequence[bytes]) -> bytes:
    """Several encoded messages (2 to 255) as one. Raises ValueError for one of 64 KiB or more."""
    if max(map(len, parts)) > _LENGTH_MAX:
        raise ValueError("a message of 64 KiB or more does not fit into a compound")
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    return bytes((Kind.COMPOUND, len(parts))) + lengths + b"".join(parts)


def encode_packets(
    parts: Sequence[bytes],
    layers: Layers,
    *,
    crc: bool,
    make_nonce: Callable[[], bytes],
    encryption_version: int = 1,
) -> list[bytes]:
    """The packets that carry these encoded messages: one, unless there are more than 127.

    `crc`: put a checksum in (only members of protocol 5 and up read it). `make_nonce` gives 12
    fresh random bytes for each packet. Raises ValueError without parts, or for one that is too
    long for a compound.
    """
    if not parts:
        raise ValueError("a packet needs a message")
    packets = []
    for start in range(0, len(parts), PARTS_MAX):
        some = parts[start : start + PARTS_MAX]
        body = some[0] if len(some) == 1 else compound(some)
        if layers.compress and len(smaller := compressed(body)) < len(body):
            body = smaller
        if crc:
            body = _CRC.pack(Kind.CRC, crc32(body)) + body
        if layers.ring is not None:
            body = layers.ring.seal(body, make_nonce(), layers.label, encryption_version)
        packets.append(layers.label_header + body)
    return packets


def decode_packet(data: bytes, layers: Layers) -> Opened:
    """Open a packet and take it apart.

    Parts that cannot be read are left out and told as problems. Raises BadFrame when the packet as
    a whole is refused: label, encryption, checksum, or nothing in it can be read.
    """
    data = _without_label(data, layers.label)
    if layers.ring is not None:
        data = layers.ring.open(data, layers.label)
    if data and data[0] == Kind.CRC:
        if len(data) < _CRC.size or _CRC.unpack_from(data)[1] != crc32(data[_CRC.size :]):
            raise bad_frame("a packet whose checksum is wrong")
        data = data[_CRC.size :]
    opening = _Opening()
    opening.take(data, 0)
    if opening.problems and not opening.messages:
        raise bad_frame(opening.problems[0])
    return Opened(tuple(opening.messages), tuple(opening.problems))


def _without_label(data: bytes, label: bytes) -> bytes:
    found = b""
    if data and data[0] == Kind.LABEL:
        if len(data) < 2 or not data[1] or len(data) < 2 + data[1]:
            raise bad_frame("a packet with half a label")
        found = data[2 : 2 + data[1]]
        data = data[2 + data[1] :]
    if found != label:
        raise bad_frame(wrong_label(found, label))
    return data


class _Opening:
    """One packet being taken apart, and what it may still use up."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.problems: list[str] = []
        self._bytes_left = DECOMPRESSED_MAX
        self._compressed_left = COMPRESSED_MAX
        self._parts_left = MESSAGES_MAX

    def take(self, data: bytes, depth: int) -> None:
        kind = data[0] if data else -1
        self._parts_left -= 1
        try:
            if self._parts_left < 0:
                raise bad_frame(f"a packet with more than {MESSAGES_MAX} messages")
            if kind in {Kind.COMPOUND, Kind.COMPRESS} and depth == _DEPTH_MAX:
                raise bad_frame(f"a packet with more than {_DEPTH_MAX} layers")
            if kind == Kind.COMPOUND:
                self._take_parts(data, depth)
            elif kind == Kind.COMPRESS:
                self._compressed_left -= len(data)
                if self._compressed_left < 0:
                    raise bad_frame(f"a packet with over {COMPRESSED_MAX} compressed bytes")
                body = decompressed(unpack(data[1:]), self._bytes_left)
                self._bytes_left -= len(body)
                self.take(body, depth + 1)
            else:
                self.messages.append(decode_in_packet(data))
        except BadFrame as error:
            if len(self.problems) < 4:  # one log line shows no more
                self.problems.append(error.text)

    def _take_parts(self, data: bytes, depth: int) -> None:
        count = data[1] if len(data) > 1 else 0
        start = 2 + 2 * count
        if not count or len(data) < start:
            raise bad_frame("a compound without its table of lengths")
        for number in range(count):
            (length,) = _LENGTH.unpack_from(data, 2 + 2 * number)
            if start + length > len(data):
                raise bad_frame(f"a compound that was cut after {number} of {count} messages")
            if self._parts_left < 0:
                return
            self.take(data[start : start + length], depth + 1)
            start += length
