"""Taking servers in, first as non-voters.

A newcomer gets its vote once it is reached, caught up and stable (thesis 4.2.1; autopilot's
ServerStabilizationTime, MaxTrailingLogs, LastContactThreshold).

Runs on the leader. One change at a time; a change that cannot be made now is tried again when the
joiner asks again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quorate.errors import ChangeRefused
from quorate.raft.configuration import Change, ChangeKind, Configuration
from quorate.replica.replica import Replica
from quorate.server.cluster.identity import Identity


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`leader` is set when another server leads: ask there. `why` is a refusal in words.

    `removed_at` is the index at which an operator removed the joiner, if that is the reason.
    """

    leader: str = ""
    why: str = ""
    member: bool = False
    removed_at: int = 0


def changes_for(
    configuration: Configuration, joiner: Identity, whereabouts: Mapping[str, str]
) -> list[Change]:
    """The changes that make `joiner` a member at its address; none if it is one.

    `whereabouts` says of living servers, by ID, where they are now. Who has to give up an address
    is written where it lives now, in the same entry: servers that have traded places keep their
    votes. A newcomer in the place of a member that lives nowhere has replaced it. Raises
    ChangeRefused where a member has moved into a place of which nobody knows who has it.
    """
    known = configuration.get(joiner.id)
    if known is not None and known.address == joiner.address:
        return []
    moves: dict[str, str] = {}
    place = joiner.address
    while (holder := configuration.by_address(place)) is not None:
        if holder.id == joiner.id or holder.id in moves:
            break
        now = whereabouts.get(holder.id, place)
        if now == place:
            if known is not None or moves:
                raise ChangeRefused(
                    f"{place} is still the address of {holder.id}, which has not been seen "
                    "anywhere else",
                    f"if it is gone: quorate operator raft remove-peer -peer-id={holder.id}",
                )
            return [
                Change(ChangeKind.REMOVE_SERVER, holder.id),
                Change(ChangeKind.ADD_NONVOTER, joiner.id, joiner.address),
            ]
        moves[holder.id] = place = now
    # Adding a voter again as a non-voter changes its address only.
    moved = tuple(moves.items())
    return [Change(ChangeKind.ADD_NONVOTER, joiner.id, joiner.address, moves=moved)]


async def admit(
    replica: Replica, joiner: Identity, cluster_id: str, whereabouts: Mapping[str, str]
) -> JoinAnswer:
    """Take `joiner` in, or say why not."""
    if joiner.cluster_id and cluster_id and joiner.cluster_id != cluster_id:
        why = f"the data of {joiner.node} belongs to cluster {joiner.cluster_id}, not {cluster_id}"
        return JoinAnswer(why=why)
    try:
        for change in changes_for(replica.node.configuration, joiner, whereabouts):
            if change.kind == ChangeKind.REMOVE_SERVER and change.server_id == replica.server_id:
                return JoinAnswer(why=f"{joiner.address} is the leader's own address")
            await replica.change(change)
    except ChangeRefused as error:
        return JoinAnswer(why="; ".join(filter(None, (error.text, error.next_step))))
    return JoinAnswer(member=True)


class Stability:
    """Since when each non-voter has been fit to vote."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def fit(
        self, replica: Replica, now: float, *, contact_s: float, trailing: int, stable_s: float
    ) -> list[str]:
        """IDs of the non-voters that have been fit for `stable_s` seconds."""
        leader = replica.node.leader
        if leader is None:
            self._since.clear()
            return []
        ready = []
        for server in replica.node.configuration.servers:
            progress = leader.peers.get(server.id)
            if server.is_voter or progress is None:
                self._since.pop(server.id, None)
                continue
            behind = replica.node.log.last_index - progress.match_index
            if now - progress.contact_at > contact_s or behind > trailing:
                self._since.pop(server.id, None)
            elif now - self._since.setdefault(server.id, now) >= stable_s:
                ready.append(server.id)
        return ready
