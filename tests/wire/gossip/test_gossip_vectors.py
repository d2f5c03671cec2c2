"""Gossip's bytes equal those of memberlist, Serf and Nomad, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from gossip_vectors import (
    MEMBERLIST,
    SERF,
    Captured,
    captured_packets,
    captured_streams,
    message_of,
    raw,
    relay_of,
    serf_of,
)
from wire_vectors import load

from quorate.gossip.codec import Codec
from quorate.gossip.messages import Coordinate, Message, PushPull, Query, User
from quorate.wire import gossip
from quorate.wire.go.msgpack import pack_uint
from quorate.wire.memberlist import lzw
from quorate.wire.memberlist import messages as memberlist_messages
from quorate.wire.memberlist.keyring import Keyring, decode_keyring, encode_keyring
from quorate.wire.memberlist.layers import Layers
from quorate.wire.memberlist.messages import Kind, decode_in_packet
from quorate.wire.memberlist.packet import decode_packet, encode_packets
from quorate.wire.memberlist.stream import StreamReader, encode_stream
from quorate.wire.serf import messages as serf_messages

TYPES: dict[str, int] = load("memberlist-packets")["message_types"]
PLAIN = Layers(compress=False)
SQUEEZED = Layers()
ON_STREAM_ONLY = {Kind.PUSH_PULL, Kind.ERROR}


def named(*parts: str) -> list[Any]:
    """The memberlist vectors whose names contain one of these, as parameters of a test."""
    chosen = [v for v in MEMBERLIST if any(part in v["name"] for part in parts)]
    assert chosen
    return [pytest.param(v, id=v["name"]) for v in chosen]


def read_stream(data: bytes, layers: Layers, *, from_dialler: bool = True) -> Message:
    """The message of a stream that came in one piece."""
    reader = StreamReader(layers, from_dialler=from_dialler)
    assert reader.feed(data)
    return reader.message()


def layers_of(vector: dict[str, Any]) -> Layers:
    key = vector.get("key_hex")
    label = b"blue" if "label" in vector["name"] else b""
    return Layers(Keyring([bytes.fromhex(key)]) if key else None, label, compress=False)


SIMPLE = [
    pytest.param(v, id=v["name"])
    for v in MEMBERLIST
    if "parts" not in (v.get("fields") or {"parts": 1}) and v["name"] != "user_stream"
]


@pytest.mark.parametrize("vector", SIMPLE)
def test_messages(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    message = message_of(data[0], vector["fields"])
    assert gossip.encode(message) == data
    if data[0] in ON_STREAM_ONLY:
        assert read_stream(data, PLAIN) == message
    else:
        assert decode_in_packet(data) == message
        assert decode_packet(data, PLAIN).messages == (message,)


def test_a_user_message_on_a_stream() -> None:
    (vector,) = (v for v in MEMBERLIST if v["name"] == "user_stream")
    payload = raw(vector["fields"]["payload"])
    assert payload is not None
    assert read_stream(bytes.fromhex(vector["hex"]), PLAIN) == User(payload)


@pytest.mark.parametrize("vector", named("compound_"))
def test_compounds(vector: dict[str, Any]) -> None:
    parts = [raw(part) or b"" for part in vector["fields"]["parts"]]
    assert encode_packets(parts, PLAIN, crc=False, make_nonce=bytes)[0].hex() == vector["hex"]
    opened = decode_packet(bytes.fromhex(vector["hex"]), PLAIN)
    assert opened.messages == tuple(map(decode_in_packet, parts))
    assert not opened.problems


@pytest.mark.parametrize(
    "vector", [p for p in named("compressed_") if "nonce_hex" not in p.values[0]]
)
def test_compression(vector: dict[str, Any]) -> None:
    plain = bytes.fromhex(vector["plain_hex"])
    assert encode_stream(plain, SQUEEZED, nonce=b"", dialler=True).hex() == vector["hex"]
    frame = msgpack.unpackb(bytes.fromhex(vector["hex"])[1:], raw=True)
    assert frame[b"Buf"] == lzw.compress(plain)
    assert lzw.decompress(frame[b"Buf"], len(plain)) == plain


def test_a_checksum() -> None:
    (vector,) = (v for v in MEMBERLIST if v["name"] == "crc_ping")
    plain = bytes.fromhex(vector["plain_hex"])
    assert encode_packets([plain], PLAIN, crc=True, make_nonce=bytes)[0].hex() == vector["hex"]
    assert decode_packet(bytes.fromhex(vector["hex"]), PLAIN) == decode_packet(plain, PLAIN)


@pytest.mark.parametrize("vector", named("_packet_"))
def test_sealed_packets(vector: dict[str, Any]) -> None:
    plain, data = bytes.fromhex(vector["plain_hex"]), bytes.fromhex(vector["hex"])
    layers = layers_of(vector)
    version = 0 if "v0" in vector["name"] else 1

    def make_nonce() -> bytes:
        return bytes.fromhex(vector["nonce_hex"])

    sent = encode_packets(
        [plain], layers, crc=False, make_nonce=make_nonce, encryption_version=version
    )
    assert sent == [data]
    assert decode_packet(data, layers).messages == (decode_in_packet(plain),)


@pytest.mark.parametrize("vector", named("encrypted_stream", "label_stream"))
def test_sealed_streams(vector: dict[str, Any]) -> None:
    plain, data = bytes.fromhex(vector["plain_hex"]), bytes.fromhex(vector["hex"])
    layers = layers_of(vector)
    nonce = bytes.fromhex(vector.get("nonce_hex") or "")
    assert encode_stream(plain, layers, nonce=nonce, dialler=True) == data
    assert isinstance(read_stream(data, layers), PushPull)
    # The answer is the same without the label.
    answer = encode_stream(plain, layers, nonce=nonce, dialler=False)
    assert data.endswith(answer)
    assert read_stream(answer, layers, from_dialler=False) == read_stream(data, layers)


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["name"]) for v in SERF])
def test_serf_messages(vector: dict[str, Any]) -> None:
    data, fields = bytes.fromhex(vector["hex"]), vector["fields"]
    if vector["name"].startswith("ack_payload"):
        numbers = (fields["Error"], fields["Height"], fields["Adjustment"])
        place = Coordinate(tuple(map(float, fields["Vec"])), *map(float, numbers))
        assert gossip.encode_coordinate(place) == data
        assert gossip.decode_coordinate(data) == place
        return
    relayed = vector["name"].startswith("relay")
    message = relay_of(fields) if relayed else serf_of(data[0], fields)
    assert gossip.decode_serf(data) == message
    assert gossip.encode_serf(message) == data


def test_filters() -> None:
    (vector,) = (v for v in SERF if v["name"] == "query_filters_ack_relay")
    query = gossip.decode_serf(bytes.fromhex(vector["hex"]))
    assert isinstance(query, Query)
    assert query.filters
    meant = [gossip.decode_filter(one) for one in query.filters]
    assert [str(one) for one in meant] == [
        "NodeFilter(names=('a.global', 'b.global'))",
        "TagFilter(tag='role', expression='^nomad$')",
    ]
    assert tuple(map(gossip.encode_filter, meant)) == query.filters


TAGS = load("serf-tags")


@pytest.mark.parametrize("vector", TAGS["vectors"] + TAGS["from_real_servers"])
def test_tags(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert gossip.decode_tags(data) == (vector["tags"] or {})
    if vector["tags"] is not None and vector.get("serf_protocol") != 2:
        assert gossip.encode_tags(vector["tags"]) == data


def test_a_keyring_file() -> None:
    content = load("serf-files")["nomad_serf_keyring"].encode()
    assert decode_keyring(content).keys == (b"0123456789abcdef",)
    assert encode_keyring(decode_keyring(content)) == content


# -- what was recorded between real programs -----------------------------------------------------


def written_by_an_old_codec(name: str) -> bool:
    """Debian's serf has go-msgpack 0.5.5, which writes positive signed numbers as unsigned ones."""
    agents = ("-1-c>s", "-2-c>s")  # the dialling agents among Nomad servers
    among = name.startswith("capture-nomad-protocol2") and name.endswith(agents)
    return name.startswith("capture-serf") or among


@pytest.fixture
def codec_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes us write as the sender of a recording did."""

    def change(name: str) -> None:
        if written_by_an_old_codec(name):
            for module in (memberlist_messages, serf_messages):
                monkeypatch.setattr(module, "pack_int", pack_uint)

    return change


def leaves(decoded: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages in a recorded reading, layers and compounds taken away."""
    decoded = decoded.get("inner", decoded) if "encrypted" in decoded else decoded
    while "inner" in decoded:
        decoded = decoded["inner"]
    if decoded["type"] == "compound":
        return [leaf for part in decoded["parts"] for leaf in leaves(part)]
    return [decoded]


def assert_means(message: Message, decoded: dict[str, Any]) -> None:
    """Assert that a message is what was read at the time of the recording."""
    kind = TYPES[decoded["type"]]
    if kind == Kind.PUSH_PULL:
        assert isinstance(message, PushPull)
        state = message.user_state or None
        fields = {**decoded["header"], "nodes": decoded["nodes"], "user_state": state}
        assert message == message_of(kind, fields)
        if decoded["user_state"]:
            assert_serf(message.user_state, decoded["user_state"])
    elif kind == Kind.USER:
        assert isinstance(message, User)
        assert_serf(message.payload, decoded)
    else:
        assert message == message_of(kind, decoded["body"])


def assert_serf(data: bytes, decoded: dict[str, Any]) -> None:
    """The same for a Serf message; and its bytes come out as they came in."""
    kind = load("serf-messages")["message_types"][decoded["serf"]]
    message = gossip.decode_serf(data)
    assert message == serf_of(kind, decoded["body"])
    assert gossip.encode_serf(message) == data


@pytest.mark.parametrize(
    ("name", "captured"), [pytest.param(n, c, id=n) for n, c in captured_packets()]
)
def test_recorded_packets(name: str, captured: Captured, codec_of: Callable[[str], None]) -> None:
    codec_of(name)
    data = captured.data
    ring = Keyring([captured.key]) if captured.key else None
    layers = Layers(ring, captured.label)
    opened = decode_packet(data, layers)
    assert not opened.problems
    wanted = leaves(captured.decoded)
    assert len(opened.messages) == len(wanted)
    for message, decoded in zip(opened.messages, wanted, strict=True):
        assert_means(message, decoded)
    # The same packet again: the layers that it had, with its nonce.
    parts = [gossip.encode(message) for message in opened.messages]
    header = len(layers.label_header)
    body = data[header:]
    nonce = body[1:13]
    if ring:
        body = ring.open(body, captured.label)
    # Compression was on everywhere but in the pool with a label: it shows only where it pays.
    again = encode_packets(
        parts,
        Layers(ring, captured.label, compress=not captured.label),
        crc=body[0] == Kind.CRC,
        make_nonce=lambda: nonce,
    )
    assert again == [data]


@pytest.mark.parametrize(
    ("name", "dialler", "captured"),
    [pytest.param(n, d, c, id=n) for n, d, c in captured_streams()],
)
def test_recorded_streams(
    name: str, dialler: bool, captured: Captured, codec_of: Callable[[str], None]
) -> None:
    codec_of(name)
    data = captured.data
    ring = Keyring([captured.key]) if captured.key else None
    layers = Layers(ring, captured.label)
    message = read_stream(data, layers, from_dialler=dialler)
    (wanted,) = leaves(captured.decoded)
    assert_means(message, wanted)
    start = len(layers.label_header) if dialler else 0
    nonce = data[start + 6 : start + 18] if ring else b""
    assert encode_stream(gossip.encode(message), layers, nonce=nonce, dialler=dialler) == data
    for size in (1, 7):
        reader = StreamReader(layers, from_dialler=dialler)
        ready = [reader.feed(data[i : i + size]) for i in range(0, len(data), size)]
        assert ready == [False] * (len(ready) - 1) + [True]
        assert reader.message() == message


def test_the_module_is_the_codec_that_the_core_wants() -> None:
    codec: Codec = gossip
    wanted = {name for name in vars(Codec) if not name.startswith("_")}
    assert wanted == set(gossip.__all__)
    assert all(callable(getattr(codec, name)) for name in wanted)
