"""No gossip from outside does harm: refused as BadFrame, in bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from gossip_vectors import MEMBERLIST, SERF, captured_packets, captured_streams
from hypothesis import example, given
from hypothesis import strategies as st
from wire_vectors import load

from quorate.errors import BadFrame
from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    PushPull,
    PushPullNode,
    RemoteError,
    SerfPushPull,
    User,
    Versions,
)
from quorate.wire import gossip
from quorate.wire.memberlist import lzw
from quorate.wire.memberlist.keyring import KEYS_MAX, Keyring, decode_keyring, parse_key
from quorate.wire.memberlist.layers import NO_KEYS, NOT_ENCRYPTED, Layers, compressed
from quorate.wire.memberlist.packet import (
    DECOMPRESSED_MAX,
    MESSAGES_MAX,
    compound,
    decode_packet,
    encode_packets,
)
from quorate.wire.memberlist.stream import STREAM_BYTES_MAX, StreamReader, encode_stream
from quorate.wire.serf.tags import META_MAX

KEY = b"0123456789abcdef"
RING = Keyring([KEY])
PLAIN = Layers(compress=False)
SEALED = Layers(RING)
LABELLED = Layers(RING, b"blue")
GOLDEN = [bytes.fromhex(v["hex"]) for v in MEMBERLIST]
GOLDEN += [c.data for n, c in captured_packets() if n.startswith(("capture-serf-f", "capture-n"))]
GOLDEN += [c.data for n, _, c in captured_streams() if n.startswith("capture-nomad-protocol3")]
GOLDEN_SERF = [bytes.fromhex(v["hex"]) for v in SERF]
GOLDEN_TAGS = [bytes.fromhex(v["hex"]) for v in load("serf-tags")["vectors"]]


def nonce() -> bytes:
    return bytes(12)


def packet(data: bytes) -> object:
    return [refused(decode_packet, data, layers) for layers in (PLAIN, SEALED, LABELLED)]


def sealed_packet(data: bytes) -> object:
    """As one of the pool would be able to send it."""
    return decode_packet(RING.seal(data, nonce()), SEALED)


def stream(data: bytes) -> object:
    for layers in (PLAIN, SEALED, LABELLED):
        refused(read_stream, data, layers)
    return None


def read_stream(data: bytes, layers: Layers, size: int = 1 << 16) -> object:
    reader = StreamReader(layers, from_dialler=True)
    for start in range(0, len(data), size):
        if reader.feed(data[start : start + size]):
            return reader.message()
    return None


def refused(work: Callable[..., object], *args: Any) -> str:
    """Why it is refused, or nothing. Any other exception passes through and fails the test."""
    try:
        work(*args)
    except BadFrame as error:
        return error.text or "without a word"
    return ""


@st.composite
def mutilated(draw: st.DrawFn, golden: list[bytes]) -> bytes:
    """Golden bytes with some bytes replaced, removed or put in."""
    data = bytearray(draw(st.sampled_from(golden)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 4)))
        data[start:end] = draw(st.binary(max_size=4))
    return bytes(data)


@given(data=st.binary(max_size=300) | mutilated(GOLDEN))
@example(data=b"\xf4")
@example(data=b"\xf4\x00")
@example(data=b"\x07\x05")
@example(data=b"\x0c\x00\x00\x00")
@example(data=b"")
def test_any_bytes_by_udp_and_tcp(data: bytes) -> None:
    packet(data)
    refused(sealed_packet, data)
    stream(data)
    header = b"\x0a" + (len(data) + 29).to_bytes(4, "big")
    refused(read_stream, header + RING.seal(data, nonce(), header), SEALED)


@given(data=st.binary(max_size=300) | mutilated(GOLDEN_SERF))
def test_any_serf_message(data: bytes) -> None:
    refused(gossip.decode_serf, data)
    refused(gossip.decode_coordinate, data)
    refused(gossip.decode_filter, data)


@given(data=st.binary(max_size=600) | mutilated(GOLDEN_TAGS))
def test_any_meta(data: bytes) -> None:
    refused(gossip.decode_tags, data)


@given(data=mutilated(GOLDEN), size=st.integers(1, 40))
def test_a_stream_is_read_alike_however_cut(data: bytes, size: int) -> None:
    def outcome(step: int) -> str:
        try:
            return repr(read_stream(data, PLAIN, step))
        except BadFrame as error:
            return error.text

    assert outcome(size) == outcome(1 << 16)


@given(data=st.binary(max_size=3000), repeated=st.integers(1, 40))
def test_lzw_there_and_back(data: bytes, repeated: int) -> None:
    plain = data * repeated
    assert lzw.decompress(lzw.compress(plain), len(plain)) == plain


@given(data=st.binary(max_size=400))
def test_lzw_of_any_bytes(data: bytes) -> None:
    refused(lzw.decompress, data, 10_000)


# -- lies about size -----------------------------------------------------------------------------


def within(seconds: float, bytes_most: int, work: Callable[[], object]) -> None:
    """Run it; processor time and the peak of memory must stay below these."""
    tracemalloc.start()
    before = time.process_time()
    try:
        work()
    finally:
        took = time.process_time() - before
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert took < seconds
    assert peak < bytes_most


def test_a_bomb_in_a_packet() -> None:
    bomb = compressed(bytes(8 << 20))
    assert len(bomb) < 64 * 1024
    within(2, 16 << 20, lambda: refused(decode_packet, bomb, PLAIN))
    assert "more than" in refused(decode_packet, bomb, PLAIN)


def test_many_small_bombs_in_one_packet_share_one_limit() -> None:
    bomb = compressed(b"\x08" + bytes(DECOMPRESSED_MAX // 2))
    parts = [bomb] * 120
    assert len(compound(parts)) < 64 * 1024
    opened = decode_packet(compound(parts), PLAIN)
    assert len(opened.messages) == 1
    assert opened.problems


def test_a_bomb_on_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.wire.memberlist.stream.STREAM_BYTES_MAX", 1 << 20)
    bomb = compressed(bytes(4 << 20))
    within(2, 4 << 20, lambda: refused(read_stream, bomb, PLAIN))
    assert "more than" in refused(read_stream, bomb, PLAIN)


def test_layers_in_layers() -> None:
    data = gossip.encode(Ack(1))
    for _ in range(4):
        data = compressed(data)
        assert decode_packet(data, PLAIN).messages == (Ack(1),)
    assert "layers" in refused(decode_packet, compressed(data), PLAIN)
    for _ in range(200):
        data = compound([data, data])[:60_000]
    assert refused(decode_packet, data, PLAIN)
    once = compressed(gossip.encode(Ack(1)))
    assert read_stream(once, PLAIN) == Ack(1)
    assert "type byte 9" in refused(read_stream, compressed(once), PLAIN)


def test_more_messages_than_a_packet_may_hold() -> None:
    inner = compound([b"\x08"] * 250)
    opened = decode_packet(compound([inner] * 100), PLAIN)
    assert len(opened.messages) <= MESSAGES_MAX
    assert any("more than" in problem for problem in opened.problems)


@pytest.mark.parametrize("count", [1, 2, 127, 128, 255, 300])
def test_compounds_are_split_before_old_members_misread_them(count: int) -> None:
    parts = [gossip.encode(Ack(number)) for number in range(count)]
    packets = encode_packets(parts, PLAIN, crc=True, make_nonce=nonce)
    assert len(packets) == -(-count // 127)
    assert all(p[5] != 7 or p[6] <= 127 for p in packets)
    opened = [decode_packet(p, PLAIN) for p in packets]
    assert [m for o in opened for m in o.messages] == [Ack(number) for number in range(count)]


def test_newer_members_write_up_to_255_parts() -> None:
    parts = [gossip.encode(Ack(number)) for number in range(255)]
    assert len(decode_packet(compound(parts), PLAIN).messages) == 255


def test_a_cut_compound_gives_what_is_whole() -> None:
    data = compound([gossip.encode(Ack(1)), gossip.encode(Ack(2)), gossip.encode(Ack(3))])
    opened = decode_packet(data[:-1], PLAIN)
    assert opened.messages == (Ack(1), Ack(2))
    assert opened.problems == ("a compound that was cut after 2 of 3 messages",)


def test_a_bad_part_costs_only_itself() -> None:
    opened = decode_packet(compound([b"\x63", gossip.encode(Ack(2))]), PLAIN)
    assert opened.messages == (Ack(2),)
    assert len(opened.problems) == 1


def test_what_cannot_be_in_a_compound() -> None:
    with pytest.raises(ValueError, match="64 KiB"):
        encode_packets([bytes(1 << 16), b"\x08"], PLAIN, crc=False, make_nonce=nonce)
    with pytest.raises(ValueError, match="needs a message"):
        encode_packets([], PLAIN, crc=False, make_nonce=nonce)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x06\x83\xa4Join\xc2\xa5Nodes\xce\x7f\xff\xff\xff\xacUserStateLen\x00", "too large"),
        (b"\x06\x83\xa4Join\xc2\xa5Nodes\x00\xacUserStateLen\xce\x7f\xff\xff\xff", "too large"),
        (b"\x06\x83\xa4Join\xc2\xa5Nodes\xff\xacUserStateLen\x00", "no unsigned number"),
        (b"\x08\x81\xaaUserMsgLen\xce\x7f\xff\xff\xff", "too large"),
        (b"\x04\x80", "type byte 4"),
        (b"\x0a\x7f\xff\xff\xff", NO_KEYS),
        (b"\xf4\x03red\x00", "the label is red, ours is none"),
    ],
)
def test_a_stream_that_lies(data: bytes, why: str) -> None:
    assert why in refused(read_stream, data, PLAIN)


def test_an_error_text_that_would_forge_a_line() -> None:
    data = gossip.encode(RemoteError("no\nServer is fine \x1b[2J" + "x" * 5000))
    message = read_stream(data, PLAIN)
    assert isinstance(message, RemoteError)
    assert message.text.startswith("no?Server is fine ?[2Jxxx")
    assert len(message.text) == 2048


def test_a_sealed_stream_that_lies_about_its_length() -> None:
    assert "declares" in refused(read_stream, b"\x0a\x7f\xff\xff\xff", SEALED)
    assert NOT_ENCRYPTED in refused(read_stream, gossip.encode(Ack(1)), SEALED)
    assert "the label is none, ours is blue" in refused(read_stream, b"\x0a", LABELLED)


def test_a_stream_without_end() -> None:
    reader = StreamReader(PLAIN, from_dialler=True)
    head = b"\x06\x83\xa4Join\xc2\xa5Nodes\xcd\xff\xff\xacUserStateLen\x00"
    assert not reader.feed(head)
    # A member with a large unknown field, again and again.
    address = b"\xa4Addr\xa4\x7f\x00\x00\x01"
    endless = b"\x82" + address + b"\xa1x\xda\xff\xff" + bytes(65535)
    why = ""
    for _ in range(STREAM_BYTES_MAX // len(endless) + 2):
        why = why or refused(reader.feed, endless)
    assert "a stream of more than" in why


def test_a_wide_map_costs_no_more_memory_than_the_bounds_say() -> None:
    nils = b"\xdc\x04\x00" + b"\xc0" * 1024
    address = b"\xa4Addr\xa4\x7f\x00\x00\x01"
    node = (
        b"\xde\x00\x40" + address + b"".join(b"\xa2x" + bytes((48 + n,)) + nils for n in range(63))
    )
    head = b"\x06\x83\xa4Join\xc2\xa5Nodes\xcd\xff\xff\xacUserStateLen\x00"
    within(20, 80 << 20, lambda: refused(read_stream, head + node * 200, PLAIN))
    assert "more than" in refused(read_stream, head + node * 200, PLAIN)


# -- keys, labels, checksums ---------------------------------------------------------------------


def test_a_wrong_key_and_a_changed_byte() -> None:
    other = Layers(Keyring([b"x" * 32]))
    (data,) = encode_packets([gossip.encode(Ack(1))], SEALED, crc=True, make_nonce=nonce)
    assert refused(decode_packet, data, other) == "No installed keys could decrypt the message"
    for place in range(len(data)):
        changed = data[:place] + bytes((data[place] ^ 0x40,)) + data[place + 1 :]
        assert refused(decode_packet, changed, SEALED)
    assert refused(decode_packet, gossip.encode(Ack(1)), SEALED)


def test_all_keys_of_the_ring_open() -> None:
    (data,) = encode_packets([gossip.encode(Ack(1))], SEALED, crc=False, make_nonce=nonce)
    newer = Layers(Keyring([b"x" * 32, b"y" * 24, KEY]))
    assert decode_packet(data, newer).messages == (Ack(1),)


def test_a_ring_changes_by_making_another() -> None:
    ring = Keyring([KEY]).install(b"b" * 16).install(b"b" * 16)
    assert ring.keys == (KEY, b"b" * 16)
    assert ring.use(b"b" * 16).keys == (b"b" * 16, KEY)
    assert ring.use(b"b" * 16).remove(KEY).keys == (b"b" * 16,)
    assert ring.remove(b"c" * 16).keys == ring.keys
    for change, key in ((ring.use, b"c" * 16), (ring.remove, KEY), (ring.install, b"c")):
        with pytest.raises(ValueError, match="key"):
            change(key)
    with pytest.raises(ValueError, match="at most"):
        Keyring(bytes((n,)) * 16 for n in range(KEYS_MAX + 1))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"[1]", b'["AAAA"]', b'["!"]', b"\xff"])
def test_a_damaged_keyring_file(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|key"):
        decode_keyring(content)
    with pytest.raises(ValueError, match=r"base64|size"):
        parse_key(content.decode(errors="replace"))


def test_a_checksum_that_is_wrong() -> None:
    (data,) = encode_packets([gossip.encode(Ack(1))], PLAIN, crc=True, make_nonce=nonce)
    assert "checksum" in refused(decode_packet, data[:-1], PLAIN)


@given(message=st.binary(max_size=200), label=st.binary(max_size=255), sealed=st.booleans())
def test_layers_there_and_back(message: bytes, label: bytes, sealed: bool) -> None:
    layers = Layers(RING if sealed else None, label)
    user = User(message)
    for crc in (False, True):
        (data,) = encode_packets([gossip.encode(user)], layers, crc=crc, make_nonce=nonce)
        assert decode_packet(data, layers).messages == (user,)
        if label:
            assert "label" in refused(decode_packet, data, Layers(layers.ring))


@pytest.mark.parametrize("version", [0, 1])
def test_streams_of_both_versions(version: int) -> None:
    body = gossip.encode(Ack(7, b"x"))
    data = encode_stream(body, LABELLED, nonce=nonce(), dialler=True, encryption_version=version)
    assert read_stream(data, LABELLED) == Ack(7, b"x")


def test_tags_over_the_limit() -> None:
    with pytest.raises(ValueError, match="512 is the most"):
        gossip.encode_tags({"a": "x" * META_MAX})
    assert "is the most" in refused(gossip.decode_tags, b"\xff" + bytes(META_MAX))


# -- speed ---------------------------------------------------------------------------------------


def large_push_pull(members: int) -> PushPull:
    """A full exchange between busy members, of which every tag differs."""
    random = Random(7)
    nodes = tuple(
        PushPullNode(
            f"server-{number}.region-{number % 5}",
            Address(f"10.0.{number >> 8}.{number & 255}", 4648),
            gossip.encode_tags({"role": "nomad", "id": f"{random.getrandbits(128):032x}"}),
            1,
            0,
            Versions(),
        )
        for number in range(members)
    )
    times = {node.name: random.randrange(1000) for node in nodes}
    return PushPull(False, nodes, gossip.encode_serf(SerfPushPull(9, times, (), 1, (None,) * 512)))


def test_a_full_exchange_is_fast_enough_for_the_loop() -> None:
    """10 kB both ways: about 3 ms of processor time here, so 60 is far from noise."""
    message = large_push_pull(60)
    encoded = gossip.encode(message)
    assert 8_000 < len(encoded) < 12_000
    best = 1.0
    for _ in range(5):
        before = time.process_time()
        data = encode_stream(encoded, SEALED, nonce=nonce(), dialler=True)
        assert read_stream(data, SEALED) == message
        best = min(best, time.process_time() - before)
    assert best < 0.06


def test_alive_with_addresses_of_both_families() -> None:
    for host in ("10.0.0.1", "2001:db8::1"):
        alive = Alive(1, "a", Address(host, 65535), None, Versions())
        assert decode_packet(gossip.encode(alive), PLAIN).messages == (alive,)
    with pytest.raises(ValueError, match="IP"):
        gossip.encode(Alive(1, "a", Address("localhost", 1), None))
