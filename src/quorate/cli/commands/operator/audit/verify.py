"""`quorate operator audit verify`: the chains of servers and files, recomputed and compared."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any, Final

import msgspec

from quorate.audit.chain import LaneHead, head_of
from quorate.audit.check import (
    Chained,
    LaneView,
    Problem,
    check_file,
    check_head,
    check_lane,
    compare,
)
from quorate.cli.commands.operator.audit.sources import chained, of_file, view_of
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_noted
from quorate.client import AuditLog

BROKEN: Final = 2
_HEAD: Final = re.compile("[0-9a-f]{64}")
HEADING: Final = ("Source", "Records", "Head", "Note")
_SHOWN: Final = 20
_FROM_A_COPY: Final = (
    "keep all servers' folders and files as they are, and compare them with backups: "
    "quorate operator backup list has older heads"
)


class Source(msgspec.Struct):
    """One server or file, and what was found of it."""

    name: str
    hashes: dict[tuple[str, int], bytes]
    head: str = ""
    problems: list[str] = []
    notes: list[str] = []


def run(context: Context) -> int:
    """Exit code 0 if all that was given is whole and agrees, 2 if not, 1 if it cannot be told."""
    flags = context.flags
    context.check_template()
    wanted = flags.text("head").strip().lower()
    if wanted and not _HEAD.fullmatch(wanted):
        raise Failure(
            "-head takes a head of 64 hexadecimal digits, and this is none",
            "see the heads there are: quorate operator audit list, operator backup list",
        )
    sources, heads = _servers(context, wanted)
    sources += [_of_file(path) for path in flags.args]
    _compare(sources)
    if wanted and not any(heads):
        sources[0].problems.append(f"{wanted} is none of its heads since its oldest record")
    problems = [f"{each.name}: {problem}" for each in sources for problem in each.problems]
    answer: dict[str, Any] = {
        "Whole": not problems,
        "Sources": [
            {
                "Name": each.name,
                "Records": len(each.hashes),
                "Head": each.head,
                "Problems": each.problems,
                "Notes": each.notes,
            }
            for each in sources
        ],
    }
    context.show(answer, lambda: _show(context, sources, wanted))
    if problems:
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more")
        raise Failure("the audit log was changed: " + "; ".join(shown), _FROM_A_COPY, BROKEN)
    return 0


def _show(context: Context, sources: list[Source], wanted: str) -> None:
    rows = [
        (each.name, str(len(each.hashes)), each.head or "-", "; ".join(each.notes) or "-")
        for each in sources
    ]
    context.out.table(format_noted([HEADING, *rows], context.out.width, key=0, none="-"))
    if not any(each.problems for each in sources):
        found = f", and has had the head {wanted}" if wanted else ""
        context.out.line(f"\nEvery record is as it was written{found}")


def _servers(context: Context, wanted: str) -> tuple[list[Source], list[bool]]:
    """What servers say, and whether each has had the head that is wanted."""
    sources, heads = [], []
    for address in ("", *context.flags.many("server")):
        with context.client(address) as client, doing("Error reading the audit log: "):
            found = client.audit()
        source, had = _of_server(address or found.server_id, found, wanted)
        sources.append(source)
        heads.append(had)
    return sources, heads


def _of_server(name: str, log: AuditLog, wanted: str) -> tuple[Source, bool]:
    source = Source(name, {}, log.head, [], [])
    try:
        records = [chained(each) for each in reversed(log.records)]
        views = [view_of(each) for each in log.lanes]
        said = bytes.fromhex(log.head)
    except ValueError as error:
        source.problems.append(f"its answer holds what is none of a chain: {error}")
        return source, False
    by_lane: dict[str, list[Chained]] = {view.lane: [] for view in views}
    for record in records:
        if record.link.lane not in by_lane:
            text = f"it has a record of lane {record.link.lane[:40]!r}, and names no such lane"
            source.problems.append(text)
            return source, False
        by_lane[record.link.lane].append(record)
    found: list[Problem | None] = []
    for view in views:
        lane = sorted(by_lane[view.lane], key=lambda each: each.link.number)
        by_lane[view.lane] = lane
        found.append(check_lane("", view, lane))
    found.append(check_head("", views, said))
    source.problems += [_words(each) for each in found if each is not None]
    source.problems += [f"its local file: {each}" for each in log.damaged]
    source.hashes = {(each.link.lane, each.link.number): each.hash for each in records if each.hash}
    unchained = len(records) - len(source.hashes)
    if unchained:
        source.notes.append(f"{unchained} records from before the chain")
    if log.waiting:
        source.notes.append(f"{log.waiting} records wait for a leader")
    return source, bool(wanted) and _had(views, by_lane, wanted)


def _had(views: list[LaneView], by_lane: dict[str, list[Chained]], wanted: str) -> bool:
    """Whether the journal had this head at some time since its oldest record."""
    ends = {view.lane: LaneHead(lane=view.lane, next=view.first, head=view.base) for view in views}
    records = sorted(
        (each for lane in by_lane.values() for each in lane),
        key=lambda each: (each.link.index, each.link.lane, each.link.number),
    )
    for count in range(len(views) + 1):
        # Lanes come one by one: a head of before a lane came does not count it.
        if head_of(list(ends.values())[:count]).hex() == wanted:
            return True
    for record in records:
        last = ends[record.link.lane]
        head = record.hash or last.head
        ends[record.link.lane] = LaneHead(lane=last.lane, next=record.link.number + 1, head=head)
        if head_of(ends.values()).hex() == wanted:
            return True
    return False


def _of_file(path: str) -> Source:
    records, unread = of_file(path)
    problems, gaps = check_file("", records)
    hashes = {(each.link.lane, each.link.number): each.hash for each in records}
    notes = [f"{gaps} gaps"] if gaps else []
    return Source(path, hashes, "", [*unread, *map(_words, problems)], notes)


def _compare(sources: list[Source]) -> None:
    """Each source with each other one, where both have the same record."""
    for one, other in combinations(sources, 2):
        found = compare(one.name, one.hashes, other.name, other.hashes)
        one.problems += [_words(each) for each in found]


def _words(problem: Problem) -> str:
    at = f" (index {problem.index})" if problem.index else ""
    return f"record {problem.lane}/{problem.number}{at}: {problem.what}"
