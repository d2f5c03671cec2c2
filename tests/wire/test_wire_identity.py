"""The identity record in every message of ours: exact, bounded, and passed over by others."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import BadFrame
from quorate.raft.values.identity import Epoch, IdentityRecord, Start
from quorate.raft.values.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesRequest,
    AppendEntriesResponse,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    PreVoteRequest,
    PreVoteResponse,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNowRequest,
    TimeoutNowResponse,
)
from quorate.wire.raft.identity import RECORD_BYTES_MAX, decode_record, encode_record
from quorate.wire.raft.messages import encode_request, encode_response, kind_of
from quorate.wire.raft.stream import RequestReader, ResponseReader

RECORD = IdentityRecord(
    server_id="6f1c2a54-1111-4222-8333-444455556666",
    cluster_id="00000000-0000-0000-0000-00000000000a",
    epoch=Epoch(2, bytes(range(16))),
    level=1,
    start=Start(7, b"12345678"),
)
# What the first build with records wrote, byte for byte: others must be able to read it for ever.
GOLDEN = (
    bytes.fromhex("0103 0001 00000002 0000000000000007")
    + bytes(range(16))
    + b"12345678"
    + b"\x246f1c2a54-1111-4222-8333-444455556666"
    + b"\x2400000000-0000-0000-0000-00000000000a"
)
NAME = {"sender_id": RECORD.server_id, "sender_address": "127.0.0.1:1", "identity": RECORD}
REQUESTS: list[AnyRequest] = [
    AppendEntriesRequest(term=3, leader="127.0.0.1:1", **NAME),  # type: ignore[arg-type]
    AppendEntriesRequest(term=3, prev_log_index=4, cluster_id="c", **NAME),  # type: ignore[arg-type]
    RequestVoteRequest(term=3, **NAME),  # type: ignore[arg-type]
    PreVoteRequest(term=3, **NAME),  # type: ignore[arg-type]
    TimeoutNowRequest(identity=RECORD),
    InstallSnapshotRequest(term=3, **NAME),  # type: ignore[arg-type]
]
RESPONSES: list[tuple[AnyRequest, AnyResponse]] = [
    (REQUESTS[0], AppendEntriesResponse(term=3, last_log=1, success=True, **NAME)),  # type: ignore[arg-type]
    (REQUESTS[2], RequestVoteResponse(term=3, granted=True, **NAME)),  # type: ignore[arg-type]
    (REQUESTS[3], PreVoteResponse(term=3, granted=True, **NAME)),  # type: ignore[arg-type]
    (REQUESTS[4], TimeoutNowResponse(identity=RECORD)),
    (REQUESTS[5], InstallSnapshotResponse(term=3, success=True, **NAME)),  # type: ignore[arg-type]
]

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
records = st.builds(
    IdentityRecord,
    server_id=printable.map(lambda text: text[:128]),
    cluster_id=st.one_of(st.just(""), printable.map(lambda text: text[:64])),
    epoch=st.builds(
        Epoch,
        st.integers(0, (1 << 31) - 1),
        st.one_of(st.just(b""), st.binary(min_size=16, max_size=16)),
    ),
    level=st.integers(0, (1 << 15) - 1),
    start=st.builds(
        Start,
        st.integers(0, (1 << 62) - 1),
        st.one_of(st.just(b""), st.binary(min_size=8, max_size=8)),
    ),
)


def request_fields(encoded: bytes) -> dict[bytes, object]:
    fields: dict[bytes, object] = msgpack.unpackb(encoded[1:], raw=True)
    return fields


def with_record(value: object) -> bytes:
    fields = request_fields(encode_request(REQUESTS[0]))
    changed: bytes = msgpack.packb({**fields, b"QuorateIdentity": value}, use_bin_type=False)
    return b"\0" + changed


def test_the_bytes_of_a_record_stay_what_they_are() -> None:
    assert encode_record(RECORD) == GOLDEN
    assert decode_record(GOLDEN) == RECORD


@given(records)
def test_every_record_comes_back(record: IdentityRecord) -> None:
    encoded = encode_record(record)
    assert len(encoded) <= RECORD_BYTES_MAX
    assert decode_record(encoded) == record


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_every_request_carries_it(request_: AnyRequest) -> None:
    read = RequestReader(1 << 20).feed(encode_request(request_))
    assert read[0] == request_


@pytest.mark.parametrize(("asked", "answer"), RESPONSES, ids=lambda r: type(r).__name__)
def test_every_response_carries_it(asked: AnyRequest, answer: AnyResponse) -> None:
    reader = ResponseReader(1 << 20)
    reader.expect(kind_of(asked))
    assert reader.feed(encode_response(answer)) == [(answer, "")]


def test_it_is_one_key_more_in_byte_order_and_nothing_else() -> None:
    fields = request_fields(encode_request(REQUESTS[1]))
    assert list(fields) == sorted(fields)
    assert fields[b"QuorateIdentity"] == GOLDEN
    plain = AppendEntriesRequest(term=3, sender_id="a")
    assert b"Quorate" not in encode_request(plain)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        GOLDEN[:10],
        GOLDEN[:-1],
        GOLDEN + b"x",
        b"\x02" + GOLDEN[1:],  # an unknown layout
        GOLDEN[:1] + b"\x07" + GOLDEN[2:],  # an unknown flag
        GOLDEN[:2] + b"\xff\xff" + GOLDEN[4:],  # a level beyond the range
        GOLDEN[:4] + b"\xff" * 4 + GOLDEN[8:],  # an epoch beyond the range
        GOLDEN[:8] + b"\xff" * 8 + GOLDEN[16:],  # a start beyond the range
        GOLDEN[:40] + b"\0" + GOLDEN[77:],  # no server ID
        GOLDEN.replace(b"6f1c", b"6f\n\x1b"),  # lines and escapes for a terminal
        GOLDEN.replace(b"6f1c", b"6f\xc3\xa4"),
        encode_record(RECORD)[:40] + b"\x81" + b"a" * 129 + b"\0",
        GOLDEN[:77] + b"\x41" + b"c" * 65,
        b"x" * (RECORD_BYTES_MAX + 1),
        7,
        {b"a": b"b"},
        [GOLDEN],
    ],
    ids=range(18),
)
def test_anything_else_is_refused(bad: object) -> None:
    with pytest.raises(BadFrame):
        RequestReader(1 << 20).feed(with_record(bad))


@pytest.mark.parametrize(
    "record",
    [
        IdentityRecord(server_id=""),
        IdentityRecord(server_id="a" * 129),
        IdentityRecord(server_id="a\n"),
        IdentityRecord(server_id="a", cluster_id="c" * 65),
        IdentityRecord(server_id="a", level=1 << 15),
        IdentityRecord(server_id="a", epoch=Epoch(1, b"short")),
        IdentityRecord(server_id="a", start=Start(1, b"short")),
        IdentityRecord(server_id="a", start=Start(1 << 62, b"12345678")),
    ],
)
def test_what_no_receiver_would_take_is_not_written(record: IdentityRecord) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode_record(record)
