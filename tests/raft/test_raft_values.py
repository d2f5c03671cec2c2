"""Properties of the plain rules: majority, configurations, the log in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import log_of

from quorate.raft import Change, ChangeKind, Configuration, ConfigurationError, Server, Suffrage
from quorate.raft.commitment import majority_value
from quorate.raft.log import RaftLog
from quorate.raft.values.configuration import SERVERS_MAX, next_configuration
from quorate.raft.values.messages import Entry, EntryKind
from quorate.testing.sim.machines.disk import SimDisk


def majority_slowly(values: list[float]) -> float:
    """The highest value that more than half of the voters have reached, by trying each."""
    reached = [v for v in values if sum(1 for other in values if other >= v) * 2 > len(values)]
    return max(reached)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_majority_value(values: list[float]) -> None:
    assert majority_value(values) == majority_slowly(values)


servers = st.builds(
    Server,
    st.sampled_from("abcde"),
    st.sampled_from(["1:1", "2:1", "3:1"]),
    st.sampled_from(Suffrage),
)
changes = st.builds(
    Change, st.sampled_from(ChangeKind), st.sampled_from("abcdef"), st.sampled_from(["1:1", "9:1"])
)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, unique=True))
    members = [Server(n, f"{n}:1", draw(st.sampled_from(Suffrage))) for n in names]
    members[0] = Server(names[0], f"{names[0]}:1")
    return Configuration(tuple(members))


@given(configurations(), changes)
def test_a_change_keeps_the_rules_or_is_refused(current: Configuration, change: Change) -> None:
    try:
        following = next_configuration(current, change)
    except ConfigurationError:
        return
    following.check()
    before = {s.id: s for s in current.servers}
    after = {s.id: s for s in following.servers}
    differing = [i for i in before.keys() | after.keys() if before.get(i) != after.get(i)]
    assert differing in ([], [change.server_id])
    # Any majority of one has a member in common with any majority of the other.
    old = {s.id for s in current.voters()}
    new = {s.id for s in following.voters()}
    assert current.quorum() + following.quorum() > len(old | new)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ChangeKind.ADD_VOTER, "a b* c"),
        (ChangeKind.ADD_NONVOTER, "a b c"),
        (ChangeKind.DEMOTE_VOTER, "a b- c"),
        (ChangeKind.PROMOTE, "a b c"),
        (ChangeKind.REMOVE_SERVER, "a c"),
    ],
)
def test_each_change_of_a_voter(kind: ChangeKind, expected: str) -> None:
    current = Configuration(tuple(Server(n, f"{n}:1") for n in "abc"))
    address = "new:1" if "*" in expected else "b:1"
    result = next_configuration(current, Change(kind, "b", address))
    shown = [
        s.id + ("*" if s.address == "new:1" else "") + ("" if s.is_voter else "-")
        for s in result.servers
    ]
    assert " ".join(shown) == expected


@pytest.mark.parametrize(
    "kind", [ChangeKind.DEMOTE_VOTER, ChangeKind.PROMOTE, ChangeKind.REMOVE_SERVER]
)
def test_unknown_server_cannot_be_changed(kind: ChangeKind) -> None:
    with pytest.raises(ConfigurationError, match="'z' is not in configuration"):
        next_configuration(Configuration((Server("a", "a"),)), Change(kind, "z"))


def test_the_last_voter_stays() -> None:
    with pytest.raises(ConfigurationError, match="at least one voter"):
        next_configuration(
            Configuration((Server("a", "a"), Server("b", "b", Suffrage.NONVOTER))),
            Change(ChangeKind.REMOVE_SERVER, "a"),
        )


@given(st.lists(st.integers(1, 6), min_size=1, max_size=20), st.integers(0, 25), st.integers(0, 7))
def test_hint_by_halving_is_the_hint_by_walking(terms: list[int], index: int, term: int) -> None:
    terms.sort()
    log = RaftLog(SimDisk(log=log_of(*terms)).store)
    walked = max(min(index - 1, len(terms)), 0)
    while walked > 0 and terms[walked - 1] > term:
        walked -= 1
    assert log.last_index_with_term_up_to(index, term) == walked


def entries(low: int, term: int, count: int) -> tuple[Entry, ...]:
    return tuple(Entry(low + i, term, EntryKind.COMMAND, b"x" * 10) for i in range(count))


def test_a_late_report_does_not_vouch_for_what_was_truncated() -> None:
    log = RaftLog(SimDisk().store)
    log.append(entries(1, 1, 5))
    log.writing(1)
    log.truncate_from(3)
    log.append(entries(3, 2, 3))
    log.writing(2)
    log.stabilise(1)
    assert (log.stable_index, log.last_index) == (2, 5)
    log.stabilise(2)
    assert log.stable_index == 5


def test_entries_keep_both_limits_but_give_at_least_one() -> None:
    log = RaftLog(SimDisk().store)
    log.append(entries(1, 1, 5))
    assert [e.index for e in log.entries(1, 6, 3, 1000)] == [1, 2, 3]
    assert [e.index for e in log.entries(1, 6, 9, 25)] == [1, 2]
    assert [e.index for e in log.entries(2, 6, 9, 1)] == [2]
    assert log.entries(6, 9, 9, 1000) == ()


def test_entries_come_from_the_disk_when_the_tail_has_let_them_go() -> None:
    disk = SimDisk(log=list(entries(1, 1, 4)))
    log = RaftLog(disk.store)
    log.append(entries(5, 2, 2))
    assert [e.index for e in log.entries(2, 7, 9, 1000)] == [2, 3, 4]
    assert [e.index for e in log.entries(5, 7, 9, 1000)] == [5, 6]
    assert [log.term(i) for i in range(7)] == [0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("stored", "snapshot", "superseded", "last"),
    [
        ([], (0, 0), False, 0),
        ([1, 1, 1], (2, 1), False, 3),
        ([1, 1, 1], (3, 1), False, 3),
        ([1, 1, 1], (5, 1), True, 5),  # the log ends before the snapshot
        ([1, 1, 1], (2, 2), True, 2),  # the snapshot holds another entry 2
    ],
)
def test_log_at_start(
    stored: list[int], snapshot: tuple[int, int], superseded: bool, last: int
) -> None:
    log = RaftLog(SimDisk(log=log_of(*stored) if stored else []).store, *snapshot)
    assert (log.superseded, log.last_index) == (superseded, last)
    assert log.first_index == (last + 1 if superseded or not stored else 1)


def test_a_log_that_does_not_reach_down_to_the_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="begins at 5, the snapshot ends at 3"):
        RaftLog(SimDisk(log=list(entries(5, 1, 2))).store, 3, 1)


def test_the_term_of_the_entry_compacted_last_stays_known() -> None:
    log = RaftLog(SimDisk(log=list(entries(1, 1, 4))).store)
    log.snapshot_index, log.snapshot_term = 4, 1
    log.compact_to(2)
    assert [log.term(i) for i in (1, 2, 3, 4)] == [None, 1, 1, 1]


IMPOSSIBLE = [
    Change(ChangeKind.ADD_NONVOTER, "4", "10.0.0.9"),
    Change(ChangeKind.ADD_NONVOTER, "4", "nonsense"),
    Change(ChangeKind.ADD_NONVOTER, "4", "host:0"),
    Change(ChangeKind.ADD_NONVOTER, "4", "host:65536"),
    Change(ChangeKind.ADD_NONVOTER, "4", "host:\u0661"),
    Change(ChangeKind.ADD_NONVOTER, "4", ":4647"),
    Change(ChangeKind.ADD_NONVOTER, "4", "fe80::1:4647"),
    Change(ChangeKind.ADD_NONVOTER, "4", "h" * 300 + ":1"),
    Change(ChangeKind.ADD_VOTER, "4\n5", "host:1"),
    Change(ChangeKind.ADD_VOTER, "4" * 129, "host:1"),
    Change(ChangeKind.ADD_VOTER, "4", "host:1", key=b"short"),
    Change(ChangeKind.ADD_VOTER, "4", "host:1", moves=(("a", "nowhere"),)),
]


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_what_cannot_be_a_server_is_refused(change: Change) -> None:
    with pytest.raises(ConfigurationError, match=r"is not|has not"):
        next_configuration(Configuration((Server("a", "a:1"),)), change)


@pytest.mark.parametrize("address", ["10.0.0.9:4647", "[fe80::1]:1", "s1.example.com:65535"])
def test_what_can_be_an_address_is_taken(address: str) -> None:
    change = Change(ChangeKind.ADD_NONVOTER, "4", address)
    assert next_configuration(Configuration((Server("a", "a:1"),)), change).get("4")


def test_an_impossible_address_of_an_old_log_can_be_removed() -> None:
    old = Configuration((Server("a", "a:1"), Server("b", "nonsense")))
    old.check()
    result = next_configuration(old, Change(ChangeKind.REMOVE_SERVER, "b"))
    assert result == Configuration((Server("a", "a:1"),))


def test_a_configuration_has_a_limit() -> None:
    full = Configuration(tuple(Server(str(n), f"h{n}:1") for n in range(SERVERS_MAX)))
    with pytest.raises(ConfigurationError, match=f"more than {SERVERS_MAX} servers"):
        next_configuration(full, Change(ChangeKind.ADD_NONVOTER, "x", "x:1"))
