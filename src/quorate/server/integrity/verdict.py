"""The verdict on states: the rule by which digests of one index are compared.

Invariant: a digest is right only if more than half of ALL voters hold it, whether or not the others
answered. So no two digests of an index can both be right, whichever server judges; and a leader
whose own state is wrong finds that itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Digest: TypeAlias = Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]
"""A SHA-256 in hexadecimal, or empty. Verdicts come from other servers: their parts are bounded."""

NAME_MAX = 300
WHY_MAX = 1000
Name: TypeAlias = Annotated[str, Meta(max_length=NAME_MAX)]
Why: TypeAlias = Annotated[str, Meta(max_length=WHY_MAX)]
Index: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]

MEMBERS_MAX = 1024
"""Far above any configuration: a server with so many peers could not lead."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One member's digest: `digest` in hexadecimal, empty (and `why`) where it is not known."""

    id: Name
    node: Name
    voter: bool
    digest: Digest = ""
    why: Why = ""


Members: TypeAlias = Annotated[tuple[Held, ...], Meta(max_length=MEMBERS_MAX)]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The result of comparing the digests at `index`, and `by` names the server that said it.

    `right` is the digest of a majority of the voters, empty if none is. `wrong` are the members
    that hold another one. `disagree`: no digest has a majority, and yet two differ; then nobody
    can say who is wrong. `unknown` are the members that were not compared.
    """

    index: Index = 0
    by: Name = ""
    right: Digest = ""
    wrong: Members = ()
    unknown: Members = ()
    disagree: bool = False


def judge(index: int, by: str, members: Collection[Held]) -> Verdict:
    """The verdict over all members of the configuration."""
    votes = Counter(held.digest for held in members if held.voter and held.digest)
    quorum = sum(held.voter for held in members) // 2 + 1
    right = next((digest for digest, count in votes.items() if count >= quorum), "")
    differing = {held.digest for held in members if held.digest}
    return Verdict(
        index=index,
        by=by,
        right=right,
        wrong=tuple(held for held in members if right and held.digest not in {"", right}),
        unknown=tuple(held for held in members if not held.digest),
        disagree=not right and len(differing) > 1,
    )
