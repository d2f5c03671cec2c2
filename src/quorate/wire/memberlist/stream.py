"""The two directions of a gossip stream, sans-IO.

See docs/wire.md#packets, #encryption-of-gossip and #push-pull.

One exchange a connection: a message, its answer, the end. Around the message lie a label (only
from the side that dialled), encryption and compression, each once at most. Only the encrypted form
has a length in front; in the others the msgpack values say where they end.

A reader does the cheap work while bytes come in, and what may take longer (decrypting,
decompressing and what follows) when `message` is called, so that large ones can be read in a
thread. What a reader holds is bounded by STREAM_BYTES_MAX, twice while it decompresses.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

import msgpack

from quorate.gossip.messages import Message, PushPull, PushPullNode, User
from quorate.wire.go.msgpack import LIMITS, UNPACK_ERRORS, ItemCounter, bad_frame, undecodable
from quorate.wire.memberlist.fields import Fields
from quorate.wire.memberlist.layers import (
    NO_KEYS,
    NOT_ENCRYPTED,
    Layers,
    compressed,
    decompressed,
    wrong_label,
)
from quorate.wire.memberlist.messages import Kind, decode_map, decode_node
from quorate.wire.serf.messages import MEMBERS_MAX

STREAM_BYTES_MAX: Final = 8 << 20
"""Most bytes of one direction of a stream, as they come and decompressed: 16,000 members."""

USER_BYTES_MAX: Final = 64 << 10
"""Most bytes of a user message: Serf's have some 1 KB."""

ITEMS_MAX: Final = 1 << 20
"""Most msgpack values on one stream: eight for each of MEMBERS_MAX members, and then as many."""

_SEALED: Final = Struct(">BI")
_IN_STREAM: Final = frozenset({Kind.PING, Kind.ACK, Kind.ERROR, Kind.PUSH_PULL, Kind.USER})


def encode_stream(
    encoded: bytes, layers: Layers, *, nonce: bytes, dialler: bool, encryption_version: int = 1
) -> bytes:
    """All bytes of one direction, for a message that is encoded.

    `nonce`: 12 fresh random bytes; `dialler`: the side that opened the connection.
    """
    body = compressed(encoded) if layers.compress else encoded
    if layers.ring is not None:
        # The header is authenticated and so must be known before: sealing adds a fixed length.
        padding = 16 - len(body) % 16 if encryption_version == 0 else 0
        head = _SEALED.pack(Kind.ENCRYPT, len(body) + padding + 29)
        body = head + layers.ring.seal(body, nonce, head + layers.label, encryption_version)
    return (layers.label_header if dialler else b"") + body


class StreamReader:
    """One direction: `feed` until it says that all is here, then `message` once.

    `from_dialler`: the bytes come from the side that opened the connection. Both methods raise
    BadFrame; the reader is done for then.
    """

    def __init__(self, layers: Layers, *, from_dialler: bool) -> None:
        self._layers = layers
        self._label = layers.label if from_dialler else b""
        self._label_read = False
        self._head = bytearray()
        self._sealed: bytearray | None = None
        self._sealed_size = 0
        self._body: _Body | None = None
        self._fed = 0

    @property
    def fed(self) -> int:
        """Bytes that have come in."""
        return self._fed

    @property
    def takes_time(self) -> bool:
        """True if `message` may take long, whatever was fed: some bytes can stand for megabytes."""
        return self._body is None or self._body.compressed

    @property
    def label_matches(self) -> bool:
        """False until the label was read and found to be ours: strangers get no answer."""
        return self._label_read

    def feed(self, data: bytes) -> bool:
        """More bytes; True once the message is whole. What follows it is not looked at."""
        self._fed += len(data)
        if self._fed > STREAM_BYTES_MAX:
            raise bad_frame(f"a stream of more than {STREAM_BYTES_MAX} bytes")
        if self._body is not None:
            return self._body.feed(data)
        if self._sealed is not None:
            self._sealed += data
            return self._fed_sealed()
        self._head += data
        return self._read_head()

    def _read_head(self) -> bool:
        head = self._head
        if not self._label_read and not self._read_label(head):
            return False
        if not head:
            return False
        if head[0] != Kind.ENCRYPT:
            if self._layers.ring is not None:
                raise bad_frame(NOT_ENCRYPTED)
            self._body = _Body(outer=True)
            return self._body.feed(bytes(head))
        if self._layers.ring is None:
            raise bad_frame(NO_KEYS)
        if len(head) < _SEALED.size:
            return False
        size = _SEALED.size + _SEALED.unpack_from(head)[1]
        if size > STREAM_BYTES_MAX:
            raise bad_frame(f"an encrypted message that declares {size} bytes")
        self._sealed, self._sealed_size = head, size
        return self._fed_sealed()

    def _fed_sealed(self) -> bool:
        return self._sealed is not None and len(self._sealed) >= self._sealed_size

    def _read_label(self, head: bytearray) -> bool:
        if not head:
            return False
        found = b""
        if head[0] == Kind.LABEL:
            if len(head) < 2 or len(head) < 2 + head[1]:
                return False
            found = bytes(head[2 : 2 + head[1]])
            del head[: 2 + len(found)]
        if found != self._label:
            raise bad_frame(wrong_label(found, self._label))
        self._label_read = True
        return True

    def message(self) -> Message:
        """The message. Takes time in proportion to `fed` and to what was compressed in it."""
        if self._sealed is not None:
            assert self._layers.ring is not None
            sealed = memoryview(self._sealed)[: self._sealed_size]
            extra = bytes(sealed[: _SEALED.size]) + self._layers.label
            plain = self._layers.ring.open(bytes(sealed[_SEALED.size :]), extra)
            return _whole(plain, outer=True)
        assert self._body is not None, "the message is not whole"
        return self._body.message()


def _whole(data: bytes, *, outer: bool) -> Message:
    body = _Body(outer=outer)
    if not body.feed(data):
        raise bad_frame("a stream message that is cut")
    return body.message()


class _Body:
    """What is left without label and encryption: a message, or (outside) a compressed one."""

    def __init__(self, *, outer: bool) -> None:
        self._outer = outer
        self._kind = -1
        counter = ItemCounter()
        counter.left = ITEMS_MAX
        self._unpacker = msgpack.Unpacker(
            **LIMITS,
            read_size=4096,
            max_buffer_size=0,
            object_hook=counter.count,
            list_hook=counter.count,
        )
        self._fed = 0
        self._value: Any = None  # the one map, or the header
        self._has_value = False
        self._nodes: list[PushPullNode] = []
        self._nodes_wanted = 0
        self._raw_wanted = 0
        self._raw = b""
        self._join = False

    def feed(self, data: bytes) -> bool:
        """True once it is whole."""
        if self._kind < 0:
            if not data:
                return False
            self._begin(data[0])
            data = data[1:]
        self._unpacker.feed(data)
        self._fed += len(data)
        try:
            if not self._has_value:
                self._value = self._unpacker.unpack()
                self._has_value = True
                self._read_header()
            while len(self._nodes) < self._nodes_wanted:
                self._nodes.append(decode_node(self._unpacker.unpack()))
        except msgpack.OutOfData:
            return False
        except UNPACK_ERRORS as error:
            raise undecodable(error) from None
        if not self._raw_wanted:
            return True
        if self._fed - self._unpacker.tell() < self._raw_wanted:
            return False
        if not self._raw:
            self._raw = self._unpacker.read_bytes(self._raw_wanted)
        return True

    @property
    def compressed(self) -> bool:
        """True if the message is in a compressed one."""
        return self._kind == Kind.COMPRESS

    def _begin(self, kind: int) -> None:
        if kind not in _IN_STREAM and not (self._outer and kind == Kind.COMPRESS):
            raise bad_frame(f"a stream with the type byte {kind}")
        self._kind = kind

    def _read_header(self) -> None:
        if self._kind == Kind.PUSH_PULL:
            header = Fields(self._value, "a push-pull")
            self._join = header.flag(b"Join")
            self._nodes_wanted = header.uint(b"Nodes", MEMBERS_MAX)
            self._raw_wanted = header.uint(b"UserStateLen", STREAM_BYTES_MAX)
        elif self._kind == Kind.USER:
            self._raw_wanted = Fields(self._value, "a user message").uint(
                b"UserMsgLen", USER_BYTES_MAX
            )

    def message(self) -> Message:
        """The message, after `feed` said that it is whole."""
        if self._kind == Kind.COMPRESS:
            return _whole(decompressed(self._value, STREAM_BYTES_MAX), outer=False)
        if self._kind == Kind.PUSH_PULL:
            return PushPull(self._join, tuple(self._nodes), self._raw)
        if self._kind == Kind.USER:
            return User(self._raw)
        return decode_map(self._kind, self._value)
