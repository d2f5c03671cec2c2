"""Open requests of a start, candidates and leaders: answers, votes, proofs. Values only."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from quorate.raft.values.configuration import Change, Configuration


class Cause(StrEnum):
    """Why there was an election; the value is for people."""

    FOUNDED = "the cluster was founded"
    HANDED_OVER = "the leader handed over"
    GONE = "the connections to the leader ended"
    SILENT = "the leader was not heard"
    UNKNOWN = "no leader was known"


class Elected(msgspec.Struct, frozen=True, gc=False):
    """How a node came to lead in `term`; `former` is the ID of the leader that it heard last."""

    term: int
    cause: Cause
    former: str = ""


class Campaign(msgspec.Struct):
    """One round: who was asked (by request number) and who granted. `pre` is the pre-vote."""

    pre: bool
    cause: Cause
    asked: dict[int, str] = msgspec.field(default_factory=dict)
    granted: list[str] = msgspec.field(default_factory=list)


class Greeting(msgspec.Struct):
    """The members that have not answered to the start of this server, by ID.

    `ticks` are left until they count as down; the next one is counted at `due`.
    """

    waiting: set[str]
    ticks: int
    due: float


class PendingRead(msgspec.Struct, frozen=True, gc=False):
    """A read that waits for proof: a majority must answer a request numbered `proof` or later."""

    handle: Any
    proof: int
    index: int


class WeighedChange(msgspec.Struct, frozen=True):
    """A change that would take a vote away, until enough voters of `configuration` have answered.

    It was decided by the configuration at `decided_by`; an answer counts to a request numbered
    `proof` or later. At `deadline` it is refused.
    """

    handle: Any
    change: Change
    configuration: Configuration
    decided_by: int
    proof: int
    deadline: float
