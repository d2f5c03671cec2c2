"""Serf's status of each member, and intents about members that are not known yet.

Serf's status differs from memberlist's state: a member that said that it leaves, and then is
silent, has left; one that is silent without that has failed (docs/wire.md#states-of-a-member).
"""

from __future__ import annotations

from quorate.gossip.effects import Member
from quorate.gossip.messages import Address, SerfStatus, Versions


class Known:
    """One member. `gone_at` is when it failed or left; `status_ltime` the newest intent's time."""

    __slots__ = (
        *("address", "confirmed", "gone_at", "incarnation", "name", "prune", "status"),
        "status_ltime",
        *("tags", "versions"),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = Address("", 0)
        self.tags: dict[str, str] = {}
        self.versions: Versions | None = None
        self.incarnation = 0
        self.status = SerfStatus.ALIVE
        self.status_ltime = 0
        self.gone_at = 0.0
        self.prune = False
        self.confirmed = False  # it has answered a ping of this member

    def seen(self) -> Member:
        """As people see it."""
        return Member(
            self.name, self.address, self.tags, self.status, self.versions, self.incarnation
        )


class Intent:
    """The newest word about a name that is not known; `at` is when it was heard."""

    __slots__ = ("at", "leaves", "ltime", "prune")

    def __init__(self, leaves: bool, ltime: int, prune: bool, at: float) -> None:
        self.leaves = leaves
        self.ltime = ltime
        self.prune = prune
        self.at = at


class Roster:
    """See the module. `failed`, `left` and `leaving` hold members, in the order of becoming so."""

    def __init__(self, intents_max: int) -> None:
        self.members: dict[str, Known] = {}
        self.failed: dict[str, Known] = {}
        self.left: dict[str, Known] = {}
        self.leaving: dict[str, Known] = {}
        self.intents: dict[str, Intent] = {}
        self._intents_max = intents_max

    def get(self, name: str) -> Known | None:
        """The member with this name, as far as it is known."""
        return self.members.get(name)

    def alive_count(self) -> int:
        """How many are neither failed nor gone."""
        return len(self.members) - len(self.failed) - len(self.left)

    def set_status(self, known: Known, status: SerfStatus, now: float) -> None:
        """Change the status, and the lists with it."""
        self._unlist(known)
        known.status = status
        if status is SerfStatus.LEAVING:
            self.leaving[known.name] = known
        elif status is SerfStatus.FAILED:
            known.gone_at = now
            self.failed[known.name] = known
        elif status is SerfStatus.LEFT:
            known.gone_at = now
            self.left[known.name] = known

    def erase(self, known: Known) -> None:
        """Forget a member."""
        self.members.pop(known.name, None)
        self._unlist(known)

    def _unlist(self, known: Known) -> None:
        self.failed.pop(known.name, None)
        self.left.pop(known.name, None)
        self.leaving.pop(known.name, None)

    def buffer(self, name: str, intent: Intent) -> bool:
        """Keep an intent about an unknown name; False if a newer one is here already."""
        old = self.intents.get(name)
        if old is not None and old.ltime >= intent.ltime:
            return False
        self.intents.pop(name, None)
        self.intents[name] = intent
        if len(self.intents) > self._intents_max:
            del self.intents[next(iter(self.intents))]
        return True

    def expire_intents(self, before: float) -> None:
        """Forget those that were heard before that time; they stand in the order of hearing."""
        while self.intents:
            name = next(iter(self.intents))
            if self.intents[name].at >= before:
                return
            del self.intents[name]
