"""The leader removes expired tokens in batches, by its clock; the others only refuse them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from acl_state import AclState

from quorate.autopilot.deciders.tokens import expired
from quorate.errors import NotLeader
from quorate.server.access.expiry import TokenExpiry
from quorate.state.tables.acl.deleted import TABLE as DELETED
from quorate.state.tables.acl.tokens import DELETED_AT_ONCE


def filled(count: int) -> AclState:
    """Tokens that expire at 100, 101 and so on, and one that does not."""
    state = AclState()
    for number in range(count):
        state.create(f"t{number:04}", expires=100 + number)
    state.create("forever")
    return state


class Leader:
    """A server that leads, until it does not."""

    def __init__(self, state: AclState) -> None:
        self.state = state
        self.leads = True
        self.now = 0
        self.commands = 0
        self.fails = False
        self.expiry = TokenExpiry(state.store, lambda: self.leads, self.apply, lambda: self.now)

    async def apply(self, command: bytes) -> tuple[int, Any]:
        await asyncio.sleep(0)
        if self.fails:
            raise NotLeader
        self.commands += 1
        index = self.state.store.applied_index + 1
        return index, self.state.store.apply(index, command)

    def round(self) -> int:
        return asyncio.run(self.expiry.round())


def test_what_has_expired_goes_and_what_has_not_stays() -> None:
    leader = Leader(filled(4))
    leader.now = 99
    assert (leader.round(), leader.commands) == (0, 0)
    leader.now = 101
    assert leader.round() == 2
    assert leader.state.accessors == ["forever", "t0002", "t0003"]
    assert not leader.state.store.rows(DELETED)  # its time is in any older state too
    leader.leads = False
    leader.now = 1000
    assert leader.round() == 0


def test_many_go_in_batches_and_a_lost_lead_loses_none() -> None:
    count = 2 * DELETED_AT_ONCE + 3
    leader = Leader(filled(count))
    leader.now = 10_000
    assert leader.round() == DELETED_AT_ONCE
    leader.fails = True
    with pytest.raises(NotLeader):
        leader.round()
    leader.fails = False
    rounds = [leader.round() for _ in range(4)]
    assert sum(rounds) + DELETED_AT_ONCE == count
    assert leader.state.accessors == ["forever"]


def test_no_step_looks_at_more_rows_than_it_may() -> None:
    state = filled(10)
    found, after = expired(state.store, "", 10_000, 4)
    assert (found, after) == (("t0000", "t0001", "t0002", "t0003"), "t0003")
    found, after = expired(state.store, after, 100, 4)
    assert (found, after) == ((), "t0007")
    assert expired(state.store, after, 10_000, 4) == (("t0008", "t0009"), "")
    assert expired(AclState().store, "", 10_000, 4) == ((), "")
