"""Deliberate bugs of the state engine; `mutant` says what one is."""

from __future__ import annotations

from mutant import Mutant

from quorate.state.engine import snapshot
from quorate.state.engine.rows import TableRows

STATE_MUTANTS = [
    Mutant(
        "keeps the hash of a row that is gone",
        TableRows.settle,
        "_summed(come) - _summed(gone)",
        "_summed(come)",
        20,
    ),
    Mutant(
        "writes out rows that have changed in memory",
        snapshot.encode_snapshot,
        "if (total - rows.sum) & SUM_MASK:",
        "if False:",
        60,
    ),
]
