"""The readers on recorded connections, cut everywhere, and on messages of any content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_vectors import (
    LIMIT,
    assert_means,
    captured_connections,
    join_chunks,
    load,
    pieces,
    read_requests,
    snapshot_bytes,
)

from quorate.errors import BadFrame
from quorate.raft.values.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    PreVoteRequest,
    PreVoteResponse,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNowRequest,
    TimeoutNowResponse,
)
from quorate.wire.raft.messages import RequestKind, encode_request, encode_response, kind_of
from quorate.wire.raft.stream import (
    RequestEvent,
    RequestReader,
    ResponseReader,
    SnapshotChunk,
    SnapshotEnd,
)

CONNECTIONS = dict(captured_connections())
PROBES = load("raft-live-probes")["probes"]
CLOSED = {"unknown_type_9", "bad_msgpack"}
KINDS = {
    "AppendEntries": RequestKind.APPEND_ENTRIES,
    "RequestVote": RequestKind.REQUEST_VOTE,
    "InstallSnapshot": RequestKind.INSTALL_SNAPSHOT,
    "TimeoutNow": RequestKind.TIMEOUT_NOW,
    "RequestPreVote": RequestKind.PRE_VOTE,
}
Answers = list[tuple[AnyResponse | None, str]]


def sent(exchanges: list[dict[str, Any]]) -> bytes:
    return b"".join(bytes.fromhex(e["hex"]) + snapshot_bytes(e) for e in exchanges)


def read_answers(kinds: Sequence[RequestKind], *cut: bytes) -> Answers:
    reader = ResponseReader(LIMIT)
    for kind in kinds:
        reader.expect(kind)
    return [answer for piece in cut for answer in reader.feed(piece)]


def canonical(written: bytes) -> bytes:
    """As we write it. AppendedAt of the recordings is in a zone that is UTC by accident, ours
    names UTC; and where it is Go's zero time (an entry that is no command) we leave it out."""
    written = re.sub(rb"\x86\xaaAppendedAt\xaf\x01\0{12}..", b"\x85", written, flags=re.DOTALL)
    return re.sub(rb"(AppendedAt\xaf.{13})\x00\x00", b"\\1\xff\xff", written, flags=re.DOTALL)


def requests_of(events: list[RequestEvent]) -> list[AnyRequest]:
    return [event for event in events if not isinstance(event, SnapshotChunk | SnapshotEnd)]


def test_the_recordings_are_all_there() -> None:
    assert len(CONNECTIONS) == 42
    assert sum(len(exchanges) for exchanges in CONNECTIONS.values()) > 200


@pytest.mark.parametrize("name", CONNECTIONS)
def test_recorded_requests(name: str) -> None:
    exchanges = CONNECTIONS[name]
    events = read_requests(sent(exchanges))
    for request, exchange in zip(requests_of(events), exchanges, strict=True):
        assert_means(request, exchange["request"])
        assert kind_of(request) == KINDS[exchange["rpc"]]
    for size in (1, 2, 7, 100):
        assert read_requests(*pieces(sent(exchanges), size)) == events


@pytest.mark.parametrize("name", CONNECTIONS)
def test_recorded_requests_are_written_to_the_same_bytes(name: str) -> None:
    for exchange in CONNECTIONS[name]:
        (request,) = requests_of(read_requests(sent([exchange])))
        assert encode_request(request) == canonical(bytes.fromhex(exchange["hex"]))


@pytest.mark.parametrize("name", CONNECTIONS)
def test_recorded_responses(name: str) -> None:
    # An old node closes the connection when it is asked for a pre-vote: there is no answer.
    exchanges = [e for e in CONNECTIONS[name] if "response_hex" in e]
    kinds = [KINDS[exchange["rpc"]] for exchange in exchanges]
    written = b"".join(bytes.fromhex(exchange["response_hex"]) for exchange in exchanges)
    answers = read_answers(kinds, written)
    for (response, error), exchange in zip(answers, exchanges, strict=True):
        assert error == exchange["response_error"]
        assert_means(response, exchange["response"])
        nil_sender = "Addr" in exchange["response"]
        again = encode_response(response, error, nil_sender=nil_sender)
        assert again.hex() == exchange["response_hex"]
    for size in (1, 2, 7, 100):
        assert read_answers(kinds, *pieces(written, size)) == answers


@pytest.mark.parametrize("name", ["old-connections-0", "new-connections-0", "election-new-0"])
def test_a_recording_cut_in_two_at_every_byte(name: str) -> None:
    written = sent(CONNECTIONS[name])
    events = read_requests(written)
    for at in range(len(written) + 1):
        assert read_requests(written[:at], written[at:]) == events


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: f"{p['peer'][-7:]}-{p['name']}")
def test_live_probe(probe: dict[str, Any]) -> None:
    written = bytes.fromhex(probe["request_hex"])
    if probe["name"] in CLOSED:
        assert probe["closed"] == "eof"
        with pytest.raises(BadFrame):
            read_requests(written)
        return
    events = read_requests(written)
    for at in range(len(written)):
        assert read_requests(written[:at], written[at:]) == events
    again = b"".join(
        event.data if isinstance(event, SnapshotChunk) else encode_request(event)
        for event in events
        if not isinstance(event, SnapshotEnd)
    )
    assert read_requests(again) == events


@pytest.mark.parametrize(
    "probe", [p for p in PROBES if not p["closed"]], ids=lambda p: f"{p['peer'][-7:]}-{p['name']}"
)
def test_answer_to_a_live_probe(probe: dict[str, Any]) -> None:
    events = read_requests(bytes.fromhex(probe["request_hex"]))
    kinds = [kind_of(request) for request in requests_of(events)]
    answers = read_answers(kinds, bytes.fromhex(probe["reply_hex"]))
    expected = list(zip(probe["reply"][::2], probe["reply"][1::2], strict=True))
    assert len(answers) == len(expected) == len(kinds)
    for (response, error), (error_expected, fields) in zip(answers, expected, strict=True):
        assert error == error_expected
        if fields is None:
            assert response is None
        else:
            assert_means(response, fields)


UINT64 = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
SIZES = st.integers(0, 100)
TEXT = st.text(max_size=40)
BYTES = st.binary(max_size=300)
ENTRIES = st.lists(
    st.builds(Entry, UINT64, UINT64, st.integers(0, 255), BYTES, BYTES), max_size=20
).map(tuple)


def messages(cls: Any, **fields: Any) -> Any:
    sender = {"protocol_version": INT64, "sender_id": TEXT, "sender_address": TEXT}
    return st.builds(cls, **sender, **fields)


LOG = {"term": UINT64, "last_log_index": UINT64, "last_log_term": UINT64}
REQUESTS: st.SearchStrategy[AnyRequest] = st.one_of(
    messages(
        AppendEntriesRequest,
        cluster_id=TEXT,
        term=UINT64,
        leader=TEXT,
        prev_log_index=UINT64,
        prev_log_term=UINT64,
        entries=ENTRIES,
        leader_commit=UINT64,
    ),
    messages(
        RequestVoteRequest,
        cluster_id=TEXT,
        candidate=TEXT,
        leadership_transfer=st.booleans(),
        **LOG,
    ),
    messages(PreVoteRequest, cluster_id=TEXT, **LOG),
    messages(
        InstallSnapshotRequest,
        cluster_id=TEXT,
        snapshot_version=INT64,
        leader=TEXT,
        peers=st.none() | BYTES,
        configuration=BYTES,
        configuration_index=UINT64,
        size=SIZES,
        **LOG,
    ),
    messages(TimeoutNowRequest, cluster_id=TEXT),
)
BODIES: st.SearchStrategy[AnyResponse] = st.one_of(
    messages(
        AppendEntriesResponse,
        term=UINT64,
        last_log=UINT64,
        success=st.booleans(),
        no_retry_backoff=st.booleans(),
    ),
    messages(RequestVoteResponse, term=UINT64, granted=st.booleans(), peers=st.none() | BYTES),
    messages(PreVoteResponse, term=UINT64, granted=st.booleans()),
    messages(InstallSnapshotResponse, term=UINT64, success=st.booleans()),
    messages(TimeoutNowResponse),
)
KIND_OF_BODY = {
    AppendEntriesResponse: RequestKind.APPEND_ENTRIES,
    RequestVoteResponse: RequestKind.REQUEST_VOTE,
    PreVoteResponse: RequestKind.PRE_VOTE,
    InstallSnapshotResponse: RequestKind.INSTALL_SNAPSHOT,
    TimeoutNowResponse: RequestKind.TIMEOUT_NOW,
}


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The data in pieces of drawn sizes, some of them empty."""
    edges = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]


@given(requests=st.lists(REQUESTS, max_size=5), data=st.data())
def test_any_requests_come_back_however_they_are_cut(
    requests: list[AnyRequest], data: st.DataObject
) -> None:
    expected: list[RequestEvent] = []
    written = b""
    for request in requests:
        expected.append(request)
        written += encode_request(request)
        if isinstance(request, InstallSnapshotRequest):
            snapshot = b"\x02s" * (request.size // 2) + b"\x02" * (request.size % 2)
            expected += [*([SnapshotChunk(snapshot)] if snapshot else []), SnapshotEnd()]
            written += snapshot
    assert read_requests(written) == expected
    assert read_requests(*data.draw(cuts(written))) == expected


@given(answers=st.lists(st.tuples(BODIES, TEXT), max_size=5), data=st.data())
def test_any_answers_come_back_however_they_are_cut(
    answers: list[tuple[AnyResponse, str]], data: st.DataObject
) -> None:
    kinds = [KIND_OF_BODY[type(body)] for body, _ in answers]
    written = b"".join(encode_response(body, error) for body, error in answers)
    assert read_answers(kinds, written) == answers
    assert read_answers(kinds, *data.draw(cuts(written))) == answers


def test_a_snapshot_is_handed_on_as_it_comes() -> None:
    snapshot = bytes(range(256)) * 4
    reader = RequestReader(max_message_bytes=300)
    request = InstallSnapshotRequest(term=3, size=len(snapshot))
    follower = TimeoutNowRequest()
    written = encode_request(request) + snapshot + encode_request(follower)
    begun = len(encode_request(request))
    first = reader.feed(written[: begun + 10])
    assert first == [request, SnapshotChunk(snapshot[:10])]
    assert reader.feed(written[begun + 10 : begun + 500]) == [SnapshotChunk(snapshot[10:500])]
    last = reader.feed(written[begun + 500 :])
    assert last == [SnapshotChunk(snapshot[500:]), SnapshotEnd(), follower]


def test_an_empty_snapshot_ends_at_once() -> None:
    request = InstallSnapshotRequest(term=3, size=0)
    assert RequestReader(LIMIT).feed(encode_request(request)) == [request, SnapshotEnd()]


def test_nothing_fed_is_nothing_read() -> None:
    assert RequestReader(LIMIT).feed(b"") == []
    assert ResponseReader(LIMIT).feed(b"") == []


def test_answers_are_matched_to_requests_in_order() -> None:
    reader = ResponseReader(LIMIT)
    vote = RequestVoteResponse(term=2, granted=True)
    append = AppendEntriesResponse(term=2, last_log=7, success=True)
    reader.expect(RequestKind.REQUEST_VOTE)
    reader.expect(RequestKind.APPEND_ENTRIES)
    assert reader.feed(encode_response(vote)) == [(vote, "")]
    assert reader.feed(encode_response(append)) == [(append, "")]


def test_cuts_in_snapshots_do_not_matter() -> None:
    written = encode_request(InstallSnapshotRequest(term=3, size=3)) + b"abc"
    reader = RequestReader(LIMIT)
    events = [event for piece in pieces(written, 1) for event in reader.feed(piece)]
    assert join_chunks(events)[1:] == [SnapshotChunk(b"abc"), SnapshotEnd()]
