"""Cuts a damaged log to its last good entry, and keeps the damaged one.

The new log is made beside the old one and is whole before anything has changed. Then the folder is
marked (`salvage_mark`), the old log gets another name, and the new one takes its place. A kill on
the way leaves the mark, so that no server starts, and the next salvage finishes it.

Term and vote never fall by it, as far as records behind the damage can be read. The entries behind
it are gone: even those that can be read do not follow on what is left.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import QuorateError
from quorate.given_files import opened
from quorate.raft.values.messages import HardState
from quorate.recovery.looking.folders import DataDir, find, log_of
from quorate.recovery.looking.summary import Kind
from quorate.recovery.salvage_mark import SALVAGED_FILE, SalvageMark, read_salvage
from quorate.storage.atomic import fsync_dir, write_atomic, write_synced
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.folder.server_folder import LOCK_FILE
from quorate.storage.log import records
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.frames import FRAME, read_frame
from quorate.storage.log.records import Bound, with_bound
from quorate.storage.log.store import LogStore
from quorate.storage.log.write_batch import WriteBatch
from quorate.storage.sealed import seal

_NEW: Final = "log.salvage"
Step = Callable[[str], None]


def no_steps(_: str) -> None:
    """Do not look at the steps."""


class Salvage(msgspec.Struct, frozen=True, kw_only=True):
    """What a salvage leaves and loses. `first` to `last` are left, none if `last` is 0.

    `lost` is the last entry that is known to have been there, 0 if none is. `kept` will hold the
    damaged log. `resumed`: an earlier salvage of this folder is finished.
    """

    folder: DataDir
    first: int
    last: int
    lost: int
    damage: str
    kept: Path
    cut: tuple[Path, int]
    hard_state: HardState
    resumed: bool = False


def plan(path: Path) -> Salvage:
    """What a salvage of the data folder at `path` would do; nothing is changed.

    Raises QuorateError: a log without damage, one of which nothing is left, a Nomad server's.
    """
    folder = find_any(path)
    mark = read_salvage(folder.raft)
    if mark is not None and not mark.done:
        kept = folder.raft / mark.kept
        return Salvage(
            folder=folder,
            first=0,
            last=mark.last,
            lost=mark.lost,
            damage=mark.damage,
            kept=kept,
            cut=(kept, 0),
            hard_state=HardState(),
            resumed=True,
        )
    with log_of(folder) as log:
        if log.damage is None:
            raise QuorateError(
                f"the log in {folder.log} is not damaged: there is nothing to salvage",
                "`quorate operator raft info` names what else may be damaged",
            )
        cut, extent = log.cut, log.extent
        if cut is None or (segments_in(folder.log)[0] == cut[0] and not cut[1]):
            raise QuorateError(
                f"nothing of the log in {folder.log} can be kept: {log.damage.text}",
                "recover from another server",
            )
        lost, states = _behind(folder.log, cut)
        states.append(log.hard_state)
        return Salvage(
            folder=folder,
            first=0 if extent.is_empty else extent.base_index + 1,
            last=extent.last_index,
            lost=lost if lost > extent.last_index else 0,
            damage=log.damage.text,
            kept=folder.raft / f"log-damaged-{time.time_ns() // 1_000_000}",
            cut=cut,
            hard_state=max(states, key=lambda state: (state.term, state.vote_term)),
        )


def find_any(path: Path) -> DataDir:
    """The folder, also one whose salvage was cut off between its two renames."""
    for below in ("server/raft", "raft", "."):
        raft = path / below
        if (raft / SALVAGED_FILE).is_file():
            root = raft.parent if raft.name == "raft" else raft
            return DataDir(Kind.QUORATE, root, raft / "log", raft / "snapshots")
    folder = find(path)
    if folder.kind is Kind.NOMAD:
        raise QuorateError(
            f"{folder.root} is a real Nomad server's, whose files are only read here",
            "`quorate operator raft logs` shows what is left of its log",
        )
    return folder


def carry_out(salvage: Salvage, step: Step = no_steps) -> None:
    """Do it. Raises DataFolderInUse, StorageFull, QuorateError."""
    folder = salvage.folder
    lock = FolderLock(folder.root / LOCK_FILE)
    try:
        if not salvage.resumed:
            step("build")
            salvage = msgspec.structs.replace(salvage, last=_build(salvage))
            step("mark")
            _mark(salvage, done=False)
        with clear_errors(f"put the salvaged log into {folder.raft}"):
            step("aside")
            if not salvage.kept.exists():
                folder.log.rename(salvage.kept)
                fsync_dir(folder.raft)
            step("in place")
            if not folder.log.exists():
                (folder.raft / _NEW).rename(folder.log)
                fsync_dir(folder.raft)
        step("done")
        _mark(salvage, done=True)
    finally:
        lock.release()


def _mark(salvage: Salvage, *, done: bool) -> None:
    mark = SalvageMark(
        last=salvage.last,
        lost=salvage.lost,
        damage=salvage.damage[:500],
        kept=salvage.kept.name,
        done=done,
    )
    write_atomic(salvage.folder.raft / SALVAGED_FILE, seal(mark))


def _build(salvage: Salvage) -> int:
    """Write the new log; the last entry in it."""
    folder, (cut, size) = salvage.folder, salvage.cut
    new = folder.raft / _NEW
    with clear_errors(f"write {new}"):
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        for path in segments_in(folder.log):
            if path == cut and not size:
                break
            with opened(path) as file:
                content = file.read()
            if path == cut:
                # The file itself may have been cut short.
                room = -(-len(content) // LogFiles.piece) * LogFiles.piece
                content = content[:size] + bytes(room - size)
            # What it says of its size and of the next file was true of the damaged log.
            number = Bound(int(path.stem))
            content = (with_bound(content[:FRAME], number) or content[:FRAME]) + content[FRAME:]
            write_synced(new / path.name, content)
            if path == cut:
                break
        fsync_dir(new)
    log = LogStore.open(new)
    try:
        log.write(WriteBatch(hard_state=salvage.hard_state))
        return log.last_index() or log.base()[0]
    finally:
        log.close()


def _behind(log: Path, cut: tuple[Path, int]) -> tuple[int, list[HardState]]:
    """The last entry, and terms and votes, that sound frames behind the cut tell of."""
    last, states = 0, []
    for payload in _payloads(log, cut):
        with suppress(struct.error, ValueError):
            for item in records.items_of(payload):
                if item.kind == records.HEAD:
                    last = max(last, records.read_head(payload, item).last_index)
                elif item.kind == records.HARD_STATE:
                    states.append(records.read_hard_state(payload, item))
    return last, states


def _payloads(log: Path, cut: tuple[Path, int]) -> Iterator[bytes]:
    """What the first frames of the records behind the cut hold."""
    for path in segments_in(log):
        if path < cut[0]:
            continue
        with clear_errors(f"read {path}"), opened(path) as file:
            file.seek(cut[1] if path == cut[0] else 0, os.SEEK_SET)
            while data := file.read(FRAME):
                frame = read_frame(data)
                if frame is not None and frame.part == 0:
                    yield frame.body[: frame.used]
