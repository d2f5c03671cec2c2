"""Lives of pools once more, with the bytes that real members send instead of a test's own."""

from __future__ import annotations

import gossip_pool
import pytest
from gossip_life import Life

from quorate.gossip.messages import Message
from quorate.wire import gossip
from quorate.wire.memberlist.messages import decode_in_packet


class RealCodec:
    """A `quorate.gossip.codec.Codec`, and how the simulated network reads packets."""

    encode = staticmethod(gossip.encode)
    encode_serf = staticmethod(gossip.encode_serf)
    decode_serf = staticmethod(gossip.decode_serf)
    encode_filter = staticmethod(gossip.encode_filter)
    decode_filter = staticmethod(gossip.decode_filter)
    encode_tags = staticmethod(gossip.encode_tags)
    decode_tags = staticmethod(gossip.decode_tags)
    encode_coordinate = staticmethod(gossip.encode_coordinate)
    decode_coordinate = staticmethod(gossip.decode_coordinate)

    def decode(self, data: bytes) -> Message:
        return decode_in_packet(data)


@pytest.mark.parametrize("seed", range(6))
def test_life_in_real_bytes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip_pool, "CODEC", RealCodec())
    Life(seed).run()
