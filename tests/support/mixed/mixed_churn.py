"""A seeded series of mishaps for a mixed cluster under load; every one of them ends again.

The seed settles what is drawn, in which order; how the processes' own timers fall is not in its
hand. At most a minority of the founders is away at a time, so that the load goes on.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter

from mixed_cluster import Cluster, Peer, Refused, until
from mixed_load import Load

_ASKING = (Refused, OSError, ValueError)


class Churn:
    """See the module. `counts` says how often each thing was done."""

    def __init__(self, mixed: Cluster, load: Load, seed: int) -> None:
        self._mixed = mixed
        self._load = load
        self._rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.led: Counter[str] = Counter()

    def run(self, count: int) -> None:
        """So many mishaps; the cluster is whole at the end."""
        mishaps = (
            *(self.kill, self.kill, self.kill_some, self.stand_still, self.isolate, self.part),
            *(self.transfer, self.transfer, self.snapshot, self.suffrage, self.replace, self.wipe),
        )
        for _ in range(count):
            mishap = self._rng.choice(mishaps)
            mishap()
            self.counts[mishap.__name__] += 1
            self.led[self._mixed.leader(timeout_s=30).make] += 1
            self._load.more(20)

    def _any(self) -> Peer:
        """The leader every other time, else any founder."""
        leader = self._mixed.leader(timeout_s=30)
        return leader if self._rng.random() < 0.5 else self._rng.choice(self._mixed.founders)

    def kill(self) -> None:
        """kill -9, and back after some writes."""
        peer = self._any()
        peer.kill()
        self._load.more(self._rng.choice((0, 20, 200)))
        self._mixed.start(peer.name)

    def kill_some(self) -> None:
        """All at once."""
        for peer in self._mixed.founders:
            peer.kill()
        self._mixed.start(*(peer.name for peer in self._mixed.founders))

    def stand_still(self) -> None:
        """SIGSTOP for as long as the others need to go on."""
        peer = self._any()
        peer.stand_still()
        self._load.more(self._rng.choice((5, 100)))
        peer.go_on()

    def isolate(self) -> None:
        """Cut off from all, with writes that go nowhere if it led."""
        peer = self._any()
        self._mixed.isolate(peer.name)
        self._load.more(self._rng.choice((5, 100)))
        self._mixed.mend()

    def part(self) -> None:
        """One wire cut, one way or both: its ends still have others in common."""
        one, two = self._rng.sample(self._mixed.founders, 2)
        self._mixed.wires.cut((one.name, two.name))
        if self._rng.random() < 0.5:
            self._mixed.wires.cut((two.name, one.name))
        self._load.more(50)
        self._mixed.mend()

    def transfer(self) -> None:
        """To a founder by name, or to whom the leader chooses."""
        leader = self._mixed.leader(timeout_s=30)
        target = self._rng.choice(self._mixed.others(leader))
        by_name = self._rng.random() < 0.7
        place = (target.id, target.address) if by_name else ("", "")
        with contextlib.suppress(*_ASKING):
            leader.ask("transfer", id=place[0], address=place[1])

    def snapshot(self) -> None:
        """Everyone stores one and compacts its log."""
        for peer in self._mixed.founders:
            with contextlib.suppress(*_ASKING):
                peer.ask("snapshot")

    def suffrage(self) -> None:
        """A founder gives up its vote, perhaps the leader, and gets it back."""
        peer = self._any()
        self._mixed.change("demote", peer)
        self._load.more(10)
        self._mixed.change("promote", peer)

    def replace(self) -> None:
        """A founder is removed, perhaps the leader, and taken in again."""
        peer = self._any()
        self._mixed.change("remove", peer)
        self._load.more(10)
        self._mixed.change("add_nonvoter", peer)
        self._mixed.change("promote", peer)

    def wipe(self) -> None:
        """A follower loses its disk. It is removed first: under its id it might vote twice."""
        peer = self._rng.choice(self._mixed.others(self._mixed.leader(timeout_s=30)))
        self._mixed.change("remove", peer)
        peer.kill()
        peer.wipe()
        self._mixed.start(peer.name)
        self._mixed.change("add_nonvoter", peer)
        until(
            lambda: peer.state()["applied"] >= self._mixed.leader().state()["commit"] - 100,
            f"{peer.name} caught up",
        )
        self._mixed.change("promote", peer)
