"""How long ago the leader was heard, as a server tells it of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from api_running import asynchronous

from quorate.raft.effects import Role, RoleChanged
from quorate.replica.replica import Replica
from quorate.server.leadership import Leadership


class Node:
    contact_at = 10.0


class FakeReplica:
    """One that was started at 10 s, and heard a leader then."""

    def __init__(self) -> None:
        self.on_role: list[Callable[[RoleChanged], None]] = []
        self.node = Node()
        self.is_leader = False
        self.time = 10.0

    def now(self) -> float:
        return self.time

    def become(self, role: Role, at: float) -> None:
        self.time, self.is_leader = at, role is Role.LEADER
        for tell in self.on_role:
            tell(RoleChanged(role, 2, "", "", "as told"))


@asynchronous
async def test_a_leader_that_stepped_down_was_heard_until_then() -> None:
    replica = FakeReplica()
    leadership = Leadership(cast("Replica[Any]", replica))
    replica.time = 12.5
    assert leadership.last_contact_ms() == 2500
    replica.become(Role.LEADER, 20.0)
    assert leadership.last_contact_ms() == 0
    replica.become(Role.FOLLOWER, 4000.0)
    replica.become(Role.CANDIDATE, 4000.5)
    assert leadership.last_contact_ms() == 500
    replica.node.contact_at = 4001.0
    replica.time = 4001.25
    assert leadership.last_contact_ms() == 250
