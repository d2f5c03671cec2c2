"""Every recorded request and response is read, and written again to the same bytes."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from wire_vectors import LIMIT, assert_means, load, read_requests, snapshot_bytes

from quorate.raft.values.messages import (
    AnyRequest,
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    PreVoteRequest,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNowRequest,
)
from quorate.wire.raft.messages import (
    RequestKind,
    encode_request,
    encode_response,
    kind_of,
    request_from_map,
)
from quorate.wire.raft.stream import ResponseReader, SnapshotChunk, SnapshotEnd

MESSAGES = load("raft-messages")["vectors"]
GO_ZERO_TIME = b"\xaf\x01" + b"\0" * 12 + b"\xff\xff"
GO_UTC_TIME = bytes.fromhex("af010000000edce5e800075bcd15ffff")  # 2023-11-14T22:13:20.123456789Z
WHOLE_SECOND = bytes.fromhex("af010000000edce5e80000000000ffff")  # 2023-11-14T22:13:20Z
OTHER_TIMES = {
    bytes.fromhex("af010000000edce5e800075bcd150078"): GO_UTC_TIME,  # two hours east
    bytes.fromhex("a81d6f34546553f100"): GO_UTC_TIME,  # new format
    bytes.fromhex("a46553f100"): WHOLE_SECOND,  # new format, 32 bits
}


def name_of(vector: dict[str, Any]) -> str:
    library = vector["library"]
    age = "old" if "v1.1.3" in library else "new-time" if "=true" in library else "head"
    return f"{age}-{vector['name']}"


def canonical(request: bytes) -> bytes:
    """The same request as we write it: nil for empty data, one form of AppendedAt, and no sender
    rather than one of nil (which a real node never sends, only the program that made the
    vectors)."""
    key = b"\xaaAppendedAt"
    request = request.replace(b"\xa4Data\xa0", b"\xa4Data\xc0")
    request = request.replace(b"\xaaExtensions\xa0", b"\xaaExtensions\xc0")
    if b"\xa4Addr\xc0" in request:
        request = request.replace(b"\x89\xa4Addr\xc0", b"\x87").replace(b"\xa2ID\xc0", b"")
    for time in (GO_ZERO_TIME, b"\xc0"):
        request = request.replace(b"\x86" + key + time, b"\x85")
    for other, time in OTHER_TIMES.items():
        request = request.replace(key + other, key + time)
    return request


def test_the_vectors_are_all_there() -> None:
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("vector", MESSAGES, ids=name_of)
def test_request(vector: dict[str, Any]) -> None:
    written, snapshot = bytes.fromhex(vector["request_hex"]), snapshot_bytes(vector)
    request, *rest = read_requests(written + snapshot)
    assert_means(request, vector["request"])
    if vector["rpc"] == "InstallSnapshot":
        assert rest == [*([SnapshotChunk(snapshot)] if snapshot else []), SnapshotEnd()]
    else:
        assert rest == []
    assert not isinstance(request, SnapshotChunk | SnapshotEnd)
    assert kind_of(request) == vector["type_byte"]
    assert encode_request(request) == canonical(written)


def test_only_these_are_written_differently() -> None:
    changed = [
        name_of(vector)
        for vector in MESSAGES
        if canonical(bytes.fromhex(vector["request_hex"])).hex() != vector["request_hex"]
    ]
    assert changed == [
        "old-append_large_ints_and_data",
        "head-append_large_ints_and_data",
        "head-append_header_rejected",
        "head-append_entry_zero_time",
        "head-append_entry_time_with_zone_plus_2h",
        "new-time-append_two_entries",
        "new-time-append_large_ints_and_data",
        "new-time-append_entry_zero_time",
        "new-time-append_entry_whole_second",
        "new-time-append_entry_time_with_zone_plus_2h",
    ]


@pytest.mark.parametrize("vector", MESSAGES, ids=name_of)
def test_response(vector: dict[str, Any]) -> None:
    written = bytes.fromhex(vector["response_hex"])
    reader = ResponseReader(LIMIT)
    reader.expect(RequestKind(vector["type_byte"]))
    ((response, error),) = reader.feed(written)
    assert error == vector["response_error"]
    if vector["response"] is None:
        assert response is None
    else:
        assert_means(response, vector["response"])
    nil_sender = "HEAD" in vector["library"]
    assert encode_response(response, error, nil_sender=nil_sender) == written


ENTRY = Entry(9, 4, 0, b"x")
REQUESTS: list[AnyRequest] = [
    AppendEntriesRequest(term=4, leader="a:1", prev_log_index=8, entries=(ENTRY,)),
    AppendEntriesRequest(term=4, leader="a:1"),
    RequestVoteRequest(term=4, candidate="a:1", leadership_transfer=True),
    InstallSnapshotRequest(term=4, leader="a:1", peers=b"", configuration=b"\x80", size=0),
    TimeoutNowRequest(),
    PreVoteRequest(term=5, last_log_index=3, last_log_term=2),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("sender", [("", ""), ("node-1", "a:1"), ("node-1", ""), ("", "a:1")])
@pytest.mark.parametrize("cluster_id", ["", "f00d"])
def test_sender_and_cluster(request_: AnyRequest, sender: tuple[str, str], cluster_id: str) -> None:
    fields = {name: getattr(request_, name) for name in type(request_).__struct_fields__}
    fields |= {"sender_id": sender[0], "sender_address": sender[1], "cluster_id": cluster_id}
    named = type(request_)(**fields)
    written = encode_request(named)
    keys = list(msgpack.unpackb(written[1:], raw=True))
    assert keys == sorted(keys)
    assert (b"ID" in keys) is (b"Addr" in keys) is any(sender)
    assert (b"QuorateCluster" in keys) is bool(cluster_id)
    assert read_requests(written)[0] == named


@pytest.mark.parametrize(
    ("request_", "entries"),
    [
        (AppendEntriesRequest(term=4, leader="a:1"), b"\xc0"),
        (AppendEntriesRequest(term=4, leader="a:1", leader_commit=3), b"\x90"),
        (AppendEntriesRequest(term=4, leader="a:1", prev_log_index=3), b"\x90"),
        (AppendEntriesRequest(term=0, leader="a:1"), b"\x90"),
        (AppendEntriesRequest(term=4, leader="a:1", entries=(ENTRY,)), b"\x91\x85\xa4Data"),
    ],
)
def test_entries_are_nil_in_a_heartbeat_only(
    request_: AppendEntriesRequest, entries: bytes
) -> None:
    assert b"\xa7Entries" + entries in encode_request(request_)


def test_cached_entries_are_used_as_they_are() -> None:
    entry = Entry(9, 4, 0, b"x", encoded=b"\x80")
    written = encode_request(AppendEntriesRequest(term=4, entries=(entry, entry)))
    assert b"\xa7Entries\x92\x80\x80" in written


@pytest.mark.parametrize("count", [1, 15, 16, 64, 1024])
def test_any_number_of_entries_up_to_the_limit(count: int) -> None:
    entries = tuple(Entry(i, 2, 0, b"d" * i, b"", 1_700_000_000 + i) for i in range(1, count + 1))
    request = AppendEntriesRequest(term=2, entries=entries)
    (read,) = read_requests(encode_request(request))
    assert read == request
    assert [e.appended_at for e in request.entries] == [1_700_000_000 + i + 1 for i in range(count)]


def test_a_missing_version_is_zero_and_not_ours() -> None:
    request = request_from_map(RequestKind.TIMEOUT_NOW, {})
    assert request == TimeoutNowRequest(protocol_version=0)


def test_an_error_may_have_a_body_or_none() -> None:
    reader = ResponseReader(LIMIT)
    reader.expect(RequestKind.INSTALL_SNAPSHOT)
    reader.expect(RequestKind.APPEND_ENTRIES)
    body = InstallSnapshotResponse(term=3, success=False)
    answers = reader.feed(encode_response(body, "disk is full") + encode_response(None, "no"))
    assert answers == [(body, "disk is full"), (None, "no")]


def test_nil_without_an_error_is_an_answer_of_zeros() -> None:
    reader = ResponseReader(LIMIT)
    reader.expect(RequestKind.APPEND_ENTRIES)
    zero = AppendEntriesResponse(term=0, last_log=0, success=False, protocol_version=0)
    assert reader.feed(b"\xa0\xc0") == [(zero, "")]


def test_an_error_text_of_any_bytes_is_readable() -> None:
    reader = ResponseReader(LIMIT)
    reader.expect(RequestKind.REQUEST_VOTE)
    assert reader.feed(b"\xa2\xff!\xc0") == [(None, "\N{REPLACEMENT CHARACTER}!")]


def test_the_legacy_peers_of_a_vote_survive() -> None:
    reader = ResponseReader(LIMIT)
    for peers in (None, b"", b"\x91\xa3a:1"):
        response = RequestVoteResponse(term=3, granted=True, peers=peers)
        reader.expect(RequestKind.REQUEST_VOTE)
        assert reader.feed(encode_response(response)) == [(response, "")]


@pytest.mark.parametrize("term", [0, 1, 1 << 61])
def test_timeout_now_names_its_term(term: int) -> None:
    request = TimeoutNowRequest(term=term, sender_id="a", sender_address="a:1")
    encoded = encode_request(request)
    assert (b"QuorateTerm" in encoded) is bool(term)  # without one the bytes are of other makes
    assert read_requests(encoded) == [request]


@pytest.mark.parametrize("promise_ms", [0, 500])
def test_an_answer_names_its_promise(promise_ms: int) -> None:
    response = AppendEntriesResponse(term=2, last_log=1, success=True, promise_ms=promise_ms)
    encoded = encode_response(response)
    assert (b"QuoratePromise" in encoded) is bool(promise_ms)
    reader = ResponseReader(1 << 20)
    reader.expect(RequestKind.APPEND_ENTRIES)
    assert list(reader.feed(encoded)) == [(response, "")]
