"""The log of a server that runs, as it says itself, in the form of a folder that was read."""

from __future__ import annotations

from typing import Final

from quorate.errors import QuorateError
from quorate.raft.values.identity import Epoch
from quorate.recovery.looking.summary import FolderSummary, Kind, Member, Members, SnapshotLine
from quorate.shapes.operator import RaftFacts

_UNFIT: Final = {
    "damaged": "its replicated state is damaged",
    "twice": "another live server uses its ID",
}


def summary_of(facts: RaftFacts, path: str) -> FolderSummary:
    """The summary; `path` is where the server was asked. Raises QuorateError for no epoch."""
    members = tuple(Member(s.id, s.address, s.voter, s.key) for s in facts.configuration.servers)
    damage = [_UNFIT[facts.state]] if facts.state in _UNFIT else []
    try:
        bits = bytes.fromhex(facts.epoch_bits)
    except ValueError as error:
        raise QuorateError(
            f"{path} says an epoch that is none: {facts.epoch_bits[:80]!r}"
        ) from error
    found = FolderSummary(
        kind=Kind.QUORATE.value,
        path=path,
        server_id=facts.id,
        region=facts.region,
        cluster_id=facts.cluster_id,
        epoch=Epoch(facts.epoch, bits),
        level=facts.level,
        start=facts.start,
        first_index=facts.first_index,
        last_index=facts.last_index,
        last_term=facts.last_term,
        term=facts.term,
        vote_term=facts.vote_term,
        voted_for=facts.voted_for,
        commit_known=facts.commit_index,
        members=Members(facts.configuration.index, members),
        damage=damage + ([facts.held] if facts.held else []),
    )
    return with_snapshot(found, facts.snapshot.index, facts.snapshot.term)


def with_snapshot(found: FolderSummary, index: int, term: int) -> FolderSummary:
    """The same, with the end of its newest snapshot; index 0: it has none."""
    if index:
        found.snapshot = SnapshotLine(id="", index=index, term=term, size=0, members=found.members)
    return found
