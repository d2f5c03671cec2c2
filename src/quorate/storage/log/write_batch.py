"""One durable write to the log store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from quorate.raft.values.messages import Entry, HardState


class WriteBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of one write, in this order. An empty batch is allowed."""

    reset_to: tuple[int, int] | None = None
    """Drop the whole log; a snapshot whose last entry has this (index, term) replaces it."""
    truncate_from: int | None = None
    """Delete the entries at this index and above."""
    entries: Sequence[Entry] = ()
    """Append; the first one follows the last one in the log, or the base of an empty log."""
    hard_state: HardState | None = None
    compact_to: int | None = None
    """Delete the entries at this index and below (at most the whole log)."""
    meta: Mapping[str, bytes] = {}
    """Small values to keep beside the log, by name (at most 500 bytes of UTF-8)."""
