"""What is shown of servers: alive, failed, forgotten; and whom to ask for their view."""

from __future__ import annotations

import msgspec

from quorate.raft.values.configuration import Server
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Identity
from quorate.server.views.peer import peer_view
from quorate.server.views.raft import view_targets
from quorate.shapes.operator import RaftServer
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.servers import RecordServer

ME = Identity(
    id="a",
    name="s1",
    region="global",
    datacenter="dc1",
    address="10.0.0.1:4647",
    serf_port=4648,
    version="0",
)
B = msgspec.structs.replace(ME, id="b", name="s2", address="10.0.0.2:4647")
WEST = msgspec.structs.replace(ME, id="w", name="w1", region="west", address="10.1.0.1:4647")
C = Server("c", "10.0.0.3:4647")


def state_with(*commands: RecordServer) -> StateStore:
    store = StateStore(TODAY)
    for index, command in enumerate(commands, start=8):
        store.apply(index, encode(command))
    return store


def row(server: Server, directory: Directory, state: StateStore) -> RaftServer:
    """The row at loop time 100, which is 14:40:00 of a day in 2026."""
    return peer_view(
        server,
        directory=directory,
        state=state,
        leader_id="a",
        unix_time=lambda loop_s: 1_795_444_800.0 + loop_s - 100.0,
    )


def test_alive_failed_and_never_seen() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.heard(B, 40.0)
    state = state_with(RecordServer(server_id="c", name="s3.global", address=C.address))
    mine = row(Server("a", ME.address), directory, state)
    assert (mine.status, mine.last_contact, mine.last_name, mine.leader) == ("alive", "", "", True)
    directory.refresh(100.0)
    failed = row(Server("b", B.address), directory, state)
    assert (failed.status, failed.node) == ("failed", "s2.global")
    assert failed.last_contact == "2026-11-23T14:39:00Z"
    forgotten = row(C, directory, state)
    assert (forgotten.node, forgotten.status, forgotten.raft_protocol) == (
        "(unknown)",
        "unknown",
        "unknown",
    )
    assert (forgotten.last_name, forgotten.last_contact) == ("s3.global", "")


def test_a_server_that_was_only_heard_of_has_no_last_contact() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.told(B)
    assert row(Server("b", B.address), directory, StateStore(TODAY)).last_contact == ""


def test_views_are_asked_of_the_region_and_of_the_configuration_at_its_addresses() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.heard(B, 1.0)
    directory.heard(WEST, 1.0)
    moved = Server("b", "10.0.0.9:4647")
    targets = view_targets(directory, "global", (Server("a", ME.address), moved, C))
    assert [(one.id, one.node, one.address) for one in targets] == [
        ("b", "s2.global", "10.0.0.9:4647"),
        ("c", "(unknown)", "10.0.0.3:4647"),
    ]
