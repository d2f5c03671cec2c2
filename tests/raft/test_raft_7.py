"""Snapshots (Raft 7, Figure 13)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from one_node import THREE, OneNode, append, replies

from quorate.raft import Role
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.messages import InstallSnapshotRequest, InstallSnapshotResponse
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
