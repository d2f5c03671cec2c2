"""The first byte of a connection to the RPC port."""

from __future__ import annotations

import string

import pytest

from quorate.wire.first_byte import RAFT_BYTE, FirstByte, classify

NUMBERED = {
    0x01: FirstByte.NOMAD_RPC,
    0x02: FirstByte.RAFT,
    0x03: FirstByte.MULTIPLEX,
    0x04: FirstByte.TLS,
    0x05: FirstByte.STREAMING,
    0x06: FirstByte.MULTIPLEX_V2,
    0x11: FirstByte.PROVEN,
    0x12: FirstByte.CALL,
    0x16: FirstByte.TLS_DIRECT,
}


@pytest.mark.parametrize("byte", range(256))
def test_every_byte(byte: int) -> None:
    expected = NUMBERED.get(byte, FirstByte.UNKNOWN)
    if chr(byte) in string.ascii_letters:
        expected = FirstByte.HTTP
    assert classify(byte) is expected


def test_the_byte_that_we_send_first() -> None:
    assert classify(RAFT_BYTE) is FirstByte.RAFT
