"""Entries that a leader owes the journal: elections, levels and members that are not in it yet.

By comparison with what was told last, which is in the replicated state. So nothing is told twice,
and a change whose leader could not tell of it (it took itself out, or lost the lead) is told by the
next one. Members are compared in committed configurations only: others may never come true.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from quorate.autopilot.actions import Tell
from quorate.autopilot.facts import Facts
from quorate.state.tables.journal import (
    ELECTION,
    JOURNAL_LEVEL,
    LEVEL,
    MEMBERSHIP,
    Members,
    Note,
    Told,
)

NOTES_MAX: Final = 64
"""Of one entry. Only a change of the whole cluster at once has more; the last one counts them."""


def tell(facts: Facts) -> tuple[Tell, ...]:
    """The action that tells what is to be told now, or none."""
    if facts.level < JOURNAL_LEVEL or not facts.committed.servers:
        return ()
    before = facts.told
    elected = facts.elected
    told = Told(
        level=max(before.level, facts.level),
        term=before.term if elected is None else max(before.term, elected.term),
        leader=before.leader if elected is None else facts.me.id,
        configuration_index=facts.committed_index,
        members=_members(facts),
    )
    notes = (*_level(facts), *_election(facts), *_membership(facts, told.members))
    if not notes:
        return ()
    if len(notes) > NOTES_MAX:
        more = f"{len(notes) - NOTES_MAX + 1} more changes"
        notes = (*notes[: NOTES_MAX - 1], Note(kind=MEMBERSHIP, what=more))
    return (Tell(notes=notes, told=told, since=before.place),)


def _level(facts: Facts) -> Iterator[Note]:
    before = facts.told.level
    if facts.level > before:
        was = (("from", str(before)),) if before else ()
        yield Note(kind=LEVEL, what="raised", details=(*was, ("to", str(facts.level))))


def _election(facts: Facts) -> Iterator[Note]:
    elected = facts.elected
    if elected is None or elected.term <= facts.told.term:
        return
    former = elected.former or facts.told.leader
    yield Note(
        kind=ELECTION,
        what="elected",
        subject=facts.me.id,
        cause=elected.cause.value,
        details=(
            ("term", str(elected.term)),
            *((("former leader", former),) if former else ()),
        ),
    )


def _members(facts: Facts) -> Members:
    servers = sorted(facts.committed.servers, key=lambda server: server.id)
    return tuple((server.id, server.address, server.is_voter) for server in servers)


def _membership(facts: Facts, members: Members) -> Iterator[Note]:
    now = {server_id: (address, votes) for server_id, address, votes in members}
    before = {server_id: (address, votes) for server_id, address, votes in facts.told.members}
    for server_id in sorted(now.keys() | before.keys()):
        what, cause = _change(facts, before.get(server_id), now.get(server_id), server_id)
        if what:
            address, votes = now.get(server_id) or before[server_id]
            details = (("address", address), ("votes", str(votes).lower()))
            yield Note(kind=MEMBERSHIP, what=what, subject=server_id, cause=cause, details=details)


def _change(
    facts: Facts, was: tuple[str, bool] | None, now: tuple[str, bool] | None, server_id: str
) -> tuple[str, str]:
    """In words, and why as far as the state tells; two empty texts if nothing changed."""
    if was == now:
        return "", ""
    if was is None:
        return "added", "" if facts.told.members else "the journal begins"
    if now is None:
        removed = facts.removed_at(server_id)
        return "removed", "removed by an operator" if removed else ""
    if was[1] != now[1]:
        return ("promoted" if now[1] else "demoted"), ""
    return "moved", f"it was at {was[0]}"
