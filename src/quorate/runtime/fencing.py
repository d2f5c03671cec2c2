"""A server that was left out of a recovery by force meets a server that was not.

From then on nothing of its own epoch counts for it: it leads nobody, votes for nobody, and stores
nothing more, until it is restarted (`raft.events.Prepared`, as before a recovery).
"""

from __future__ import annotations

from collections.abc import Callable

from quorate.raft.events import Prepared
from quorate.raft.node import Node
from quorate.raft.values.identity import IdentityRecord, left_out


def fence(
    node: Node,
    theirs: IdentityRecord,
    step: Callable[[Prepared], object],
    tell: Callable[[str, str], object],
) -> None:
    """A member has proven itself, with this record.

    `step` gives the node an event, `tell` says which server tells people what about this one.
    """
    ours = node.identity
    if ours is None or node.prepared:
        return
    if why := left_out(ours, theirs):
        step(Prepared(why))
        tell(theirs.server_id, why)
