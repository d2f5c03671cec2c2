"""Which index is committed, and until when the lease holds, as the leader sees them.

Invariant: an index counts only if a majority of voters stores it durably, the leader itself
included only for what its own disk has confirmed; and only entries of the leader's own term are
committed by counting (Raft 5.3, 5.4.2; Figure 8 shows what goes wrong otherwise).
"""

from __future__ import annotations

from collections.abc import Iterable


def majority_value(values: Iterable[float]) -> float:
    """The highest value that a majority of the voters has reached.

    `values` has one element per voter and is not empty.
    """
    ordered = sorted(values, reverse=True)
    assert ordered, "a configuration has a voter"
    return ordered[len(ordered) // 2]
