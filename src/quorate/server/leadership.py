"""The leader, as this server knows it, and the proof that a linearizable read needs."""

from __future__ import annotations

import asyncio

from quorate.raft.effects import Role, RoleChanged
from quorate.replica.replica import Replica


class Leadership:
    """The leader as one replica knows it. Made before the replica starts, on the loop."""

    def __init__(self, replica: Replica[object]) -> None:
        self._replica = replica
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []
        self._led_at = float("-inf")  # when this server led last
        self._leads = False
        replica.on_role.append(self._role_changed)

    def leader_address(self) -> str:
        """RPC address of the leader this server follows (its own if it leads), or empty."""
        return self._replica.node.leader_address

    def is_leader(self) -> bool:
        """True while this server believes to lead; `lease_valid` is the proof."""
        return self._replica.is_leader

    def has_begun(self) -> bool:
        """True if this server leads, and has applied an entry of its own term.

        All that earlier leaders have written is applied here then.
        """
        leader = self._replica.node.leader
        return leader is not None and leader.ready()

    def lease_valid(self) -> bool:
        """True if a read of applied state made right now, without awaiting, is linearizable."""
        return self._replica.lease_valid()

    async def read_barrier(self) -> None:
        """Return when a read made now on this leader is linearizable.

        Raises NotLeader, NotReady, LeadershipLost or StateDamaged.
        """
        await self._replica.read_barrier()

    async def wait_for_leader(self, timeout_s: float) -> bool:
        """Wait until a leader is known; False if none is after `timeout_s` seconds."""
        if self.leader_address():
            return True
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await asyncio.wait((waiter,), timeout=timeout_s)
        return bool(self.leader_address())

    def last_contact_ms(self) -> int:
        """Whole milliseconds since the leader was heard, or was this server; 0 on the leader."""
        if self._replica.is_leader:
            return 0
        heard_at = max(self._replica.node.contact_at, self._led_at)
        return int((self._replica.now() - heard_at) * 1000)

    def _role_changed(self, change: RoleChanged) -> None:
        if self._leads:
            self._led_at = self._replica.now()
        self._leads = change.role is Role.LEADER
        if not change.leader_address:
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
