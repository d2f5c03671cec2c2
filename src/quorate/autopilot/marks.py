"""The marks of removals that were not made.

An operator's removal marks the server in the replicated state first, and takes it out of the
configuration then. When leadership is lost in between, or the time is over, the mark may stay
although the server is a member: later, when it is let go or replaced, it would be kept out as one
that an operator has removed. Only the leader that wrote the mark makes the change, so a member's
mark without a removal under way here is of no use any more.
"""

from __future__ import annotations

from quorate.autopilot.actions import RecordServer
from quorate.autopilot.facts import Facts


def take_back_marks(facts: Facts) -> tuple[RecordServer, ...]:
    """The action that unmarks the members that nobody removes now."""
    return tuple(
        RecordServer(
            id=server.id,
            name=facts.records[server.id].name,
            address=server.address,
            why="its removal was not made, and it stays a member; remove it again if that is meant",
        )
        for server in facts.configuration.servers
        if facts.removed_at(server.id) and server.id not in facts.removing
    )
