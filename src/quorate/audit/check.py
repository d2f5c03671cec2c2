"""Checks of chains: what a server answers, against itself, other servers and files.

All functions give problems in words, in the order of the records; the first of a lane names the
first record that is broken. What is behind a broken record is not looked at: its hashes follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from quorate.audit.chain import HASH_BYTES, LaneHead, Link, head_of, link_hash

LINKS_MAX: Final = 100_000
"""Records of one source, as a bound for what a file or a server may give."""


class LaneView(msgspec.Struct, frozen=True, kw_only=True):
    """One lane as a source says it is; see `quorate.state.tables.journal.Lane`."""

    lane: str
    first: int = 0
    next: int = 0
    since: int | None = None
    base: bytes = b""
    head: bytes = b""


class Chained(msgspec.Struct, frozen=True, kw_only=True):
    """A record, its hash, and the hash of the record before it where the source says it."""

    link: Link
    hash: bytes
    before: bytes | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, and where: source, lane, number; `index` is that of its log entry."""

    source: str
    lane: str
    number: int
    what: str
    index: int = 0

    def __str__(self) -> str:
        """One line."""
        at = f" (index {self.index})" if self.index else ""
        return f"{self.source}: record {self.lane}/{self.number}{at}: {self.what}"


def check_lane(source: str, view: LaneView, records: Sequence[Chained]) -> Problem | None:
    """The first broken record of a lane that a server holds, or None."""
    expected, before = view.first, view.base
    for record in records:
        link = record.link
        problem = _at_its_place(view, record, expected, before)
        if problem:
            return Problem(
                source=source, lane=view.lane, number=expected, index=link.index, what=problem
            )
        if view.since is not None and link.number >= view.since:
            before = record.hash
        expected += 1
    if expected != view.next:
        what = f"it is missing; the lane goes on to {view.next - 1}"
        return Problem(source=source, lane=view.lane, number=expected, what=what)
    if before != view.head:
        what = "its hash is not the head of the lane"
        return Problem(source=source, lane=view.lane, number=expected - 1, what=what)
    return None


def _at_its_place(view: LaneView, record: Chained, number: int, before: bytes) -> str:
    link = record.link
    if link.lane != view.lane or link.number != number:
        return f"in its place stands {link.lane}/{link.number}"
    if view.since is None or number < view.since:
        return "it has a hash, and the chain begins later" if record.hash else ""
    if len(record.hash) != HASH_BYTES:
        return "it has no hash"
    if link_hash(before, link) != record.hash:
        return "it, or the hash before it, was changed"
    return ""


def check_head(source: str, views: Iterable[LaneView], said: bytes) -> Problem | None:
    """Whether the head that a source says is that of its lanes."""
    ends = [LaneHead(lane=each.lane, next=each.next, head=each.head) for each in views]
    found = head_of(ends) if any(each.head for each in ends) else b""
    if found == said:
        return None
    return Problem(source=source, lane="all", number=0, what="the head is not that of the lanes")


def check_file(source: str, records: Iterable[Chained]) -> tuple[list[Problem], int]:
    """The broken records of a file sink, the first of each lane, and how many gaps there are.

    Each line has the hash before its record, so each proves itself. A gap is no fault: a server
    that was down does not write what retention has taken meanwhile.
    """
    problems: dict[str, Problem] = {}
    newest: dict[str, Chained] = {}
    gaps = 0
    for record in records:
        link = record.link
        last = newest.get(link.lane)
        if link.lane in problems:
            continue
        what = ""
        if link_hash(record.before or b"", link) != record.hash:
            what = "it, or its hash, was changed"
        elif last is not None and link.number <= last.link.number:
            what = "" if record == last else f"it stands behind {link.lane}/{last.link.number}"
        elif last is not None and link.number > last.link.number + 1:
            gaps += 1
        elif last is not None and record.before != last.hash:
            what = "it does not follow the record before it"
        if what:
            problems[link.lane] = Problem(
                source=source, lane=link.lane, number=link.number, index=link.index, what=what
            )
        newest[link.lane] = record
    return list(problems.values()), gaps


def compare(
    one: str,
    records: Mapping[tuple[str, int], bytes],
    other: str,
    others: Mapping[tuple[str, int], bytes],
) -> list[Problem]:
    """The first record of each lane that two sources know with different hashes."""
    found: dict[str, Problem] = {}
    for place in sorted(records.keys() & others.keys()):
        lane, number = place
        if records[place] != others[place] and lane not in found:
            what = f"it differs from that of {other}"
            found[lane] = Problem(source=one, lane=lane, number=number, what=what)
    return list(found.values())
