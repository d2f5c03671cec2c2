"""Snapshots (Raft 7, Figure 13)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from one_node import THREE, OneNode, append, replies, sends

from quorate.errors import BadFrame
from quorate.raft import Change, ChangeKind, Role, Settings
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
)
from quorate.wire.raft.membership import encode_configuration, encode_peers


def install(index: int, log_term: int, term: int = 3) -> InstallSnapshotRequest:
    return InstallSnapshotRequest(
        term=term,
        sender_id="b",
        sender_address="b:1",
        last_log_index=index,
        last_log_term=log_term,
        configuration=encode_configuration(THREE),
        configuration_index=1,
    )


def receive(a: OneNode, request: InstallSnapshotRequest, *, ok: bool = True) -> list[Any]:
    (wanted,) = [
        e for e in a.step(ev.RequestReceived("r", request)) if isinstance(e, fx.ReceiveSnapshot)
    ]
    return a.step(ev.SnapshotReceived("r", wanted.request, ok))


def answers(effects: list[fx.Effect]) -> list[bool]:
    """Whether the installs answered by these effects were taken."""
    replies = [e.response for e in effects if isinstance(e, fx.Reply)]
    return [r.success for r in replies if isinstance(r, InstallSnapshotResponse)]


def test_snapshot_replaces_a_log_that_does_not_contain_it() -> None:
    a = OneNode(1, 1, 2)
    out = receive(a, install(9, 3))
    assert fx.RestoreSnapshot(9, 3) in out
    assert (a.node.log.last_index, a.node.log.last_term, a.node.commit_index) == (9, 3, 9)
    assert a.disk.log == []


def test_snapshot_keeps_what_follows_it_in_the_log() -> None:
    a = OneNode(1, 1, 2, 2)
    out = receive(a, install(3, 2))
    assert not any(isinstance(e, fx.RestoreSnapshot) for e in out)
    assert a.terms() == [1, 1, 2, 2]
    assert a.node.commit_index == 3


def test_snapshot_of_what_is_committed_is_acknowledged_and_not_used() -> None:
    a = OneNode(1, 1, 2)
    a.ask(append(3, (3, 2), commit=3))
    (reply,) = replies(receive(a, install(2, 1)))
    assert reply.success
    assert a.node.log.last_index == 3


def test_snapshot_that_could_not_be_stored_is_refused() -> None:
    a = OneNode(1)
    (reply,) = replies(receive(a, install(9, 3), ok=False))
    assert not reply.success
    assert a.node.log.last_index == 1


def test_snapshot_of_an_older_term_is_not_received() -> None:
    answer = OneNode(1, term=5).ask(install(9, 3, term=4))
    assert (answer.success, answer.term) == (False, 5)


def test_a_snapshot_whose_configuration_lies_behind_its_end_is_refused() -> None:
    a = OneNode(1, 1, 2)
    before = a.node.configuration_index
    request = replace(install(9, 3), configuration_index=10)
    with pytest.raises(BadFrame, match="b sent a snapshot whose configuration lies behind"):
        a.step(ev.RequestReceived("r", request))
    assert (a.node.configuration_index, a.node.log.last_index) == (before, 3)


def test_snapshot_of_version_0_names_only_addresses() -> None:
    a = OneNode(1)
    receive(a, replace(install(9, 3), configuration=b"", peers=encode_peers(THREE)))
    assert [s.id for s in a.node.configuration.servers] == ["a:1", "b:1", "c:1"]


def test_pre_candidate_follows_the_leader_whose_snapshot_has_arrived() -> None:
    a = OneNode(1)
    a.step(ev.RequestReceived("r", install(9, 3)))
    a.now = a.node.election_deadline
    a.step(ev.Tick())
    campaigning = a.node.role
    a.step(ev.SnapshotReceived("r", install(9, 3), ok=True))
    assert [campaigning, a.node.role] == [Role.PRE_CANDIDATE, Role.FOLLOWER]
    assert a.node.leader_id == "b"


def test_an_install_answers_what_a_retired_leader_has_committed_and_not_applied() -> None:
    a = OneNode(1)
    asked = a.lead()
    requests: list[Any] = [
        ev.Propose((("write", b"x"),)),
        ev.ChangeRequested("change", Change(ChangeKind.REMOVE_SERVER, "a")),
    ]
    # What the others are sent they take; nothing is ever reported as applied.
    while asked or requests:
        out = a.accept(asked.pop(0)) if asked else a.step(requests.pop(0))
        asked += sends(out, AppendEntriesRequest)
    assert (a.node.role, a.node.commit_index, a.node.applied_index) == (Role.FOLLOWER, 4, 0)
    out = receive(a, install(9, 3, term=3))
    assert fx.Rejected(("write", "change"), fx.Reason.LEADERSHIP_LOST, begun=True) in out


def test_no_snapshot_is_made_of_a_state_that_is_on_its_way() -> None:
    a = OneNode(1, 1, 1, 1, settings=Settings(apply_entries_max=2))
    a.ask(append(1, (4, 1), commit=4))
    assert a.node.snapshot_point() is None, "entries 1 and 2 are being applied"
    (more,) = [e for e in a.step(ev.Applied(2)) if isinstance(e, fx.Apply)]
    assert [entry.index for entry in more.entries] == [3, 4]
    assert a.node.snapshot_point() is None, "and so are 3 and 4"
    a.step(ev.Applied(4))
    point = a.node.snapshot_point()
    assert point is not None
    assert point[0] == 4


def test_the_machine_says_when_it_takes_more() -> None:
    a = OneNode(1, 1, 1, 1, settings=Settings(apply_entries_max=2))
    a.ask(append(1, (4, 1), commit=4))
    assert not [e for e in a.step(ev.Applied(2, ready=False)) if isinstance(e, fx.Apply)]
    assert a.node.applied_index == 2
    assert a.node.snapshot_point() is not None, "up to 2 it is known what the state is"
    assert [e for e in a.step(ev.Applied(2)) if isinstance(e, fx.Apply)]


def test_a_machine_that_holds_is_given_nothing_more_until_a_snapshot_has_passed_it() -> None:
    a = OneNode(1, 1, 1)
    a.ask(append(1, (3, 1), commit=3))
    out = a.step(ev.MachineHeld(1, "it needs version 2"))
    assert a.node.applied_index == 1
    out += a.step(ev.RequestReceived("r", append(1, (3, 1), 1, 1, commit=5)))
    assert not [e for e in out if isinstance(e, fx.Apply)]
    assert a.node.log.last_index == 5, "it stores what comes"
    receive(a, install(9, 3))
    a.step(ev.Applied(9))
    assert a.node.machine_trouble is None
    out = a.step(ev.RequestReceived("r", append(3, (9, 3), 3, commit=10)))
    assert [e for e in out if isinstance(e, fx.Apply)]
