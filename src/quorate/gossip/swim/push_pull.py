"""Full exchanges of states over streams: joins, and one with a random member now and then.

They heal what gossip missed: after a partition, or for a member that was away
(docs/wire.md#push-pull, A6). What a peer sends counts only as a whole: with versions that do not
fit, or a member that is not admitted, nothing of it is taken over (but see `_catch_up`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from quorate.gossip import inbox
from quorate.gossip.effects import JoinDone, Refusal, StreamReply, StreamRequest
from quorate.gossip.events import (
    JoinRequested,
    StreamAnswered,
    StreamFailed,
    StreamReceived,
)
from quorate.gossip.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    LeaveIntent,
    Message,
    NodeState,
    Ping,
    PushPull,
    PushPullNode,
    RemoteError,
    SerfPushPull,
    SerfStatus,
    Suspect,
    User,
    Versions,
)
from quorate.gossip.serf import intents, user_events
from quorate.gossip.serf.clock import LamportClock
from quorate.gossip.swim import merge
from quorate.gossip.swim.table import NEW_INCARNATION_MAX

if TYPE_CHECKING:
    from quorate.gossip.serf.roster import Known
    from quorate.gossip.state import State

_SCALE_FROM: Final = 32
_FOLLOW_UP_S: Final = 0.5
"""Differs from memberlist: a member that has joined asks a second time. Two members that come back
at the same moment may miss each other's news: neither is listed when the other's is gossiped.
"""
SLICE: Final = 32
"""Members of an exchange that are taken in at once: each that is new takes some 0.1 ms."""

EVENTS_MAX: Final = 512
"""User events of an exchange that are looked at, the newest: as many as Serf remembers times."""

_PAUSE_S: Final = 0.001  # between slices
_TOO_MANY: Final = "more members than this one can hold"
_NO_VERSIONS: Final = Versions(0, 0, 0, 0, 0, 0)


def interval_s(base: float, members: int) -> float:
    """How often to exchange states in a pool of so many: rarer as it costs more."""
    if members <= _SCALE_FROM:
        return base
    return base * (math.ceil(math.log2(members) - math.log2(_SCALE_FROM)) + 1)


def start(node: State) -> None:
    """The first exchange comes at a random time."""
    node.later(node.settings.push_pull_interval_s * node.rng.random(), partial(_periodic, node))


def _periodic(node: State) -> None:
    node.later(
        interval_s(node.settings.push_pull_interval_s, len(node.table)), partial(_periodic, node)
    )
    _exchange_with_one(node)


def _exchange_with_one(node: State) -> None:
    for record in node.table.sample(1, node.is_alive_other):
        request(node, record.address, record.name, join=False, then=_ignore)


def _ignore(_reason: str) -> None:
    """Another exchange will come."""


def request(
    node: State, to: Address, name: str, *, join: bool, then: Callable[[str], None]
) -> None:
    """Exchange states with a member; `then` hears why it failed, or nothing if it did not."""
    handle = node.streams.opened(partial(_answered, node, to, join=join, then=then))
    message = own_state(node, join)
    node.emit(StreamRequest(handle, to, name, message, node.settings.stream_timeout_s))


def _answered(
    node: State,
    to: Address,
    message: Message | None,
    reason: str,
    *,
    join: bool,
    then: Callable[[str], None],
) -> None:
    match message:
        case PushPull():
            if join:
                _catch_up(node, message)
            _merge(node, message, join, to, then)
        case RemoteError():
            then(message.text)
        case None:
            then(reason or "no answer")
        case _:
            node.refuse(Refusal.UNEXPECTED, to, "answer to a push-pull")
            then("the answer is no push-pull")


def _catch_up(node: State, message: PushPull) -> None:
    """Outdo what the pool remembers of this name from before this process was started.

    It may be more than an incarnation may rise by what others say (`table.RISE_MAX`); then the pool
    would keep the old tags for as long as the member lives. This is allowed once, and for an
    answer to a join alone: packets of strangers cannot use it.
    """
    known = [theirs for theirs in message.nodes if theirs.name == node.name]
    if node.caught_up or not known or known[0].address != node.address:
        return
    node.caught_up = True
    if node.incarnation < known[0].incarnation <= NEW_INCARNATION_MAX:
        merge.refute(node, known[0].incarnation)


# -- joins ---------------------------------------------------------------------------------------


class _Join:
    """One request to join, through several members at once."""

    def __init__(self, node: State, event: JoinRequested) -> None:
        self._node = node
        self._event = event
        self._left = len(event.targets)
        self._joined: list[Address] = []
        self._failures: list[tuple[Address, str]] = []
        if event.ignore_old:
            node.joins_ignoring_old += 1
        for address, name in event.targets:
            request(node, address, name, join=True, then=partial(self._one_done, address))
        if not event.targets:
            self._done()

    def _one_done(self, address: Address, reason: str) -> None:
        self._left -= 1
        if reason:
            self._failures.append((address, reason))
        else:
            if not self._joined:
                intents.announce_join(self._node)
                self._node.later(_FOLLOW_UP_S, partial(_exchange_with_one, self._node))
            self._joined.append(address)
        if not self._left:
            self._done()

    def _done(self) -> None:
        if self._event.ignore_old:
            self._node.joins_ignoring_old -= 1
        joined, failures = tuple(self._joined), tuple(self._failures)
        self._node.emit(JoinDone(self._event.handle, joined, failures))


def on_join_requested(node: State, event: JoinRequested) -> None:
    """Join through other members."""
    _Join(node, event)


# -- streams -------------------------------------------------------------------------------------


def on_stream(node: State, event: StreamReceived) -> None:
    """A peer has opened a stream."""
    match event.message:
        case PushPull() as theirs:
            # The answer first, also to a merge that is refused (docs/wire.md#push-pull).
            mine = own_state(node, theirs.join, _names(theirs))
            node.emit(StreamReply(event.handle, mine))
            _merge(node, theirs, theirs.join, event.source, _ignore)
        case Ping() as ping:
            node.emit(StreamReply(event.handle, _stream_ack(node, ping, event.source)))
        case User() as user:
            node.emit(StreamReply(event.handle, None))
            inbox.on_user(node, user, event.source)
        case _:
            node.emit(StreamReply(event.handle, None))
            node.refuse(Refusal.UNEXPECTED, event.source, "first message of a stream")


def _stream_ack(node: State, ping: Ping, source: Address) -> Ack | None:
    if ping.node and ping.node != node.name:
        node.refuse(Refusal.WRONG_NODE, source, ping.node)
        return None
    return Ack(ping.sequence)


def on_stream_answered(node: State, event: StreamAnswered) -> None:
    """A stream that was asked for is over."""
    node.streams.over(event.handle, event.message, "")


def on_stream_failed(node: State, event: StreamFailed) -> None:
    """A stream that was asked for came to nothing."""
    node.streams.over(event.handle, None, event.reason or "failed")


# -- what is sent --------------------------------------------------------------------------------


def _names(message: PushPull) -> Iterable[str]:
    return [theirs.name for theirs in message.nodes]


def own_state(node: State, join: bool, asked: Iterable[str] = ()) -> PushPull:
    """All that this member knows; also of forgotten names, if the peer names them in `asked`.

    So a member that was forgotten and is back hears what it must outdo.
    """
    nodes = [
        PushPullNode(r.name, r.address, r.meta, r.incarnation, r.state, r.versions)
        for r in node.table.records.values()
    ]
    for name in asked:
        old = node.table.forgotten.get(name)
        if old is not None:
            address, incarnation, state = old
            nodes.append(PushPullNode(name, address, None, incarnation, state, node.versions))
    roster = node.roster
    serf = SerfPushPull(
        ltime=node.clock.time,
        status_ltimes={known.name: _told_time(known) for known in roster.members.values()},
        left_members=tuple(roster.left),
        event_ltime=node.event_clock.time,
        events=user_events.remembered(node),
        query_ltime=node.query_clock.time,
    )
    return PushPull(join, tuple(nodes), node.codec.encode_serf(serf))


def _told_time(known: Known) -> int:
    """The time at which a member said last that it is here; a push-pull has no word for leaving.

    Differs from Serf, which tells the time of the leave: a member that hears that takes it for the
    time of a join, has no ear for the leave itself when it comes, and sees the member fail.
    """
    return known.status_ltime - (known.status is SerfStatus.LEAVING)


# -- what comes in -------------------------------------------------------------------------------


def _merge(
    node: State, message: PushPull, join: bool, source: Address, then: Callable[[str], None]
) -> None:
    """Take over what a peer knows; `then` hears why not, or nothing when all of it is done."""
    objection = (
        _oversize(node, message, source)
        or _misfit(node, message, source)
        or _objection(node, message, join, source)
    )
    serf: Any = message.serf
    if not objection and message.user_state:
        serf = serf or node.read_serf(message.user_state, source)
        if not isinstance(serf, SerfPushPull):
            objection = "Serf's part of the exchange cannot be read"
        elif _names_told(serf) > 2 * node.settings.members_max:
            node.refuse(Refusal.TOO_LARGE, source, f"times of {_names_told(serf)} members")
            objection = _TOO_MANY
    if objection:
        then(objection)
        return
    _merge_slice(node, message.nodes, 0, partial(_merge_serf, node, serf, join, then))


def _oversize(node: State, message: PushPull, source: Address) -> str:
    """Why there are too many members in it; empty if there are not."""
    if len(message.nodes) > node.settings.members_max:
        node.refuse(Refusal.TOO_LARGE, source, f"{len(message.nodes)} members")
        return _TOO_MANY
    if len(set(_names(message))) < len(message.nodes):
        node.refuse(Refusal.UNEXPECTED, source, "a member twice in one exchange")
        return "a member is there twice"
    return ""


def _names_told(serf: SerfPushPull) -> int:
    return max(len(serf.status_ltimes), len(serf.left_members))


def _merge_slice(
    node: State, nodes: tuple[PushPullNode, ...], start: int, then: Callable[[], None]
) -> None:
    """Take in some of these members, the rest soon, and do `then` after the last one."""
    end = start + SLICE
    for theirs in nodes[start:end]:
        _merge_one(node, theirs)
    if end < len(nodes):
        node.later(_PAUSE_S, partial(_merge_slice, node, nodes, end, then))
    else:
        then()


def _misfit(node: State, message: PushPull, source: Address) -> str:
    misfit = _version_misfit(node, message.nodes)
    if misfit:
        node.refuse(Refusal.MERGE_VERSIONS, source, misfit)
    return misfit


def _version_misfit(node: State, theirs: Iterable[PushPullNode]) -> str:
    """The members whose current version not all live members speak; empty if none."""
    alive = [(n.name, n.versions or _NO_VERSIONS) for n in theirs if n.state == NodeState.ALIVE]
    own = [
        (r.name, r.versions or _NO_VERSIONS)
        for r in node.table.records.values()
        if r.state is NodeState.ALIVE
    ]
    different = {versions for _, versions in own} | {versions for _, versions in alive}
    if not different:
        return ""
    low = max(v.protocol_min for v in different)
    high = min(v.protocol_max for v in different)
    delegate_low = max(v.delegate_min for v in different)
    delegate_high = min(v.delegate_max for v in different)
    bad = {
        v
        for v in different
        if not low <= v.protocol_current <= high
        or not delegate_low <= v.delegate_current <= delegate_high
    }
    if not bad:
        return ""
    name, versions = next((n, v) for n, v in (*alive, *own) if v in bad)
    return (
        f"{name} speaks version {versions.protocol_current} of memberlist"
        f" and {versions.delegate_current} of Serf, the pool {low} to {high}"
        f" and {delegate_low} to {delegate_high}"
    )


def _objection(node: State, message: PushPull, join: bool, source: Address) -> str:
    """Why a pool is not one to join with; only joins are judged as a whole."""
    objection = _bad_member(node, message, source) if join else ""
    if objection:
        node.refuse(Refusal.NOT_ADMITTED, source, objection)
    return objection


def _bad_member(node: State, message: PushPull, source: Address) -> str:
    judged = 0
    for theirs in message.nodes:
        known = node.table.get(theirs.name)
        seen_before = known is not None and known.meta == theirs.meta
        if theirs.state != NodeState.ALIVE or seen_before:
            continue
        judged += 1
        if judged > SLICE:
            break  # the others are judged one by one, when they are taken in
        tags = node.read_tags(theirs.meta, source)
        if tags is None:
            return f"the tags of {theirs.name} cannot be read"
        objection = node.admit(theirs.name, theirs.address, tags)
        if objection:
            return objection
    return ""


def _merge_one(node: State, theirs: PushPullNode) -> None:
    # No source: the peer gets our whole state, it needs no answer to what is stale in its own.
    match theirs.state:
        case NodeState.ALIVE:
            alive = Alive(
                theirs.incarnation, theirs.name, theirs.address, theirs.meta, theirs.versions
            )
            merge.on_alive(node, alive, None)
        case NodeState.LEFT:
            merge.on_dead(node, Dead(theirs.incarnation, theirs.name, theirs.name), None)
        case NodeState.DEAD | NodeState.SUSPECT:
            # It may be back: only suspected, so that it gets the time to say so.
            merge.on_suspect(node, Suspect(theirs.incarnation, theirs.name, node.name), None)
        case _:
            node.refuse(Refusal.UNEXPECTED, None, f"state {theirs.state}")


def _witness(node: State, clock: LamportClock, ltime: int) -> None:
    if clock.accepts(ltime - 1, node.now):
        clock.witness(ltime - 1)


def _merge_serf(
    node: State, serf: SerfPushPull | None, join: bool, then: Callable[[str], None]
) -> None:
    if serf is not None:
        _take_serf(node, serf, join)
    then("")


def _take_serf(node: State, serf: SerfPushPull, join: bool) -> None:
    _witness(node, node.clock, serf.ltime)
    _witness(node, node.event_clock, serf.event_ltime)
    _witness(node, node.query_clock, serf.query_ltime)
    left = dict.fromkeys(serf.left_members)
    for name in left:
        known = node.roster.get(name)
        if known is None or known.status is not SerfStatus.LEFT:
            # The time of its leave is not told: it must be after what is.
            ltime = serf.status_ltimes.get(name, 0) + 1
            if node.clock.accepts(ltime, node.now):
                intents.accept_leave(node, LeaveIntent(ltime, name))
    for name, ltime in serf.status_ltimes.items():
        if name not in left and node.clock.accepts(ltime, node.now):
            intents.accept_join(node, name, ltime)
    if join and node.joins_ignoring_old:
        node.user_events.ignore_before(serf.event_ltime)
        node.query_ring.ignore_before(serf.query_ltime)
    events = [
        (slot.ltime, name, payload)
        for slot in serf.events
        if slot is not None
        for name, payload in slot.events
    ]
    for ltime, name, payload in events[-EVENTS_MAX:]:
        user_events.accept(node, ltime, name, payload)
