"""What a leader makes of the pool: whom it lets go, whom it takes in, whom it leaves alone."""

from __future__ import annotations

import msgspec
import pytest

from quorate.raft.configuration import Configuration, Server
from quorate.server.cluster.directory import ALIVE, FAILED, LEAVING, LEFT, Known
from quorate.server.cluster.identity import Identity
from quorate.server.leader.reconcile import Plan, plan
from quorate.state.commands import encode
from quorate.state.servers import RecordRemoval, RecordServer
from quorate.state.store import StateStore

ME = Identity(
    id="a",
    name="s1",
    region="global",
    datacenter="dc1",
    address="10.0.0.1:4647",
    serf_port=4648,
    version="0",
    cluster_id="ours",
)
B = msgspec.structs.replace(ME, id="b", name="s2", address="10.0.0.2:4647")
MOVED = msgspec.structs.replace(B, address="10.0.0.9:4647")
NEW = msgspec.structs.replace(ME, id="n", name="s9", address="10.0.0.7:4647", cluster_id="")
WEST = msgspec.structs.replace(NEW, region="west")
STRANGER = msgspec.structs.replace(NEW, cluster_id="theirs")
MEMBERS = Configuration((Server("a", ME.address), Server("b", B.address)))


def state(*, removed: str = "") -> StateStore:
    store = StateStore()
    for index, server in enumerate((ME, B), start=1):
        record = RecordServer(server_id=server.id, name=server.node, address=server.address)
        store.apply(index, encode(record))
    if removed:
        removal = RecordRemoval(server_id=removed, name="x", address="10.0.0.7:4647")
        store.apply(9, encode(removal))
    return store


@pytest.mark.parametrize(
    ("other", "status", "removed", "expected"),
    [
        pytest.param(B, ALIVE, "", Plan(), id="a member that lives"),
        pytest.param(B, FAILED, "", Plan(), id="a member that failed stays"),
        pytest.param(B, LEAVING, "", Plan(), id="one about to leave is no news yet"),
        pytest.param(B, LEFT, "", Plan(let_go=("b",)), id="a member that left"),
        pytest.param(MOVED, ALIVE, "", Plan(take_in=(MOVED,)), id="a member with a new address"),
        pytest.param(NEW, ALIVE, "", Plan(take_in=(NEW,)), id="a newcomer"),
        pytest.param(NEW, FAILED, "", Plan(), id="a newcomer that failed before it was in"),
        pytest.param(NEW, LEFT, "", Plan(), id="a stranger that left"),
        pytest.param(NEW, ALIVE, "n", Plan(), id="one that was removed stays out"),
        pytest.param(B, ALIVE, "b", Plan(), id="one whose removal is under way is left alone"),
        pytest.param(WEST, ALIVE, "", Plan(), id="another region"),
        pytest.param(STRANGER, ALIVE, "", Plan(strangers=(STRANGER,)), id="another cluster"),
    ],
)
def test_plan(other: Identity, status: str, removed: str, expected: Plan) -> None:
    pool = [Known(ME, 0.0), Known(other, 0.0, status)]
    assert plan(MEMBERS, pool, ME, state(removed=removed)) == expected


def test_a_member_with_another_name_is_put_on_record() -> None:
    renamed = msgspec.structs.replace(B, name="s3")
    assert plan(MEMBERS, [Known(renamed, 0.0)], ME, state()) == Plan(rename=(renamed,))


def test_the_leader_itself_is_not_let_go_for_an_echo_of_the_past() -> None:
    assert plan(MEMBERS, [Known(ME, 0.0, LEFT)], ME, state()) == Plan()
