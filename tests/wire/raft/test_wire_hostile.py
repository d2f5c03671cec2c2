"""No bytes from a peer do harm: refused as BadFrame, in linear time and bounded memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wire_vectors import LIMIT, load, pieces

from quorate.errors import BadFrame
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    Entry,
    InstallSnapshotRequest,
    TimeoutNowRequest,
)
from quorate.wire.go.msgpack import MAX_ITEMS
from quorate.wire.raft.messages import RequestKind, encode_request, encode_response
from quorate.wire.raft.stream import RequestReader, ResponseReader

GOLDEN = [bytes.fromhex(v["request_hex"]) for v in load("raft-messages")["vectors"]]
GOLDEN_ANSWERS = [bytes.fromhex(v["response_hex"]) for v in load("raft-messages")["vectors"]]
SMALL_LIMIT = 2000


def request_reader() -> Callable[[bytes], object]:
    return RequestReader(SMALL_LIMIT).feed


def response_reader() -> Callable[[bytes], object]:
    reader = ResponseReader(SMALL_LIMIT)
    for _ in range(100):
        for kind in RequestKind:
            reader.expect(kind)
    return reader.feed


READERS = [request_reader, response_reader]


def refusal_of(make: Callable[[], Callable[[bytes], object]], *cut: bytes) -> BadFrame | None:
    """How a fresh reader refuses these pieces, or None. Any other exception passes through."""
    feed = make()
    try:
        for piece in cut:
            feed(piece)
    except BadFrame as error:
        return error
    return None


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """Golden bytes with some bytes replaced, removed or put in."""
    data = bytearray(draw(st.sampled_from(GOLDEN + GOLDEN_ANSWERS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 4)))
        data[start:end] = draw(st.binary(max_size=4))
    return bytes(data)


@given(data=st.binary(max_size=400) | mutilated(), size=st.integers(1, 50))
@example(data=b"\x00\x81\xa5Leader\xa1\xff", size=50)
@example(data=b"\x00\x81\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff\xc0", size=1)
def test_any_bytes_are_read_or_refused_alike_however_cut(data: bytes, size: int) -> None:
    for make in READERS:
        whole, cut = refusal_of(make, data), refusal_of(make, *pieces(data, size))
        assert str(whole) == str(cut)


def test_a_reader_is_done_for_after_a_bad_frame() -> None:
    for make in READERS:
        feed = make()
        for _ in range(2):
            with pytest.raises(BadFrame):
                feed(b"\xc1")


def test_an_answer_to_no_request_is_refused() -> None:
    reader = ResponseReader(LIMIT)
    with pytest.raises(BadFrame, match="no request of ours"):
        reader.feed(b"\xa0\xc0")


@pytest.mark.parametrize("type_byte", [5, 9, 0x16, 0x47, 0xFF])
def test_an_unknown_type_byte_is_refused_by_name(type_byte: int) -> None:
    with pytest.raises(BadFrame, match=f"unknown type byte {type_byte:#04x}"):
        RequestReader(LIMIT).feed(bytes((type_byte,)))


BAD_FIELDS: dict[str, list[Any]] = {
    "Term": [-1, 1.5, True, b"1", (), {}],
    "Leader": [5, b"\xff\xfe", True, (1,)],
    "Entries": [5, b"x", {}, (5,), ((),), ({"Index": -1},)],
    "ProtocolVersion": [1.0, b"3", 2**63],
    "ID": [5, b"\xff"],
    "QuorateCluster": [5, b"\xff"],
}
BAD_SNAPSHOT_FIELDS: dict[str, list[Any]] = {
    "Size": [-1, 1.0, 2**63, b"5"],
    "Peers": [5],
    "Configuration": [{}],
    "SnapshotVersion": [1.0],
}


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (kind, key, value)
        for kind, table in ((0, BAD_FIELDS), (2, BAD_SNAPSHOT_FIELDS))
        for key, values in table.items()
        for value in values
    ],
)
def test_a_wrong_field_is_refused(kind: int, key: str, value: object) -> None:
    with pytest.raises(BadFrame) as caught:
        RequestReader(LIMIT).feed(bytes((kind,)) + msgpack.packb({key: value}, use_bin_type=False))
    names = (key, "Index", "log entry") if key == "Entries" else (key,)
    assert any(name in str(caught.value) for name in names)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [0, 1, 2, b"", b"true", 1.0])
def test_a_bool_is_a_bool(value: object) -> None:
    fields = msgpack.packb({"LeadershipTransfer": value}, use_bin_type=False)
    with pytest.raises(BadFrame, match="LeadershipTransfer"):
        RequestReader(LIMIT).feed(b"\x01" + fields)


def big_append(size: int) -> bytes:
    entries = tuple(Entry(i, 1, 0, b"d" * 1000) for i in range(1, size // 1000))
    return encode_request(AppendEntriesRequest(term=1, leader="a:1", entries=entries))


@pytest.mark.parametrize("size", [100, 1000, MAX_ITEMS, MAX_ITEMS + 1, 1 << 20])
def test_the_limit_is_exact(size: int) -> None:
    request = encode_request(
        AppendEntriesRequest(term=1, leader="a:1", entries=(Entry(1, 1, 0, b"d" * 400_000),))
    )
    exact = RequestReader(len(request) - 1)  # the type byte is not counted
    assert sum(len(exact.feed(piece)) for piece in pieces(request, size)) == 1
    with pytest.raises(BadFrame, match="more than"):
        feed_all(RequestReader(len(request) - 2), pieces(request, size))


def test_a_small_message_over_the_limit_is_refused_in_one_piece_too() -> None:
    request = encode_request(TimeoutNowRequest(sender_id="x" * 100))
    with pytest.raises(BadFrame, match="more than 100 bytes"):
        RequestReader(100).feed(request)


def test_the_limit_is_for_each_message_not_for_a_piece() -> None:
    request = encode_request(TimeoutNowRequest())
    assert len(RequestReader(len(request)).feed(request * 1000)) == 1000


@pytest.mark.parametrize("size", [1 << 30, MAX_ITEMS + 1, MAX_ITEMS, 100_000])
def test_many_large_messages_in_a_row(size: int) -> None:
    request, last = big_append(150_000), encode_request(TimeoutNowRequest())
    reader = RequestReader(len(request))
    counts = [len(reader.feed(piece)) for piece in pieces((request + last) * 6, size)]
    assert sum(counts) == 12


def test_error_text_over_the_limit_is_refused() -> None:
    reader = ResponseReader(100)
    reader.expect(RequestKind.TIMEOUT_NOW)
    with pytest.raises(BadFrame, match="more than 100 bytes"):
        reader.feed(encode_response(None, "e" * 101))


BOMBS = {
    "array of 4 Gi": b"\xdd\xff\xff\xff\xff",
    "map of 4 Gi": b"\xdf\xff\xff\xff\xff",
    "nested arrays": b"\x91" * LIMIT,
    "nested maps": b"\x81\xa1k" * LIMIT,
    "widening arrays": b"\xdc\x04\x00" * LIMIT,
    "wide array": b"\xdc\x04\x01",
    "wide map": b"\xde\x00\x41",
    "empty maps": b"\xdc\x04\x00" + (b"\xdc\x04\x00" + b"\x80" * 1024) * 1024,
    "empty arrays": b"\xdc\x04\x00" + (b"\xdc\x04\x00" + b"\x90" * 1024) * 1024,
    "small maps": b"\xdc\x04\x00" + (b"\xdc\x04\x00" + b"\x81\xa0\xc0" * 1024) * 1024,
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("size", [1000, MAX_ITEMS, 1 << 30])
def test_a_bomb_is_refused_soon_and_takes_no_room(name: str, size: int) -> None:
    cut = pieces(b"\x00\x81\xa3Foo" + BOMBS[name], size)
    tracemalloc.start()
    try:
        with pytest.raises(BadFrame):
            feed_all(RequestReader(4 * LIMIT), cut)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def feed_all(reader: RequestReader, cut: list[bytes]) -> None:
    for piece in cut:
        reader.feed(piece)


@pytest.mark.parametrize("promise", [b"\xdb", b"\xc6"])
def test_a_promised_string_takes_no_room_before_it_comes(promise: bytes) -> None:
    reader = RequestReader(LIMIT)
    tracemalloc.start()
    try:
        reader.feed(b"\x00\x81\xa3Foo" + promise + struct.pack(">I", 2**32 - 1))
        assert tracemalloc.get_traced_memory()[1] < 100_000
        with pytest.raises(BadFrame, match=f"more than {LIMIT} bytes"):
            feed_all(reader, [b"x" * 10_000] * 200)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


def test_memory_is_given_back_after_a_large_message() -> None:
    request = big_append(900_000)
    reader = RequestReader(LIMIT)
    tracemalloc.start()
    try:
        for piece in pieces(request, 10_000):
            reader.feed(piece)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_a_snapshot_of_any_size_takes_no_room() -> None:
    size = 1 << 40
    reader = RequestReader(LIMIT)
    reader.feed(encode_request(InstallSnapshotRequest(term=1, size=size)))
    piece = b"s" * 200_000
    tracemalloc.start()
    try:
        for _ in range(100):
            reader.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_a_large_message_in_small_pieces_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        cut = pieces(big_append(size), 100)
        reader = RequestReader(1 << 24)
        start = time.process_time()
        count = sum(len(reader.feed(piece)) for piece in cut)
        assert count == 1
        return time.process_time() - start

    # Four times the bytes take sixteen times as long when work is repeated; half way is the limit.
    short, long = (min(seconds(size) for _ in range(3)) for size in (200_000, 800_000))
    assert long < 8 * short + 0.05
