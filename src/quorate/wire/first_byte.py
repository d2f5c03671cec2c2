"""The meaning of the first byte of a connection to the RPC port (docs/wire.md#the-rpc-port).

Nomad's mode bytes 1 to 6, and three things that cannot be mistaken for them: an HTTP/1.1 request,
which begins with an ASCII letter (our servers forward requests to each other so), our own byte
0x11, behind which both sides prove which server they are (`quorate.wire.handshake`), and a TLS
handshake record. Raft's own type byte comes after the mode byte.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

NOMAD_RPC_BYTE: Final = 0x01
RAFT_BYTE: Final = 0x02
MULTIPLEX_BYTE: Final = 0x03
TLS_BYTE: Final = 0x04
STREAMING_BYTE: Final = 0x05
MULTIPLEX_V2_BYTE: Final = 0x06
PROVEN_BYTE: Final = 0x11
"""Ours: both sides prove which server they are, and a mode byte or HTTP follows."""
CALL_BYTE: Final = 0x12
"""Ours: one call between two replicas (`quorate.net.calls`), on a proven connection only."""
TLS_RECORD_BYTE: Final = 0x16


class FirstByte(Enum):
    """The protocol of a connection. The values are names for logs."""

    NOMAD_RPC = "Nomad RPC"
    RAFT = "Raft"
    MULTIPLEX = "multiplexed Nomad RPC"
    TLS = "TLS after a mode byte"  # inside it comes a mode byte again
    STREAMING = "streaming RPC"
    MULTIPLEX_V2 = "multiplexed Nomad RPC, version 2"
    PROVEN = "a connection between servers that prove their IDs"
    CALL = "a call between replicas"
    HTTP = "HTTP"
    TLS_DIRECT = "TLS"  # without a mode byte before it
    UNKNOWN = "unknown"


_MEANINGS: Final = {
    NOMAD_RPC_BYTE: FirstByte.NOMAD_RPC,
    RAFT_BYTE: FirstByte.RAFT,
    MULTIPLEX_BYTE: FirstByte.MULTIPLEX,
    TLS_BYTE: FirstByte.TLS,
    STREAMING_BYTE: FirstByte.STREAMING,
    MULTIPLEX_V2_BYTE: FirstByte.MULTIPLEX_V2,
    PROVEN_BYTE: FirstByte.PROVEN,
    CALL_BYTE: FirstByte.CALL,
    TLS_RECORD_BYTE: FirstByte.TLS_DIRECT,
    **dict.fromkeys(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", FirstByte.HTTP),
}


def classify(byte: int) -> FirstByte:
    """The meaning of a first byte (0 to 255)."""
    return _MEANINGS.get(byte, FirstByte.UNKNOWN)
