"""The mark of a log that was cut: its server has forgotten entries that it had acknowledged.

    <data_dir>/server/raft/salvaged.json

It may have forgotten votes as well. So no server starts on such a folder as if nothing were: the
cluster would count on what is gone. A recovery may use it, and takes the mark away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import LogDamaged
from quorate.storage.atomic import settle_names
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import read_sealed

SALVAGED_FILE: Final = "salvaged.json"


class SalvageMark(msgspec.Struct, frozen=True, kw_only=True):
    """One salvage. `last` is the last entry that is left, `lost` the last one known to be gone.

    `lost` is 0 if none is known. `kept` is the folder that holds the damaged log. `done` is False
    while the salvage is under way.
    """

    last: int
    lost: int
    damage: str
    kept: str
    done: bool = False


def read_salvage(raft: Path) -> SalvageMark | None:
    """The mark in this folder. Raises LogDamaged, QuorateError."""
    path = raft / SALVAGED_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
    settle_names(raft)
    return read_sealed(path, SalvageMark)


def refusal(mark: SalvageMark, raft: Path) -> LogDamaged:
    """Why no server starts on the folder."""
    done = f"was cut at entry {mark.last}" if mark.done else "is being cut"
    cure = (
        "if the others have a majority, move that folder away and start this server: they fill it; "
        "if none is left, recover with it: docs/outage.md"
    )
    if not mark.done:
        cure = "finish it: `quorate operator raft salvage` of this data_dir"
    return LogDamaged(
        f"the log in {raft} {done} by a salvage ({mark.damage}): it lacks what this server had "
        "acknowledged",
        path=str(raft / SALVAGED_FILE),
        next_step=cure,
    )
