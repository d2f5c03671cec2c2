"""Deliberate bugs in what a server waits for after its start; see `mutants`."""

from __future__ import annotations

from mutant import Mutant

from quorate.raft.roles import greeting

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
]
