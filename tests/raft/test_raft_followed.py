"""A leader that goes on is not looked at again: nothing else may follow from that."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from one_node import THREE, OneNode, vote

from quorate.errors import BadFrame
from quorate.raft import Configuration, Entry, EntryKind, Server
from quorate.raft import events as ev
from quorate.raft.values.identity import Epoch, IdentityRecord, Start
from quorate.raft.values.messages import AppendEntriesRequest
from quorate.wire.raft.membership import encode_configuration

SHOWN = (
    "term",
    "role",
    "leader_id",
    "leader_address",
    "leader_named",
    "leader_identified",
    "led_by",
)
CONFIGURATIONS = (
    THREE,
    Configuration(tuple(server for server in THREE.servers if server.id != "b")),
    Configuration((*THREE.servers[:1], Server("b", "b:2"), THREE.servers[2])),
    Configuration(THREE.servers[1:]),
)


def record(sender: str) -> IdentityRecord:
    return IdentityRecord(
        server_id=sender, cluster_id="", epoch=Epoch(0, b""), level=1, start=Start(1, b"12345678")
    )


@st.composite
def appends(draw: st.DrawFn) -> Any:
    """From b or c, in a term of few; it may follow on the log, or not, and may say who is in."""
    sender, term = draw(st.sampled_from("bbbc")), draw(st.integers(2, 3))
    kinds = draw(st.lists(st.sampled_from([None, *CONFIGURATIONS]), max_size=2))
    named, identified = draw(st.sampled_from([True, True, True, False])), draw(st.booleans())
    heartbeat, commits = draw(st.booleans()), draw(st.booleans())

    def made(one: OneNode) -> ev.RequestReceived:
        log = one.node.log
        prev = log.last_index
        entries = tuple(
            Entry(i, term, EntryKind.COMMAND, b"x")
            if kind is None
            else Entry(i, term, EntryKind.CONFIGURATION, encode_configuration(kind))
            for i, kind in enumerate(kinds, prev + 1)
        )
        request = AppendEntriesRequest(
            term=term,
            sender_id=sender if named else "",
            sender_address=f"{sender}:1",
            leader=f"{sender}:1",
            identity=record(sender) if identified else None,
        )
        if not heartbeat:
            request = msgspec.structs.replace(
                request,
                prev_log_index=prev,
                prev_log_term=log.term(prev) or 0,
                entries=entries,
                leader_commit=prev if commits else 0,
            )
        return ev.RequestReceived("r", request)

    return made


OTHERS = st.sampled_from(
    [
        lambda _: ev.Tick(),
        lambda _: ev.LeaderUnreachable("b"),
        lambda one: ev.RequestReceived("r", vote("c", one.node.term + 1, (99, 9))),
    ]
)


def outcome(one: OneNode, event: Any) -> Any:
    try:
        return one.step(event)
    except BadFrame as error:
        return error.text


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(appends() | appends() | OTHERS, st.sampled_from([0.0, 0.01, 1.0])), max_size=12
    )
)
def test_the_same_follows_as_when_each_message_is_looked_at(steps: Any) -> None:
    one, each = OneNode(1, 1), OneNode(1, 1)
    for made, passes in steps:
        each.node.followed = None
        for node in (one, each):
            node.now += passes
        assert outcome(one, made(one)) == outcome(each, made(each))
        for name in SHOWN:
            assert getattr(one.node, name) == getattr(each.node, name)
