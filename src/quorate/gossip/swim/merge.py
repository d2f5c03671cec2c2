"""SWIM's rules about who is alive, suspect or dead (docs/wire.md#merging).

What a member says of itself with a higher incarnation beats everything else; between equal
incarnations dead beats suspect beats alive. Only the member itself raises its incarnation.

Differs from memberlist in what a name with another address needs: never a lower incarnation. Its
new holder hears of the old incarnation at once (`_tell_claimant`), and answers with a higher one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from quorate.gossip.effects import Refusal
from quorate.gossip.messages import Address, Alive, Dead, NodeState, Suspect
from quorate.gossip.serf import conflicts, intents
from quorate.gossip.serf.phase import Phase
from quorate.gossip.swim.suspicion import Suspicion
from quorate.gossip.swim.table import Record

if TYPE_CHECKING:
    from quorate.gossip.state import State

INCARNATION_MAX: Final = 0xFFFF_0000
"""Above it a member could no longer refute in 32 bits; nobody honest comes near it."""
CLAIM_KEPT_S: Final = 120.0


# -- alive ---------------------------------------------------------------------------------------


def on_alive(node: State, alive: Alive, source: Address | None) -> None:
    """A member lives: it is new, or back, or has news of itself; else nothing happens."""
    if not _is_plausible(node, alive, source):
        return
    record = node.table.get(alive.node)
    if alive.node == node.name:
        _about_self(node, alive, source)
    elif record is None:
        _new_name(node, alive, source)
    elif record.address != alive.address and not _may_move(node, record):
        _note_claim(node, record, alive.address, source)
    elif alive.incarnation > record.incarnation:
        if _may_rise(node, record, alive.incarnation, source):
            _accept(node, record, alive, source)
    elif record.is_gone() and record.address != alive.address:
        _tell_claimant(node, record, alive.address)


def _note_claim(node: State, record: Record, address: Address, source: Address | None) -> None:
    """Two addresses for one name: it stays where it lives, and is looked at soon."""
    if record.claim is None or record.claim[0] != address:
        node.refuse(Refusal.NAME_CONFLICT, source, record.name)
        conflicts.found(node, record, address)
        node.prober.look_at(record)
        _when_free(node, record)
    record.claim = (address, node.now)


def _when_free(node: State, record: Record) -> None:
    """Accept a claim of the name as soon as it may move."""
    reclaim = node.settings.dead_node_reclaim_s
    if record.state is NodeState.DEAD and reclaim is not None:
        free_at = max(node.now, record.changed_at + reclaim)
        node.timers.at(free_at, partial(_accept_claim, node, record))


def _is_plausible(node: State, alive: Alive, source: Address | None) -> bool:
    v = alive.versions
    if v is not None and (not v.protocol_min or v.protocol_min > v.protocol_max):
        node.refuse(Refusal.BAD_VERSIONS, source, alive.node)
        return False
    if not alive.node or not 0 <= alive.incarnation <= INCARNATION_MAX:
        node.refuse(Refusal.UNEXPECTED, source, f"alive {alive.node} {alive.incarnation}")
        return False
    return True


def _may_rise(node: State, record: Record, incarnation: int, source: Address | None) -> bool:
    if record.may_rise(incarnation, node.now):
        return True
    detail = f"incarnation {incarnation} of {record.name}, which was {record.incarnation}"
    node.refuse(Refusal.UNEXPECTED, source, detail)
    return False


def _about_self(node: State, alive: Alive, source: Address | None) -> None:
    record = node.table.records[node.name]
    if node.phase is not Phase.HERE:
        return
    if alive.address != node.address:
        conflicts.found_own(node, alive.address)
    elif (
        alive.incarnation > node.incarnation
        or (
            alive.incarnation == node.incarnation
            and (alive.meta != node.meta or alive.versions not in {None, node.versions})
        )
    ) and _may_rise(node, record, alive.incarnation, source):
        refute(node, alive.incarnation)


def _new_name(node: State, alive: Alive, source: Address | None) -> None:
    old = node.table.forgotten.get(alive.node)
    if old is not None and alive.incarnation <= old[1]:
        # A member that still believes this is told that it is over; and the member itself, if it is
        # back, answers with a higher incarnation.
        node.refuse(Refusal.FORGOTTEN, source, alive.node)
        node.spread(_obituary(node, alive.node, old[1], old[2]), alive.node)
        return
    full = len(node.table) >= node.settings.members_max
    if full and not intents.drop_unconfirmed(node):
        node.refuse(Refusal.TABLE_FULL, source, alive.node)
        return
    if not node.new_names.take(node.now):
        node.refuse(Refusal.TOO_MANY, source, "too many new members at a time")
        return
    record = Record(alive.node, alive.address, node.now)
    if _may_rise(node, record, alive.incarnation, source) and _accept(node, record, alive, source):
        node.table.add(record)
        node.table.forgotten.take_back(alive.node)


def _may_move(node: State, record: Record) -> bool:
    """Whether the name may be taken over from another address."""
    if record.state is NodeState.LEFT:
        return True
    reclaim = node.settings.dead_node_reclaim_s
    dead_for = node.now - record.changed_at
    return record.state is NodeState.DEAD and reclaim is not None and dead_for >= reclaim


def _accept(node: State, record: Record, alive: Alive, source: Address | None) -> bool:
    tags = _admitted_tags(node, record, alive, source)
    if tags is None:
        return False
    was_gone = record.is_gone()
    changed = record.meta != alive.meta or record.address != alive.address
    record.incarnation = alive.incarnation
    record.meta = alive.meta
    record.address = alive.address
    record.claim = None
    if alive.versions is not None:
        changed = changed or record.versions != alive.versions
        record.versions = alive.versions
    if record.state is not NodeState.ALIVE:
        record.set_state(NodeState.ALIVE, node.now)
    node.spread(alive, alive.node)
    if was_gone or node.roster.get(record.name) is None:
        intents.member_joined(node, record, tags)
    elif changed:
        intents.member_updated(node, record, tags)
    return True


def _admitted_tags(
    node: State, record: Record, alive: Alive, source: Address | None
) -> dict[str, str] | None:
    """The member's tags if it is wanted here; asked only when there is something new to judge."""
    known = node.roster.get(record.name)
    same = record.meta == alive.meta and record.address == alive.address
    if known is not None and same and record.incarnation:
        return known.tags
    tags = node.read_tags(alive.meta, source)
    if tags is None:
        return None
    objection = node.admit(alive.node, alive.address, tags)
    if objection:
        node.refuse(Refusal.NOT_ADMITTED, source, objection)
        return None
    return tags


def refute(node: State, accused: int) -> None:
    """The pool is wrong about this member: refute it with a higher incarnation."""
    node.incarnation = min(max(node.incarnation, accused) + 1, 0xFFFF_FFFF)
    node.awareness.add(1)
    announce_self(node)


def announce_self(node: State) -> None:
    """Spread what this member is now."""
    record = node.table.records[node.name]
    record.incarnation = node.incarnation
    record.meta = node.meta
    node.spread(own_alive(node), node.name)


def own_alive(node: State) -> Alive:
    """The alive message of this member about itself."""
    return Alive(node.incarnation, node.name, node.address, node.meta, node.versions)


def _set_right(node: State, record: Record, source: Address | None) -> None:
    """The sender missed that a member lives with a newer incarnation: tell it.

    Differs from memberlist, where nobody answers to a stale suspicion: the member itself and all
    others know better and are silent, and a member that missed the refutation declares it dead. As
    long as the refutation is still being spread there is nothing to do.
    """
    if source is None or record.state is not NodeState.ALIVE or node.news.has(record.name):
        return
    alive = Alive(record.incarnation, record.name, record.address, record.meta, record.versions)
    node.send(source, alive)


def _may_be_accused(node: State, record: Record, incarnation: int, source: Address | None) -> bool:
    """An accusation raises the incarnation that has to be outdone; the last one cannot be."""
    if incarnation > record.incarnation and incarnation >= INCARNATION_MAX:
        node.refuse(Refusal.UNEXPECTED, source, f"{record.name} accused at {incarnation}")
        return False
    return _may_rise(node, record, incarnation, source)


# -- suspect -------------------------------------------------------------------------------------


def on_suspect(node: State, suspect: Suspect, source: Address | None) -> None:
    """A member does not answer another one."""
    record = node.table.get(suspect.node)
    if record is None:
        return
    if suspect.incarnation < record.incarnation:
        _set_right(node, record, source)
        return
    if not _may_be_accused(node, record, suspect.incarnation, source):
        return
    if record.suspicion is not None:
        if suspect.incarnation > record.incarnation:
            # It has refuted what we suspect it for, and is suspected again: a new matter.
            _begin(node, record, suspect)
        else:
            _confirm(node, record, suspect)
    elif record.state is not NodeState.ALIVE:
        return
    elif suspect.node == node.name:
        refute(node, suspect.incarnation)
    else:
        _begin(node, record, suspect)


def _begin(node: State, record: Record, suspect: Suspect) -> None:
    record.incarnation = suspect.incarnation
    record.set_state(NodeState.SUSPECT, node.now)
    record.suspicion = Suspicion(node.settings, len(node.table), suspect.sender, node.now)
    _set_timer(node, record, record.suspicion)
    node.spread(suspect, suspect.node)
    node.prober.look_at(record)


def _confirm(node: State, record: Record, suspect: Suspect) -> None:
    suspicion = record.suspicion
    assert suspicion is not None, "the caller has looked"
    if suspicion.confirm(suspect.sender):
        _set_timer(node, record, suspicion)
        node.spread(suspect, suspect.node)


def _set_timer(node: State, record: Record, suspicion: Suspicion) -> None:
    if suspicion.timer is not None:
        suspicion.timer.cancel()
    due = max(suspicion.end(), node.now)
    suspicion.timer = node.timers.at(due, partial(_time_over, node, record, suspicion))


def _time_over(node: State, record: Record, suspicion: Suspicion) -> None:
    if record.suspicion is suspicion:
        on_dead(node, Dead(record.incarnation, record.name, node.name), None)


# -- dead ----------------------------------------------------------------------------------------


def on_dead(node: State, dead: Dead, source: Address | None) -> None:
    """A member is dead, or says of itself that it has left."""
    record = node.table.get(dead.node)
    if record is None or record.is_gone():
        return
    if dead.incarnation < record.incarnation:
        _set_right(node, record, source)
        return
    if not _may_be_accused(node, record, dead.incarnation, source):
        return
    if dead.node == node.name and node.phase is not Phase.DEPARTING:
        if node.phase is not Phase.LEFT:
            refute(node, dead.incarnation)
        return
    bury(node, record, dead)
    node.spread(dead, dead.node)


def bury(node: State, record: Record, dead: Dead) -> None:
    """Note that it is dead or has left."""
    record.incarnation = dead.incarnation
    left = dead.node == dead.sender
    record.set_state(NodeState.LEFT if left else NodeState.DEAD, node.now)
    intents.member_gone(node, record)
    if _may_move(node, record):
        _accept_claim(node, record)
    elif record.claim is not None:
        _when_free(node, record)


def _accept_claim(node: State, record: Record) -> None:
    """The name is free: a member that claimed it earlier may have it now."""
    if record.claim is not None and record.is_gone():
        address, at = record.claim
        record.claim = None
        if node.now - at <= CLAIM_KEPT_S:
            _tell_claimant(node, record, address)


def _tell_claimant(node: State, record: Record, address: Address) -> None:
    """Tell the owner of the name which incarnation it must exceed."""
    message = _obituary(node, record.name, record.incarnation, record.state)
    node.send(address, message)


def _obituary(node: State, name: str, incarnation: int, state: NodeState) -> Dead:
    return Dead(incarnation, name, name if state is NodeState.LEFT else node.name)
