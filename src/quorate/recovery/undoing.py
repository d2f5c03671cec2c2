"""Puts back what a data folder was before its newest recovery.

The folder that goes is kept too. The start number stays: it never falls. A recovery whose cluster
has written since is not undone by itself: what was written would be lost, and the servers that are
left in the new epoch would go on without this one.

Every step can be cut off: `undoing.json` is written first and removed last.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import QuorateError, WrongDataFolder
from quorate.raft.values.identity import Epoch
from quorate.raft.values.messages import EntryKind
from quorate.recovery.keeping import PREFIX, RECORD_FILE, sync_tree
from quorate.recovery.looking.folders import DataDir, log_of
from quorate.recovery.peers_json import PEERS_FILE
from quorate.recovery.recovering import Recovering, Step, no_steps
from quorate.storage.atomic import UNFINISHED, fsync_dir, settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.identity import read_identity, write_identity
from quorate.storage.sealed import read_sealed, seal

UNDOING_FILE: Final = "undoing.json"


class Undoing(msgspec.Struct, frozen=True, kw_only=True):
    """The content of undoing.json: names of folders beside it, and the epoch that comes back."""

    aside: str
    gone: str
    before: Epoch


class Undo(msgspec.Struct, frozen=True):
    """What an undo would do. `writes` are the commands since, up to entry `last`.

    `damage` is empty, or says why there may have been more.
    """

    recovery: Recovering
    writes: int
    last: int
    damage: str = ""


def undoing_of(root: Path) -> Undoing | None:
    """The undo of this folder that is under way, if any. Raises LogDamaged, QuorateError."""
    path = root / UNDOING_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
    settle_names(root)
    return read_sealed(path, Undoing)


def look(folder: DataDir) -> Undo:
    """The newest recovery of the folder, and what was written since. Raises QuorateError."""
    identity = read_identity(folder.root)
    epoch = identity.epoch if identity is not None else Epoch()
    for aside in sorted(folder.root.glob(f"{PREFIX}{epoch.counter}-*")):
        if aside.suffix == UNFINISHED or not (aside / RECORD_FILE).exists():
            continue
        recovery = read_sealed(aside / RECORD_FILE, Recovering)
        if recovery.epoch == epoch:
            break
    else:
        raise QuorateError(
            f"{folder.root} keeps no folder of a recovery that began epoch {epoch}",
            "there is nothing to undo here",
        )
    with log_of(folder) as log:
        writes = sum(entry.kind == EntryKind.COMMAND for entry in log.entries(recovery.index + 1))
        last = max(log.extent.last_index, recovery.index)
        if log.extent.base_index > recovery.index:  # compacted since
            writes += log.extent.base_index - recovery.index
        damage = log.damage.text if log.damage is not None else ""
    return Undo(recovery, writes, last, damage)


def check(undo: Undo, folder: DataDir, lose: int) -> None:
    """Raise WrongDataFolder if something was written that the operator has not given up."""
    if undo.damage and lose != undo.last:
        raise WrongDataFolder(
            f"what epoch {undo.recovery.epoch} has written since is known up to entry {undo.last} "
            f"only: {undo.damage}; an undo would lose it",
            f"stop all servers of that epoch first, and if it may be lost: -lose={undo.last}",
        )
    if undo.writes and lose != undo.last:
        raise WrongDataFolder(
            f"epoch {undo.recovery.epoch} has written since: {undo.writes} commands, up to entry "
            f"{undo.last} in {folder.root}; an undo would lose them",
            f"stop all servers of that epoch first, and if they may be lost: -lose={undo.last}",
        )


def carry_out(folder: DataDir, undo: Undo, now_ms: int, step: Step = no_steps) -> Undoing:
    """Do it. If it is cut off, `resume` goes on. Raises QuorateError."""
    plan = Undoing(
        aside=undo.recovery.aside,
        gone=f"undone-{undo.recovery.epoch.counter}-{now_ms}",
        before=undo.recovery.before,
    )
    step("progress")
    write_atomic(folder.root / UNDOING_FILE, seal(plan))
    return resume(folder, plan, step)


def resume(folder: DataDir, plan: Undoing, step: Step = no_steps) -> Undoing:
    """Go on with an undo that was cut off. Raises QuorateError."""
    root, raft = folder.root, folder.raft
    gone = root / plan.gone
    unfinished = root / f"raft{UNFINISHED}"
    with clear_errors(f"put {root / plan.aside} back"):
        step("aside")
        if not gone.exists():
            raft.rename(gone)
            fsync_dir(root)
        step("copy")
        if not raft.exists():
            if unfinished.exists():
                shutil.rmtree(unfinished)
            shutil.copytree(root / plan.aside / "raft", unfinished)
            (unfinished / PEERS_FILE).unlink(missing_ok=True)  # it would recover once more
            sync_tree(unfinished)
            unfinished.rename(raft)
            fsync_dir(root)
    step("epoch")
    identity = read_identity(root)
    assert identity is not None, "the folder was recovered, so it has one"
    if identity.epoch != plan.before:
        write_identity(root, msgspec.structs.replace(identity, epoch=plan.before))
    step("end")
    with clear_errors(f"remove {root / UNDOING_FILE}"):
        (root / UNDOING_FILE).unlink(missing_ok=True)
        fsync_dir(root)
    return plan
