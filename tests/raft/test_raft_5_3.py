"""Log replication on the receiver (Raft 5.3, Figure 2: AppendEntries)."""

from __future__ import annotations

import pytest
from one_node import OneNode, append, replies

from quorate.errors import BadFrame
from quorate.raft import Entry, EntryKind
from quorate.raft import events as ev
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.messages import AppendEntriesRequest, AppendEntriesResponse
from quorate.wire.raft.membership import encode_configuration


def test_older_term_is_refused() -> None:
    answer = OneNode(1, 3).ask(append(2, (2, 3), 2))
    assert (answer.success, answer.term) == (False, 3)


@pytest.mark.parametrize(
    ("terms", "prev", "hint"),
    [
        ([1, 1], (5, 1), 2),  # too short: its last index
        ([1, 1, 3, 3, 3], (5, 2), 2),  # its entries 3.. are of a later term than the leader's
        ([1, 1, 1, 1, 1], (4, 2), 3),  # an earlier term: only the entry itself is refuted
    ],
)
def test_missing_or_other_previous_entry_is_refused_with_a_hint(
    terms: list[int], prev: tuple[int, int], hint: int
) -> None:
    a = OneNode(*terms)
    answer = a.ask(append(4, prev, 4))
    assert (answer.success, answer.no_retry_backoff, answer.last_log) == (False, True, hint)
    assert a.terms() == terms


def test_conflicting_entries_are_replaced_and_no_others() -> None:
    a = OneNode(1, 1, 2, 2, 2)
    assert a.ask(append(3, (2, 1), 2, 3)).success
    assert a.terms() == [1, 1, 2, 3]


def test_a_late_shorter_append_removes_nothing() -> None:
    a = OneNode(1, 1, 2, 2, 2)
    assert a.ask(append(2, (2, 1), 2)).success
    assert a.terms() == [1, 1, 2, 2, 2]


def test_commit_reaches_only_what_this_request_has_compared() -> None:
    a = OneNode(1, 1, 1)
    a.ask(append(2, (1, 1), 1, commit=9))
    assert a.node.commit_index == 2


def test_last_log_is_the_last_index_before_the_request() -> None:
    assert OneNode(1).ask(append(2, (1, 1), 2, 2)).last_log == 1


def test_success_waits_for_the_disk_and_a_heartbeat_does_not() -> None:
    a = OneNode(1, term=2)
    a.held = []
    assert a.ask(append(2, (1, 1), 2)) is None
    heartbeat = AppendEntriesRequest(term=2, sender_id="b", sender_address="b:1")
    assert a.ask(heartbeat).success
    assert replies(a.release()) == [
        AppendEntriesResponse(
            term=2,
            last_log=1,
            success=True,
            promise_ms=500,
            sender_id="a",
            sender_address="a:1",
        )
    ]


def test_heartbeat_of_a_new_term_waits_until_the_term_is_durable() -> None:
    a = OneNode(1)
    a.held = []
    assert a.ask(AppendEntriesRequest(term=2, sender_id="b", sender_address="b:1")) is None
    assert [r.term for r in replies(a.release())] == [2]


def test_leader_that_gives_only_its_address_is_known_by_it() -> None:
    a = OneNode(1)
    a.ask(AppendEntriesRequest(term=2, leader="c:1"))
    assert (a.node.leader_id, a.node.leader_address) == ("c", "c:1")


def _bad(*entries: Entry) -> AppendEntriesRequest:
    return AppendEntriesRequest(
        term=3, sender_id="b", prev_log_index=2, prev_log_term=1, entries=entries
    )


@pytest.mark.parametrize(
    "request_",
    [
        _bad(Entry(4, 2, EntryKind.COMMAND)),
        _bad(Entry(3, 2, EntryKind.COMMAND), Entry(5, 2, EntryKind.COMMAND)),
        _bad(Entry(3, 2, EntryKind.COMMAND), Entry(4, 1, EntryKind.COMMAND)),
        _bad(Entry(3, 4, EntryKind.COMMAND)),
        _bad(Entry(3, 2, EntryKind.CONFIGURATION, b"\xc1")),
        _bad(Entry(3, 2, EntryKind.CONFIGURATION, encode_configuration(Configuration()))),
    ],
    ids=["a hole", "a hole inside", "falling terms", "a later term", "no configuration", "nobody"],
)
def test_what_no_leader_sends_changes_nothing(request_: AppendEntriesRequest) -> None:
    a = OneNode(1, 1)
    with pytest.raises(BadFrame):
        a.ask(request_)
    assert (a.node.term, a.terms(), a.node.leader_id) == (1, [1, 1], "")
    assert a.step(ev.Tick()) == []


@pytest.mark.parametrize(
    "request_",
    [append(3, (1, 1), 3, 3, 3), append(3, (2, 1), 3, 3), append(3, (3, 3), 3), append(3, (3, 3))],
    ids=["within", "at its end", "behind it", "a probe"],
)
def test_a_leader_with_another_history_than_the_snapshot_is_refused(
    request_: AppendEntriesRequest,
) -> None:
    """Servers that were recovered apart, by force: nothing is taken that would hide it."""
    a = OneNode(1, 1, 1)
    a.ask(append(2, (3, 1), commit=3))
    a.step(ev.SnapshotStored(3, 1))
    with pytest.raises(BadFrame, match="b has another entry 3 than this server: of term 3, not 1"):
        a.ask(request_)
    assert a.node.log.last_index == 3


def test_committed_entries_are_never_replaced() -> None:
    a = OneNode(1, 1)
    a.ask(append(2, (2, 1), commit=2))
    with pytest.raises(BadFrame, match="would replace committed entry 2"):
        a.ask(append(3, (1, 1), 3))
    assert a.terms() == [1, 1]
