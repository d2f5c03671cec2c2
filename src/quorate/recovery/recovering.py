"""Recovers one data folder: it goes on with the servers that are named, in an epoch of its own.

As hashicorp/raft recovers a server: the newest snapshot and all of the log behind it, committed or
not, become the state; a snapshot of it at the last entry has the new configuration; the log behind
it is emptied; term and vote stay. Beyond that the folder gets its new epoch, by which the servers
that are left out are refused, and the state goes on above all indexes that they may have given.

Every step can be cut off by a kill or a power cut. `recovering.json` is written before the first
change and removed after the last one, and tells all that is to be done: each step finds out whether
it was done, so the whole is done again until it comes to its end. Nothing else may open the folder
meanwhile (`folder_lock`), and no server starts on it.

    1  write recovering.json              5  write the epoch into quorate.json
    2  copy the old folder                6  remove peers.json and the mark of a salvage
    3  write the snapshot                 7  remove recovering.json
    4  empty the log behind it
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import LogDamaged, QuorateError, WrongDataFolder
from quorate.given_files import beginning, opened
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import EPOCH_BITS, Epoch
from quorate.recovery.keeping import PREFIX, check_room, keep
from quorate.recovery.looking.folders import DataDir, log_of
from quorate.recovery.looking.summary import FolderSummary
from quorate.recovery.moved_state import apply_log, last_entry, moved
from quorate.recovery.peers_json import BYTES_MAX, PEERS_FILE
from quorate.recovery.plan import Plan, make
from quorate.recovery.salvage_mark import SALVAGED_FILE
from quorate.recovery.survivors import Survivors
from quorate.state.engine.snapshot import (
    SnapshotImage,
    check_snapshot,
    decode_snapshot,
    encode_snapshot,
)
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.storage.atomic import fsync_dir, settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.identity import IDENTITY_FILE, Identity, read_identity, write_identity
from quorate.storage.log.reading import LogReader
from quorate.storage.log.store import LogStore
from quorate.storage.log.write_batch import WriteBatch
from quorate.storage.sealed import read_sealed, seal
from quorate.storage.snapshots.meta import STATE_FILE, parse_id, snapshot_id
from quorate.storage.snapshots.reading import checked_meta, names_in
from quorate.storage.snapshots.store import SnapshotStore

PROGRESS_FILE: Final = "recovering.json"

Step = Callable[[str], None]
"""Called before each step with its name; a test may end the recovery there."""


class Recovering(msgspec.Struct, frozen=True, kw_only=True):
    """The content of recovering.json. `index` and `term` are those of the last entry.

    `snapshot` is the ID of the snapshot to write, `aside` the name of the folder that keeps what
    was; `peers` is the digest of the peers.json that is carried out, empty without one. Without
    `whole` the log behind the newest snapshot counts for nothing: another server has more.
    """

    server_id: str
    before: Epoch
    epoch: Epoch
    configuration: Configuration
    index: int
    term: int
    snapshot: str
    aside: str
    peers: str = ""
    whole: bool = True


class Prepared(msgspec.Struct, frozen=True):
    """A recovery that can be carried out: the whole state was read. `commands` were applied."""

    plan: Recovering
    image: SnapshotImage
    commands: int


def no_steps(_: str) -> None:
    """Do not look at the steps."""


def progress_of(root: Path) -> Recovering | None:
    """The recovery of this folder that is under way, if any. Raises LogDamaged, QuorateError."""
    path = root / PROGRESS_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
    settle_names(root)
    return read_sealed(path, Recovering)


def prepare(
    folder: DataDir,
    configuration: Configuration,
    epoch: Epoch,
    *,
    now_ms: int,
    peers: bytes = b"",
    whole: bool = True,
) -> Prepared:
    """Read all that a recovery takes, and change nothing. `whole`: see `Recovering`.

    Raises LogDamaged, QuorateError (a state that this version cannot read, no room for the copy).
    """
    identity = _identity(folder.root)
    with log_of(folder) as log:
        if log.damage is not None:
            raise log.damage if log.cut is None else _salvage_first(log.damage)
        store, newest = _state_before(folder, log, None)
        commands = apply_log(store, log.entries(store.applied_index + 1)) if whole else 0
        snapshot = (newest[1], newest[0]) if newest else (0, 0)
        index, term = last_entry(log.extent, snapshot, whole=whole)
        if not index:
            raise QuorateError(
                f"{folder.root} holds neither entries nor a snapshot: there is nothing to recover",
                "start the server without peers.json; it joins the others",
            )
    check_room(folder.raft)
    last_ms = int(newest[2].rpartition("-")[2]) if newest else 0
    plan = Recovering(
        server_id=identity.node_id,
        before=identity.epoch,
        epoch=epoch,
        configuration=configuration,
        index=index,
        term=term,
        snapshot=snapshot_id(term, index, max(now_ms, last_ms + 1)),
        aside=f"{PREFIX}{epoch.counter}-{now_ms}",
        peers=sha256(peers).hexdigest() if peers else "",
        whole=whole,
    )
    return Prepared(plan, moved(store), commands)


def plan_for(found: Survivors) -> Plan:
    """A new plan for these survivors: its epoch is drawn. Raises QuorateError."""
    return make(found, os.urandom(EPOCH_BITS))


def by_plan(plan: Plan, folder: DataDir, found: FolderSummary, now_ms: int) -> Prepared:
    """The recovery of this folder by the plan. Raises LogDamaged, QuorateError."""
    return prepare(
        folder,
        plan.configuration(),
        plan.epochs[1],
        now_ms=now_ms,
        whole=plan.takes_all_of(found.server_id),
    )


def carry_out(folder: DataDir, prepared: Prepared, step: Step = no_steps) -> Recovering:
    """Do it. If it is cut off, `resume` goes on. Raises LogDamaged, StorageFull, QuorateError."""
    step("progress")
    write_atomic(folder.root / PROGRESS_FILE, seal(prepared.plan))
    return _steps(folder, prepared.plan, prepared.image, step)


def resume(folder: DataDir, plan: Recovering, step: Step = no_steps) -> Recovering:
    """Go on with a recovery that was cut off."""
    return _steps(folder, plan, None, step)


def _steps(
    folder: DataDir, plan: Recovering, image: SnapshotImage | None, step: Step
) -> Recovering:
    step("copy")
    keep(folder.root, folder.raft, folder.root / plan.aside, seal(plan))
    step("snapshot")
    if not (folder.snapshots / plan.snapshot).exists():
        _write_snapshot(folder, plan, image or _image_again(folder, plan))
    step("log")
    _empty_log(folder, plan)
    step("epoch")
    identity = _identity(folder.root)
    if identity.epoch != plan.epoch:
        write_identity(folder.root, msgspec.structs.replace(identity, epoch=plan.epoch))
    step("peers")
    _remove_peers(folder.raft, plan)
    _remove(folder.raft / SALVAGED_FILE)
    step("end")
    _remove(folder.root / PROGRESS_FILE)
    return plan


def _identity(root: Path) -> Identity:
    identity = read_identity(root)
    if identity is None:
        raise WrongDataFolder(
            f"{root} has no {IDENTITY_FILE}: an early version of Quorate made it",
            "start the server once without peers.json, stop it, and try again",
        )
    return identity


def _salvage_first(damage: LogDamaged) -> LogDamaged:
    return LogDamaged(
        damage.text,
        path=damage.path,
        index=damage.index,
        next_step="recover from a server whose log is whole; if there is none, "
        "`quorate operator raft salvage DIR` cuts this one to its last good entry",
    )


def _state_before(
    folder: DataDir, log: LogReader, without: str | None
) -> tuple[StateStore, tuple[int, int, str] | None]:
    """A store with the newest snapshot, and that snapshot's term, index and ID."""
    store = StateStore(TODAY)
    names = [name for name in names_in(folder.snapshots) if name != without]
    newest = None
    if names:
        place = folder.snapshots / names[0]
        meta = checked_meta(place)
        with clear_errors(f"read {place}"), opened(place / STATE_FILE) as file:
            store.restore(decode_snapshot(file.read, TODAY))
        newest = (meta.term, meta.index, meta.id)
    if log.extent.base_index > (newest[1] if newest else 0):
        first = (newest[1] if newest else 0) + 1
        raise LogDamaged(
            f"entries {first} to {log.extent.base_index} are neither in the log nor in a snapshot",
            path=str(log.path),
            next_step="recover from another server",
        )
    return store, newest


def _image_again(folder: DataDir, plan: Recovering) -> SnapshotImage:
    """The state, after the process that had it in memory was killed."""
    with LogReader(folder.log) as log:
        store, _ = _state_before(folder, log, plan.snapshot)
        if plan.whole:
            apply_log(store, log.entries(store.applied_index + 1))
    return moved(store)


def _write_snapshot(folder: DataDir, plan: Recovering, image: SnapshotImage) -> None:
    parsed = parse_id(plan.snapshot)
    assert parsed is not None, plan.snapshot
    store = SnapshotStore(folder.snapshots)
    sink = store.create(
        plan.index,
        plan.term,
        plan.configuration,
        plan.index,
        int(plan.snapshot.rpartition("-")[2]),
    )
    assert sink.id == plan.snapshot, sink.id
    with sink:
        encode_snapshot(image, sink.write, TODAY)
        sink.finish(check=lambda read: check_snapshot(read, TODAY))


def _empty_log(folder: DataDir, plan: Recovering) -> None:
    log = LogStore.open(folder.log)
    try:
        if log.base() != (plan.index, plan.term) or log.last_index():
            log.write(WriteBatch(reset_to=(plan.index, plan.term)))
    finally:
        log.close()


def _remove_peers(raft: Path, plan: Recovering) -> None:
    """Remove the peers.json that was carried out, and no other."""
    path = raft / PEERS_FILE
    with clear_errors(f"remove {path}"):
        if plan.peers and path.exists() and _digest(path) == plan.peers:
            path.unlink()
            fsync_dir(raft)


def _remove(path: Path) -> None:
    with clear_errors(f"remove {path}"):
        if path.exists():
            path.unlink()
            fsync_dir(path.parent)


def _digest(path: Path) -> str:
    return sha256(beginning(path, BYTES_MAX)).hexdigest()
