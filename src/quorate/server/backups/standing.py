"""How it stands with the backups of a cluster, for people."""

from __future__ import annotations

import msgspec

from quorate.state.tables.backups import Backup, Progress


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` is empty if all is well. `next_due` is Unix time in seconds, 0 without a schedule.

    `verified_age_s` is the age of the state in the newest verified backup, None while there is
    none.
    """

    newest_first: tuple[Backup, ...]
    progress: Progress
    problem: str
    next_due: int
    verified_age_s: float | None
