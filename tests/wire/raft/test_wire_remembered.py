"""Names of a sender that were read before change nothing in how its other values are read."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quorate.errors import BadFrame
from quorate.raft.values.identity import Epoch, IdentityRecord, Start
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    RequestVoteRequest,
    RequestVoteResponse,
)
from quorate.wire.raft.messages import (
    RequestKind,
    encode_request,
    encode_response,
    request_from_map,
    response_from_map,
)

RECORD = IdentityRecord(
    server_id="a", cluster_id="c", epoch=Epoch(0, b""), level=3, start=Start(5, b"12345678")
)
NAMES: dict[str, Any] = {"sender_id": "a", "sender_address": "10.0.0.1:4647", "identity": RECORD}
APPEND = AppendEntriesRequest(
    **NAMES,
    term=3,
    leader="10.0.0.1:4647",
    cluster_id="c",
    prev_log_index=7,
    prev_log_term=2,
    entries=(Entry(8, 3, 0, b"x"),),
    leader_commit=7,
)
VOTE = RequestVoteRequest(**NAMES, term=3, candidate="10.0.0.1:4647", last_log_index=1)
APPENDED = AppendEntriesResponse(**NAMES, term=3, last_log=8, success=True, promise_ms=900)
VOTED = RequestVoteResponse(**NAMES, term=3, granted=True, peers=None)

OF_A_SERVICE = encode_request(replace(APPEND, cluster_id=""))[1:]
FORMS = [
    (request_from_map, RequestKind.APPEND_ENTRIES, encode_request(APPEND)[1:]),
    (request_from_map, RequestKind.APPEND_ENTRIES, OF_A_SERVICE),
    (request_from_map, RequestKind.REQUEST_VOTE, encode_request(VOTE)[1:]),
    (response_from_map, RequestKind.APPEND_ENTRIES, encode_response(APPENDED)[1:]),
    (response_from_map, RequestKind.REQUEST_VOTE, encode_response(VOTED)[1:]),
]

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, 1, 3, 1.0, 3.0]),
    st.binary(max_size=4),
    st.just(()),
    st.just({}),
)
_numbers = count()


def outcome(read: Any, kind: RequestKind, fields: dict[bytes, Any]) -> Any:
    try:
        return replace(read(kind, fields), sender_id="")
    except BadFrame as error:
        return error.text


@pytest.mark.parametrize(
    "form", FORMS, ids=["append", "append of a service", "vote", "appended", "voted"]
)
@given(data=st.data())
def test_a_known_sender_is_read_like_an_unknown_one(form: Any, data: st.DataObject) -> None:
    read, kind, encoded = form
    good = msgpack.unpackb(encoded, raw=True, use_list=False, strict_map_key=False)
    for _ in range(2):
        assert replace(read(kind, good), sender_id="") == outcome(read, kind, good)
    changed = dict(good)
    for key in data.draw(st.lists(st.sampled_from(sorted(good)), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            changed[key] = data.draw(VALUES)
        else:
            changed.pop(key, None)
    unknown = {**changed, b"ID": b"unknown-%d" % next(_numbers)}
    assert outcome(read, kind, {**changed, b"ID": good[b"ID"]}) == outcome(read, kind, unknown)


def test_messages_of_several_senders_are_written_with_their_own_names() -> None:
    senders = [replace(APPEND, sender_id=name, term=term) for name in "ab" for term in (1, 2)]
    for request in senders * 2:
        fields = msgpack.unpackb(encode_request(request)[1:], raw=True, use_list=False)
        assert request_from_map(RequestKind.APPEND_ENTRIES, fields) == replace(
            request, entries=tuple(Entry(8, 3, 0, b"x") for _ in request.entries)
        )
