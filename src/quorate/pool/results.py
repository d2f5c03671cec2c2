"""Results of the operations of a pool, with the texts that people see."""

from __future__ import annotations

import msgspec

from quorate.gossip.effects import KeyAction
from quorate.gossip.messages import KeyResponse


class JoinResult(msgspec.Struct, frozen=True):
    """`count` addresses were joined through; `failures` are (address as given, reason)."""

    count: int
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def error(self) -> str:
        """Empty if one was reached (that is enough), else all failures as the API words them."""
        if self.count or not self.failures:
            return ""
        number = len(self.failures)
        head = "1 error occurred:" if number == 1 else f"{number} errors occurred:"
        return head + "".join(f"\n\t* {reason}" for _, reason in self.failures) + "\n\n"


class QueryResult(msgspec.Struct, frozen=True):
    """`answers` by member; `acked`: who has received it (empty if acks were not asked for)."""

    answers: dict[str, bytes | None]
    acked: tuple[str, ...] = ()


class KeyResult(msgspec.Struct, frozen=True):
    """The answers of all members to a key operation.

    `members` are those that were alive when it began; `answers` of those that answered;
    `unreadable` names the members whose answers could not be read.
    """

    action: KeyAction
    members: tuple[str, ...]
    answers: dict[str, KeyResponse]
    unreadable: tuple[str, ...] = ()

    @property
    def silent(self) -> tuple[str, ...]:
        """The members that have not answered: an old key is still needed there."""
        heard = {*self.answers, *self.unreadable}
        return tuple(name for name in self.members if name not in heard)

    @property
    def messages(self) -> dict[str, str]:
        """The messages of members, by member: refusals, and notes such as a list cut short."""
        said = {name: answer.message for name, answer in self.answers.items() if answer.message}
        return {**said, **dict.fromkeys(self.unreadable, "its answer cannot be read")}

    @property
    def failed(self) -> tuple[str, ...]:
        """The members that refused, or whose answers could not be read."""
        bad = [name for name, answer in self.answers.items() if not answer.result]
        return (*bad, *self.unreadable)

    @property
    def keys(self) -> dict[str, int]:
        """How many members have each key (base64); of a list only."""
        return _counted([key for answer in self.answers.values() for key in answer.keys or ()])

    @property
    def primary_keys(self) -> dict[str, int]:
        """How many members seal with each key; old members do not tell."""
        return _counted([a.primary_key for a in self.answers.values() if a.primary_key])

    @property
    def error(self) -> str:
        """Empty if every member has done it, else as the API words it."""
        total = len(self.members)
        if self.failed:
            return f"{len(self.failed)}/{total} nodes reported failure"
        if self.silent:
            return f"{len(self.answers)}/{total} nodes reported success"
        return ""


def _counted(keys: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return counts
