"""The layers around gossip messages that packets and streams share.

Order when sending (docs/wire.md#packets and #encryption-of-gossip): message, compress, checksum
(packets only), encrypt, label. Receiving takes them off in the reverse order.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quorate.wire.go.msgpack import bad_frame, pack_raw, pack_uint
from quorate.wire.memberlist import lzw
from quorate.wire.memberlist.fields import Fields, pack_map
from quorate.wire.memberlist.keyring import Keyring
from quorate.wire.memberlist.messages import Kind

LABEL_MAX: Final = 255
NOT_ENCRYPTED: Final = "Encryption is configured but remote state is not encrypted"
NO_KEYS: Final = "Remote state is encrypted and encryption is not configured"

_LZW: Final = 0


class Layers(msgspec.Struct, frozen=True):
    """How this member wraps what it sends and what it accepts.

    With a ring, only encrypted bytes are accepted; `label` empty is none. `compress` is about
    sending; compressed bytes are always accepted. Raises ValueError for a label over 255 bytes.
    """

    ring: Keyring | None = None
    label: bytes = b""
    compress: bool = True

    def __post_init__(self) -> None:
        if len(self.label) > LABEL_MAX:
            raise ValueError(f"a label has {LABEL_MAX} bytes at most")

    @property
    def label_header(self) -> bytes:
        """The bytes in front of all; empty without a label."""
        if not self.label:
            return b""
        return bytes((Kind.LABEL, len(self.label))) + self.label


def compressed(body: bytes) -> bytes:
    """The bytes in a compressed frame."""
    frame = pack_map((b"Algo", pack_uint(_LZW)), (b"Buf", pack_raw(lzw.compress(body))))
    return bytes((Kind.COMPRESS,)) + frame


def decompressed(frame: Any, limit: int) -> bytes:
    """The contents of a compressed frame, given its decoded map. Raises BadFrame."""
    fields = Fields(frame, "a compressed message")
    if algorithm := fields.uint(b"Algo"):
        raise bad_frame(f"unknown algorithm {algorithm} of compression")
    return lzw.decompress(fields.raw(b"Buf"), limit)


def wrong_label(found: bytes, wanted: bytes) -> str:
    """Why bytes with this label (empty: none) are refused; for people."""
    shown = found[:64].decode(errors="replace") if found else "none"
    ours = wanted.decode(errors="replace") if wanted else "none"
    return f"the label is {shown}, ours is {ours}: another pool"
