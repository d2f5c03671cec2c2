"""How long tests wait for what must come."""

from __future__ import annotations

PATIENCE_S = 60.0
"""Deadline of a wait that ends when its condition holds. A passing test never waits this long, on a
machine that is slowed three times neither; what bounds a time asserts it (`stopwatch.py`)."""
