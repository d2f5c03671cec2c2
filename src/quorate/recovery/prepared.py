"""The mark of a folder whose server is prepared for a recovery: `prepared.json`.

The first of the two steps by which servers that run are recovered (`server.recovery.live`). It is
durable, so that a server that is killed between the steps comes back prepared. While it is there no
other recovery is carried out on the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from quorate.raft.values.identity import Epoch
from quorate.recovery.plan import Plan
from quorate.storage.atomic import fsync_dir, settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import read_sealed, seal

PREPARED_FILE: Final = "prepared.json"


class PreparedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The content of prepared.json: the plan, and the IDs that were named as lost for good.

    `until_ms` is the Unix time in milliseconds from which on it may be given up.
    """

    plan: Plan
    lost: tuple[str, ...] = ()
    until_ms: int = 0

    @property
    def words(self) -> str:
        """The state of the server, for people and for other servers."""
        return (
            f"this server is prepared for a recovery, by which epoch {self.plan.epochs[1]} begins"
        )


def read_prepared(root: Path) -> PreparedPlan | None:
    """The plan for which the folder is prepared, if any. Raises LogDamaged, QuorateError."""
    path = root / PREPARED_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
    settle_names(root)
    return read_sealed(path, PreparedPlan)


def write_prepared(root: Path, prepared: PreparedPlan) -> None:
    """Make it durable. Raises StorageFull, QuorateError."""
    write_atomic(root / PREPARED_FILE, seal(prepared))


def forget_prepared(root: Path) -> None:
    """The plan was carried out, or given up. Raises QuorateError."""
    path = root / PREPARED_FILE
    with clear_errors(f"remove {path}"):
        path.unlink(missing_ok=True)
        fsync_dir(root)


def prepared_at_start(root: Path, epoch: Epoch) -> PreparedPlan | None:
    """`read_prepared`, at a start in this epoch; one that begins in another is done with."""
    found = read_prepared(root)
    if found is not None and found.plan.epochs[0] != epoch:
        forget_prepared(root)
        return None
    return found
