"""A graceful leave: first the intent, then "dead" by itself, then a moment for both to go round.

The order matters: a member that dies without its intent to leave has failed
(docs/wire.md#states-of-a-member).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.gossip.effects import LeaveDone
from quorate.gossip.events import LeaveRequested
from quorate.gossip.messages import Dead, LeaveIntent
from quorate.gossip.serf import intents
from quorate.gossip.serf.phase import Phase
from quorate.gossip.swim import merge
from quorate.gossip.timers import Timer

if TYPE_CHECKING:
    from quorate.gossip.state import State


def on_leave_requested(node: State, event: LeaveRequested) -> None:
    """Begin to leave, or join the leave that is under way."""
    if node.leave is None:
        node.leave = Leave(node)
    node.leave.wait(event.handle)


class Leave:
    """The one leave of this member."""

    def __init__(self, node: State) -> None:
        self._node = node
        self._handles: list[Any] = []
        self._in_time = True
        self._timer: Timer | None = None
        node.phase = Phase.ANNOUNCED
        ltime = node.clock.time
        node.clock.increment()
        intent = LeaveIntent(ltime, node.name)
        intents.accept_leave(node, intent)
        self._alone = not node.knows_alive_others()
        if self._alone:
            self._announced()
            return
        node.spread_serf(node.intent_news, intent, node.name, self._announced)
        self._timer = node.later(node.settings.broadcast_timeout_s, self._announce_late)

    def wait(self, handle: Any) -> None:
        """Tell this one as well when it is done."""
        if self._node.phase is Phase.LEFT:
            self._node.emit(LeaveDone(handle, self._in_time))
        else:
            self._handles.append(handle)

    def _announce_late(self) -> None:
        self._in_time = False
        self._announced()

    def _announced(self) -> None:
        node = self._node
        if node.phase is not Phase.ANNOUNCED:
            return
        node.phase = Phase.DEPARTING
        self._cancel()
        dead = Dead(node.incarnation, node.name, node.name)
        merge.bury(node, node.table.records[node.name], dead)
        if self._alone:
            self._timer = node.later(0.0, self._done)
            return
        node.spread(dead, node.name, self._departed)
        self._timer = node.later(node.settings.broadcast_timeout_s, self._depart_late)

    def _depart_late(self) -> None:
        self._in_time = False
        self._departed()

    def _departed(self) -> None:
        self._cancel()
        self._timer = self._node.later(self._node.settings.leave_propagate_delay_s, self._done)

    def _done(self) -> None:
        node = self._node
        self._cancel()
        node.phase = Phase.LEFT
        node.timers.clear()
        node.asked.close_all()
        for handle in self._handles:
            node.emit(LeaveDone(handle, self._in_time))

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
