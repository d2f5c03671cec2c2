"""Deliberate bugs of servers without room: on the disk, or below the bound of the log."""

from __future__ import annotations

from mutant import Mutant

from quorate.raft import effects, receiver
from quorate.raft.roles import election, log_bound
from quorate.raft.roles.leader import Leader
from quorate.raft.state import NodeState
from quorate.runtime.log_bound import LogBound

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

LOG_BOUND_MUTANTS = [
    Mutant(
        "keeps entries for slow followers whatever their size",
        log_bound.compaction_index,
        "if bound and not whole:",
        "if False:",
        20,
        "log_is_bounded",
    ),
    Mutant(
        "keeps the log for an install at any price",
        log_bound.compaction_index,
        "if bound else install",
        "if False else install",
        0,
        "log_is_bounded_during_an_install",
    ),
    Mutant(
        "leads on beyond the bound of its log",
        Leader._proposal_refusal,
        "if log_bound.is_reached(node)",
        "if False",
        120,
        "log_is_bounded",
    ),
    Mutant(
        "follows beyond the bound of its log",
        receiver._lacks_room,
        "or log_bound.refuses_entries(node)",
        "or False",
        200,
        "log_of_a_follower_is_bounded",
    ),
    Mutant(
        "waits for a snapshot that nobody takes",
        LogBound.look,
        "or not snapshot_due(node)",
        "or True",
        20,
        "log_is_bounded",
    ),
    Mutant(
        "does not apply what is committed while its disk is full",
        receiver.on_append_entries,
        "node.commit_to(min(request.leader_commit, request.prev_log_index))",
        "pass",
        0,
        "full_follower_applies_what_it_holds",
    ),
]
