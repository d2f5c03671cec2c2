"""A row of any table: an immutable record that knows when it was created and changed."""

from __future__ import annotations

from typing import TypeVar

import msgspec


class Record(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """One row. The indexes are those of the log entries that created and last changed it.

    Its fields hold texts, bytes, numbers, and tuples of those: the collector never looks inside
    (`gc=False`), so a million rows make it no slower.
    """

    create_index: int = 0
    modify_index: int = 0


R = TypeVar("R", bound=Record)


def cas_holds(cas: int | None, record: Record | None) -> bool:
    """Whether a write that demands modify index `cas` may go on; an absent record has index 0."""
    return cas is None or cas == (0 if record is None else record.modify_index)
