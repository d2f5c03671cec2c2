"""Deliberate bugs in what a server without room on its disk stores and says; see `mutants`."""

from __future__ import annotations

from mutant import Mutant

from quorate.raft import effects, receiver
from quorate.raft.roles import election
from quorate.raft.state import NodeState

FULL_DISK_MUTANTS = [
    Mutant(
        "acknowledges entries that wait for room",
        receiver._answer,
        "of_term=of_term or not success",
        "of_term=True",
        100,
    ),
    Mutant(
        "keeps a vote behind entries that wait for room",
        election.on_request_vote,
        "of_term=True",
        "of_term=False",
        80,
        "full_follower_votes",
    ),
    Mutant(
        "compares the logs of votes with what waits for room",
        NodeState.is_up_to_date,
        "if not self.storage_full:",
        "if True:",
        150,
        "full_follower_votes_by_what_is_durable",
    ),
    Mutant(
        "acknowledges what it has given a vote without",
        effects.still_true,
        "if term else then",
        "if False else then",
        0,
        "full_follower_votes_by_what_is_durable",
    ),
]
