"""Deliberate bugs in what a server does that is prepared for a recovery; see `mutants`."""

from __future__ import annotations

from mutant import Mutant

from quorate.raft import receiver
from quorate.raft.node import Node
from quorate.raft.roles import election
from quorate.runtime.raft import RaftDriver

RECOVERY_MUTANTS = [
    Mutant(
        "hears its epoch although a recovery is prepared",
        RaftDriver.objection,
        "another or node.prepared:",
        "another:",
        0,
        "prepared_for_a_recovery",
    ),
    Mutant(
        "takes requests although a recovery is prepared",
        Node._on_request,
        "if self.prepared:",
        "if False:",
        0,
        "prepared_for_a_recovery",
    ),
    Mutant(
        "campaigns although a recovery is prepared",
        election.timed_out,
        "if node.prepared:",
        "if False:",
        0,
        "prepared_for_a_recovery",
    ),
    Mutant(
        "leads on although a recovery is prepared",
        Node._on_prepared,
        "if event.why:",
        "if False:",
        0,
        "prepared_for_a_recovery",
    ),
    Mutant(
        "takes a snapshot in although a recovery is prepared",
        receiver.on_snapshot_received,
        " or node.prepared",
        "",
        0,
        "prepared_while_a_snapshot_comes",
    ),
]
