"""A file that says that the state of this server is wrong, so that a restart does not forget it.

    <data_dir>/server/raft/state-damaged.json

It lies in the folder whose removal is the cure: an operator who moves the folder away to have the
server filled again has the mark moved with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from quorate.storage.atomic import fsync_dir, settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import read_sealed, seal

MARK_FILE: Final = "state-damaged.json"


class DamageMark(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """At log index `index` the state had `digest` where a majority had `right`; `by` judged so.

    Digests are hexadecimal. `memory`: the server found it alone, and `right` is the digest that it
    had kept while it applied the commands.
    """

    index: int
    digest: str
    right: str
    by: str
    memory: bool = False


def read_mark(folder: Path) -> DamageMark | None:
    """The mark in this folder. Raises LogDamaged if it is not what was written, QuorateError."""
    path = folder / MARK_FILE
    if not path.exists():
        return None
    settle_names(folder)
    return read_sealed(path, DamageMark)


def keep_mark(folder: Path, mark: DamageMark | None) -> None:
    """Write the mark durably, or remove it. Raises StorageFull, QuorateError."""
    path = folder / MARK_FILE
    if mark is not None:
        write_atomic(path, seal(mark))
        return
    with clear_errors(f"remove {path}"):
        path.unlink(missing_ok=True)
        fsync_dir(folder)
