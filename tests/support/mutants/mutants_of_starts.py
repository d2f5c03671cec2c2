"""Deliberate bugs in what a server waits for and learns before it votes; see `mutants`."""

from __future__ import annotations

from mutant import Mutant

from quorate.raft import receiver
from quorate.raft.roles import greeting
from quorate.raft.values import identity

START_MUTANTS = [
    Mutant(
        "greets nobody before it votes",
        greeting.begin,
        "if waiting and",
        "if False and",
        0,
        "old_copy_stands_still_at_its_start",
    ),
    Mutant(
        "counts the time in which it stood still as waiting",
        greeting.tick,
        "if not greeting.ticks:",
        "if not greeting.ticks or node.now >= node.promised_until:",
        0,
        "old_copy_stands_still_at_its_start",
    ),
    Mutant(
        "greets nobody when it gets its vote",
        greeting.vote_gained,
        "if node.greeting is None and",
        "if False and",
        0,
        "newcomer_knows_of_earlier_starts",
    ),
    Mutant(
        "looks at terms of another epoch",
        identity.objection,
        "theirs.epoch != ours.epoch:",
        "False:",
        0,
        "other_epoch_is_not_heard",
    ),
    Mutant(
        "takes epochs of one counter for one",
        identity.objection,
        "theirs.epoch != ours.epoch:",
        "theirs.epoch.counter != ours.epoch.counter:",
        0,
        "other_epoch_is_not_heard",
    ),
    Mutant(
        "takes a newcomer for one that was left out of a recovery",
        identity.objection,
        "ours.cluster_id and theirs.cluster_id and theirs.epoch",
        "ours.cluster_id and theirs.epoch",
        0,
        "newcomer_of_a_recovered_cluster",
    ),
    Mutant(
        "takes its leader for one of another recovery before it has a cluster",
        identity.objection,
        "ours.cluster_id and theirs.cluster_id and theirs.epoch",
        "theirs.cluster_id and theirs.epoch",
        0,
        "newcomer_of_a_recovered_cluster",
    ),
    Mutant(
        "takes a probe behind another history than its snapshot's",
        receiver._check,
        "if not request.is_heartbeat and index == snapshot_index",
        "if False and index == snapshot_index",
        0,
        "other_history_than_the_snapshot",
    ),
    Mutant(
        "takes entries of another history than its snapshot's",
        receiver._check,
        "        if index == snapshot_index",
        "        if False and index == snapshot_index",
        0,
        "other_history_than_the_snapshot",
    ),
    Mutant(
        "learns nothing of what others have seen",
        identity.newer_starts,
        "if server_id in members",
        "if False",
        0,
        "newcomer_knows_of_earlier_starts",
    ),
]
