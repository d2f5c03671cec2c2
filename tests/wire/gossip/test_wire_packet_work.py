"""A packet that takes long to unpack is refused before it is."""

from __future__ import annotations

import time
from random import Random

import pytest

from quorate.errors import BadFrame
from quorate.wire.memberlist.layers import Layers, compressed
from quorate.wire.memberlist.packet import COMPRESSED_MAX, decode_packet


def test_a_packet_of_much_compressed_data_is_refused() -> None:
    bomb = compressed(Random(1).randbytes(40_000))
    assert COMPRESSED_MAX < len(bomb) < 65_507
    began = time.thread_time()
    with pytest.raises(BadFrame, match=f"over {COMPRESSED_MAX} compressed bytes"):
        decode_packet(bomb, Layers())
    assert time.thread_time() - began < 0.1
