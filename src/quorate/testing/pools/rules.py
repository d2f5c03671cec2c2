"""Rules for a leader's decisions, checked from outside the servers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

from quorate.autopilot import actions as act
from quorate.levels import LEVEL
from quorate.state.tables.servers import removed_at
from quorate.testing.pools.process import Process
from quorate.testing.sim.verdicts.violations import expect
from quorate.testing.sim.world import World

_SURE_S = 2.5
"""A server that could be asked for so long would have answered: what was heard is not older."""

SITUATIONS = (
    "a newcomer was taken in",
    "a member moved",
    "servers traded places in one entry",
    "a newcomer made a member move",
    "a newcomer replaced a member",
    "a member that had left was removed",
    "a non-voter was promoted",
    "a member said to have left was kept",
    "two servers with one ID were named",
    "a member was removed by an operator",
    "a server left by itself",
    "the feature level was raised",
    "a server held the feature level back",
    "a dead member was removed as the leader had advised",
    "the mark of a removal that was not made was taken back",
    "a copied folder was named, and gave no vote",
    "a folder that was rolled back was named, and gave no vote",
    "a machine stood still",
)


class Pool(Protocol):
    """The interface that the rules look at (`quorate.testing.pools.servers.Servers`)."""

    world: World
    levels: dict[str, int]

    def there(self, address: str) -> Process | None:
        """The process that runs at this RPC address."""

    def running(self) -> Iterable[Process]:
        """All processes that run."""

    def cut(self, a: str, b: str) -> bool:
        """Does no message go between these two?"""

    def halted(self, process: Process) -> float:
        """How long its machine still stands still, in seconds; 0 if it runs."""


class Rules:
    """Looks at each decision when it is carried out. Raises ViolationError."""

    def __init__(self, servers: Pool) -> None:
        self.servers = servers
        self.met: Counter[str] = Counter()
        self.parted_at = float("-inf")  # when the network was parted last, or joined again
        self.advised: set[str] = set()  # members that people were told to remove

    def deciding(self, leader: Process, action: Any) -> None:
        """The leader asks Raft for this change."""
        match action:
            case act.AddNonvoter(server=server):
                self._is_there(server.id, server.address)
                self._was_not_removed(leader, server.id)
            case act.MoveAddress(server=server, was=was):
                self._still_there(leader, server.id, was, "its address moved")
                self._is_there(server.id, server.address)
            case act.Remove(id=server_id, address=address, why=why):
                what = f"it was removed because {why}"
                self._still_there(leader, server_id, address, what)
            case _:
                pass

    def raising(self, leader: Process, level: int) -> None:
        """The leader writes that all know this level: no member, up or down, is left behind."""
        assert leader.host is not None
        for server in leader.host.live.configuration.servers:
            known = self.servers.levels.get(server.id, LEVEL)
            expect(known >= level, f"{server.id} knows level {known}, the cluster rises to {level}")
        self.met["the feature level was raised"] += 1

    def recording(self, action: act.RecordServer) -> None:
        """The leader writes names; with a reason it takes a mark back."""
        if action.why:
            self.met["the mark of a removal that was not made was taken back"] += 1

    def _is_there(self, server_id: str, address: str) -> None:
        """A place is written down only for a server that has answered there."""
        there = self.servers.there(address)
        long = there is not None and self.servers.world.now - there.since > _SURE_S
        other = there is not None and there.real_id != server_id
        expect(
            not (long and other), f"{address} was written down for {server_id}, which is not there"
        )

    def _was_not_removed(self, leader: Process, server_id: str) -> None:
        """No server here asks to rejoin."""
        assert leader.host is not None
        removed = removed_at(leader.host.machine.store, server_id)
        expect(not removed, f"{server_id} was removed by an operator, and is taken in")

    def _still_there(self, leader: Process, server_id: str, address: str, what: str) -> None:
        there = self.servers.there(address)
        now = self.servers.world.now
        if there is None or there.real_id != server_id or there.leaving:
            return
        answers = now - max(there.since, self.parted_at) > _SURE_S
        parted = self._parted(leader, there)
        expect(
            not answers or parted,
            f"{there.name} ({server_id}) answers at {address}, and yet {what}",
        )

    def _parted(self, leader: Process, other: Process) -> bool:
        return self.servers.cut(leader.key, other.key) or self.servers.halted(other) > 0

    def _must_be_dead(self, leader: Process, server_id: str) -> None:
        """Advice to remove a member must not name one that lives where the leader can hear it."""
        for process in self.servers.running():
            since = max(process.since, self.parted_at)
            lives = process.id == server_id and self.servers.world.now - since > _SURE_S
            parted = self._parted(leader, process)
            expect(not lives or parted, f"people were told to remove {process.name}, which lives")

    def done(self, action: Any) -> None:
        """The change is in force."""
        met = self.met
        match action:
            case act.AddNonvoter(moves=moves):
                met["a newcomer made a member move" if moves else "a newcomer was taken in"] += 1
            case act.MoveAddress(moves=moves):
                met["servers traded places in one entry" if moves else "a member moved"] += 1
            case act.Remove(why=act.Why.REPLACED):
                met["a newcomer replaced a member"] += 1
            case act.Remove(why=act.Why.LEFT):
                met["a member that had left was removed"] += 1
            case act.Promote():
                met["a non-voter was promoted"] += 1
            case _:
                pass

    def said(self, leader: Process, word: act.Say) -> None:
        """The leader tells people."""
        advised = re.search(r"remove-peer -peer-id=(\S+)", word.text)
        if advised:
            self._must_be_dead(leader, advised[1])
            self.advised.add(advised[1])
        if word.text.startswith("feature level "):
            self.met["a server held the feature level back"] += 1
        if "is said to have left but stays" in word.text:
            self.met["a member said to have left was kept"] += 1
        if "two servers run with the ID" in word.text:
            self.met["two servers with one ID were named"] += 1
