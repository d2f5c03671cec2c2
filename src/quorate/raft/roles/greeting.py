"""After a start, and with a new vote: no vote and no campaign before the other members were heard.

A server that runs on an old copy of its data has forgotten votes (Raft 5.2). Members that have seen
its newer start tell it so when it greets them, and its driver then ends it (`values.identity`).
A newcomer may be the only one that is left to tell it so. So it greets all members when it gets its
vote, and learns from them which starts they have seen, also of those that are down.

Invariants: while a member has not answered, this server helps nobody to be elected, itself neither;
the wait is counted in ticks of this process and not by the clock, so a process that stands still
right after its start does not find the wait over when it goes on, before it reads what the members
have answered; after `TICKS` ticks a member that has not answered counts as down, and the wait is
over before the promise to a former leader is (`NodeState.promised_until`): it delays no election.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quorate.raft.effects import Greet
from quorate.raft.pending import Greeting
from quorate.raft.values.configuration import Configuration

if TYPE_CHECKING:
    from quorate.raft.state import NodeState

TICKS: Final = 9
"""Of a tenth of the election timeout each; the promise of a start lasts ten of these."""


def begin(node: NodeState) -> list[str]:
    """This server starts on data of a cluster: the IDs of the members that it greets, all others.

    None if it is no member.
    """
    waiting = {server.id for server in node.peers()}
    if waiting and node.configuration.get(node.server_id) is not None:
        node.greeting = Greeting(waiting, TICKS, node.now + pause_s(node))
        return sorted(waiting)
    return []


def vote_gained(node: NodeState, before: Configuration) -> None:
    """A leader has sent another configuration than `before`: a server whose vote is new greets all.

    It has promised that leader an election timeout, so this delays no election either. Founders
    know all there is to know.
    """
    founding = not before.servers and node.configuration_index == 1
    if not node.greets or founding or before.is_voter(node.server_id) or not node.is_voter():
        return
    if node.greeting is None and (waiting := begin(node)):
        node.emit(Greet(tuple(waiting)))


def pause_s(node: NodeState) -> float:
    """Seconds between two ticks, and before a member that did not answer is greeted again."""
    return node.settings.election_timeout_s / (TICKS + 1)


def answered(node: NodeState, server_id: str) -> None:
    """That member has answered, and has nothing against this start."""
    greeting = node.greeting
    if greeting is not None:
        greeting.waiting.discard(server_id)
        if not greeting.waiting:
            node.greeting = None


def tick(node: NodeState) -> None:
    """Count a tick that is due; however late it is, it is one."""
    greeting = node.greeting
    if greeting is None or node.now < greeting.due:
        return
    greeting.due = node.now + pause_s(node)
    greeting.ticks -= 1
    if not greeting.ticks:
        node.greeting = None
