"""Serf's view of joins and departures: what memberlist reports, and what members announce.

The rules are those of docs/wire.md#lamport-clocks and #states-of-a-member. An intent counts if its
Lamport time is newer than the newest one about that member, and only then is passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.gossip.effects import Change, MemberChanged
from quorate.gossip.messages import JoinIntent, LeaveIntent, SerfStatus
from quorate.gossip.serf.phase import Phase
from quorate.gossip.serf.roster import Intent, Known
from quorate.gossip.swim.table import Record

if TYPE_CHECKING:
    from quorate.gossip.state import State


# -- what memberlist reports ---------------------------------------------------------------------


def member_joined(node: State, record: Record, tags: dict[str, str]) -> None:
    """It is alive and was not before."""
    roster = node.roster
    known = roster.get(record.name)
    if known is None:
        if len(roster.members) >= node.settings.members_max:
            _make_room(node)
        known = Known(record.name)
        roster.members[record.name] = known
        status = _buffered(node, known)
    else:
        status = SerfStatus.ALIVE
    roster.set_status(known, status, node.now)
    known.prune = known.prune and status is SerfStatus.LEAVING
    describe(known, record, tags)
    node.emit(MemberChanged(Change.JOINED, known.seen()))
    if status is SerfStatus.LEAVING:
        ask_whether_it_leaves(node, known)


def _make_room(node: State) -> None:
    """Reap the member that is gone longest, before its time: live members need the room."""
    roster = node.roster
    if drop_unconfirmed(node):
        return
    gone = [next(iter(names.values()), None) for names in (roster.left, roster.failed)]
    longest = min((k for k in gone if k), key=lambda known: known.gone_at, default=None)
    if longest is not None:
        erase(node, longest)


def drop_unconfirmed(node: State) -> bool:
    """Forget a member that is gone and never answered here; False if there is none."""
    for names in (node.roster.failed, node.roster.left):
        for known in names.values():
            if not known.confirmed and known.name != node.name:
                erase(node, known)
                return True
    return False


def ask_whether_it_leaves(node: State, known: Known) -> None:
    """Tell a member that lives that it is said to leave: it objects if that is not so.

    Differs from Serf, for which such a member may be leaving for ever: gossip that only one
    member takes for news may never reach the one that it is about.
    """
    if known.name != node.name:
        node.send_serf(known.address, LeaveIntent(known.status_ltime, known.name, known.prune))


def _buffered(node: State, known: Known) -> SerfStatus:
    """What was announced about it before it was known."""
    intent = node.roster.intents.pop(known.name, None)
    if intent is None or node.now - intent.at > node.settings.recent_intent_s:
        return SerfStatus.ALIVE
    known.status_ltime = intent.ltime
    known.prune = intent.prune
    return SerfStatus.LEAVING if intent.leaves else SerfStatus.ALIVE


def describe(known: Known, record: Record, tags: dict[str, str]) -> None:
    """Take over what memberlist knows."""
    known.address = record.address
    known.tags = tags
    known.versions = record.versions
    known.incarnation = record.incarnation


def member_updated(node: State, record: Record, tags: dict[str, str]) -> None:
    """It lives on with other tags, or another address."""
    known = node.roster.get(record.name)
    if known is not None:
        describe(known, record, tags)
        node.emit(MemberChanged(Change.UPDATED, known.seen()))


def member_gone(node: State, record: Record) -> None:
    """Memberlist holds it for dead: it has left if it said so before, else it has failed."""
    known = node.roster.get(record.name)
    if known is None:
        return
    known.incarnation = record.incarnation
    if known.status is SerfStatus.LEAVING:
        _has_left(node, known)
    elif known.status is SerfStatus.ALIVE:
        node.roster.set_status(known, SerfStatus.FAILED, node.now)
        node.emit(MemberChanged(Change.FAILED, known.seen()))


def _has_left(node: State, known: Known) -> None:
    node.roster.set_status(known, SerfStatus.LEFT, node.now)
    node.emit(MemberChanged(Change.LEFT, known.seen()))
    if known.prune:
        erase(node, known)


def erase(node: State, known: Known) -> None:
    """Forget a member; old news about it will be refused."""
    node.roster.erase(known)
    record = node.table.get(known.name)
    if record is not None and record.is_gone():
        node.table.forget(record)
    node.vivaldi.forget(known.name)
    node.emit(MemberChanged(Change.REAPED, known.seen()))


# -- what members announce -----------------------------------------------------------------------


def on_join(node: State, intent: JoinIntent) -> None:
    """A member has joined; passed on if it is news."""
    if accept_join(node, intent.node, intent.ltime):
        node.spread_serf(node.intent_news, intent, intent.node)


def accept_join(node: State, name: str, ltime: int, *, own: bool = False) -> bool:
    """Take a join intent in; True if it was news."""
    node.clock.witness(ltime)
    known = node.roster.get(name)
    if known is None:
        intent = Intent(leaves=False, ltime=ltime, prune=False, at=node.now)
        return node.roster.buffer(name, intent)
    if ltime <= known.status_ltime:
        return False
    known.status_ltime = ltime
    if name == node.name and node.phase is Phase.HERE and not own:
        # Said by a former life of this member, or meant as a leave: push-pulls do not tell which.
        announce_join(node)
        return False
    if known.status is SerfStatus.LEAVING and not _is_leaving_self(node, name):
        node.roster.set_status(known, SerfStatus.ALIVE, node.now)
        known.prune = False
        node.emit(MemberChanged(Change.UPDATED, known.seen()))
    return True


def on_leave(node: State, intent: LeaveIntent) -> None:
    """A member leaves, or is made to; passed on if it is news."""
    if accept_leave(node, intent):
        node.spread_serf(node.intent_news, intent, intent.node)


def accept_leave(node: State, intent: LeaveIntent) -> bool:
    """Take a leave intent in; True if it was news to pass on."""
    node.clock.witness(intent.ltime)
    known = node.roster.get(intent.node)
    if known is None:
        kept = Intent(leaves=True, ltime=intent.ltime, prune=intent.prune, at=node.now)
        return node.roster.buffer(intent.node, kept)
    if intent.node == node.name and node.phase is Phase.HERE:
        # At the same time as our own word as well: for others the first of the two counts.
        if intent.ltime >= known.status_ltime:
            announce_join(node)
        return False
    if intent.ltime <= known.status_ltime:
        return False
    known.status_ltime = intent.ltime
    known.prune = known.prune or intent.prune
    if known.status is SerfStatus.ALIVE:
        # With prune it is forgotten when it has gone; as long as it lives, it may object.
        node.roster.set_status(known, SerfStatus.LEAVING, node.now)
        node.emit(MemberChanged(Change.LEAVING, known.seen()))
        ask_whether_it_leaves(node, known)
    elif known.status is SerfStatus.FAILED:
        _has_left(node, known)
    elif known.status is SerfStatus.LEFT and known.prune:
        erase(node, known)
    return True


def announce_join(node: State) -> None:
    """Say that this member is here, with a newer time than anything said about it."""
    ltime = node.clock.time
    node.clock.increment()
    intent = JoinIntent(ltime, node.name)
    accept_join(node, node.name, ltime, own=True)
    node.spread_serf(node.intent_news, intent, node.name)


def _is_leaving_self(node: State, name: str) -> bool:
    return name == node.name and node.phase is not Phase.HERE


def force_leave(node: State, name: str, prune: bool) -> None:
    """Announce for another member that it has left."""
    if name == node.name:
        raise ValueError("a member cannot be forced to leave by itself: use leave")
    ltime = node.clock.time
    node.clock.increment()
    on_leave(node, LeaveIntent(ltime, name, prune))
