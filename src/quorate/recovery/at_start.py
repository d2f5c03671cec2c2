"""Before a server opens its data folder: a peers.json is carried out, what was cut off is finished.

A file that is wrong stops the start, names its line and the cure, and nothing has changed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from quorate.errors import LogDamaged, QuorateError, WrongDataFolder
from quorate.given_files import beginning
from quorate.raft.values.identity import Epoch
from quorate.recovery import undoing
from quorate.recovery.epochs import asked
from quorate.recovery.looking.folders import DataDir
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.noting import DONE, note
from quorate.recovery.looking.summary import FolderSummary, Kind
from quorate.recovery.peers_json import BYTES_MAX, PEERS_FILE, Peer, parse
from quorate.recovery.prepared import read_prepared
from quorate.recovery.recovering import (
    Prepared,
    Recovering,
    Step,
    carry_out,
    no_steps,
    prepare,
    progress_of,
    resume,
)
from quorate.recovery.salvage_mark import read_salvage, refusal
from quorate.recovery.undoing import undoing_of
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.damage_mark import MARK_FILE
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.folder.server_folder import LOCK_FILE
from quorate.storage.log.files import segments_in

_NEXT: Final = "remove peers.json to start without a recovery"


class Recovered(msgspec.Struct, frozen=True):
    """A recovery that was carried out. `resumed`: an earlier start had begun it."""

    epoch: Epoch
    index: int
    servers: tuple[str, ...]
    kept: Path
    resumed: bool

    def __str__(self) -> str:
        how = "a recovery that was cut off is finished" if self.resumed else "recovered"
        return (
            f"{how}: this server goes on with {', '.join(self.servers)}, at entry {self.index}, in "
            f"epoch {self.epoch}; the data before it is kept in {self.kept}. Servers that are left "
            "out must not be started again"
        )


def before_start(
    data_dir: Path, *, own_address: str = "", step: Step = no_steps
) -> tuple[Recovered, ...]:
    """Carry out what lies in the data_dir of an agent; usually that is nothing.

    `own_address` is the RPC address at which the server will listen. Raises WrongServers (a wrong
    peers.json), DataFolderInUse, LogDamaged, WrongDataFolder, StorageFull, QuorateError.
    """
    root = data_dir / "server"
    folder = DataDir(Kind.QUORATE, root, root / "raft" / "log", root / "raft" / "snapshots")
    done: list[Recovered] = []
    if _is_asked(folder):
        with exclusively(folder, done, step):
            if (folder.raft / PEERS_FILE).exists():
                plan = carry_out(folder, by_peers_json(folder, own_address), step)
                done.append(_told(plan, root, resumed=False))
    for each in done:  # the server enters it, once there is a leader
        details = (("servers", ", ".join(each.servers)), ("index", str(each.index)))
        note(folder, "recover at the start", DONE, subject=str(each.epoch), details=details)
    if (mark := read_salvage(folder.raft)) is not None:
        raise refusal(mark, folder.raft)
    return tuple(done)


@contextmanager
def exclusively(
    folder: DataDir, done: list[Recovered] | None = None, step: Step = no_steps
) -> Iterator[None]:
    """No other process has the folder, and what was cut off in it is finished first.

    Recoveries that are finished are put into `done`. Raises DataFolderInUse, QuorateError.
    """
    lock = FolderLock(folder.root / LOCK_FILE)
    collecting = gc.isenabled()
    gc.disable()  # it would walk millions of entries and rows again and again: a fifth of the time
    try:
        if (undo := undoing_of(folder.root)) is not None:
            undoing.resume(folder, undo, step)
        if (under_way := progress_of(folder.root)) is not None:
            plan = resume(folder, under_way, step)
            if done is not None:
                done.append(_told(plan, folder.root, resumed=True))
        yield
    finally:
        if collecting:
            gc.enable()
        lock.release()


def _is_asked(folder: DataDir) -> bool:
    """Whether there is anything to do; a file that is wrong raises, before anything is locked."""
    path = folder.raft / PEERS_FILE
    if progress_of(folder.root) is not None or undoing_of(folder.root) is not None:
        return True
    with clear_errors(f"read {path}"):
        if not path.exists():
            return False
        if (folder.raft / "raft.db").exists():
            return False  # a real Nomad server's folder: it is refused as that, and left as it is
    if not segments_in(folder.log):
        raise QuorateError(
            f"{path} is there, and {folder.raft} holds no log: there is nothing to recover", _NEXT
        )
    parse(_content(path), str(path))
    return True


def _content(path: Path) -> bytes:
    with clear_errors(f"read {path}"):
        return beginning(path, BYTES_MAX)


def peers_asked(folder: DataDir, found: FolderSummary) -> tuple[Peer, ...]:
    """The servers in the folder's peers.json, which is there, as a start would read them.

    Nothing is changed. The address at which the server will listen is not known here. Raises
    WrongServers and QuorateError for what would stop the start.
    """
    path = folder.raft / PEERS_FILE
    peers = parse(_content(path), str(path))
    if folder.kind is Kind.QUORATE:
        asked(peers, str(path), found, "")
    return peers


def by_peers_json(folder: DataDir, own_address: str) -> Prepared:
    """The recovery that the folder's peers.json asks for; nothing is changed."""
    path = folder.raft / PEERS_FILE
    data = _content(path)
    peers = parse(data, str(path))
    if (mark := read_salvage(folder.raft)) is not None and not mark.done:
        raise refusal(mark, folder.raft)
    found = inspect(folder.root.parent)
    check_sound(folder, found)
    configuration, epoch = asked(peers, str(path), found, own_address)
    return prepare(folder, configuration, epoch, now_ms=time.time_ns() // 1_000_000, peers=data)


def check_sound(folder: DataDir, found: FolderSummary, digest: str = "") -> None:
    """Raise LogDamaged, WrongDataFolder unless a cluster may go on with what the folder holds.

    `digest` is that of the plan that is carried out, empty without one.
    """
    prepared = read_prepared(folder.root)
    if prepared is not None and prepared.plan.digest != digest:
        raise WrongDataFolder(
            f"{folder.root} is prepared for another recovery, by which epoch "
            f"{prepared.plan.epochs[1]} begins; nothing was changed",
            "carry that one out, or start its server without a peers.json and give it up: "
            "`quorate operator recover live abort`",
        )
    if found.damage:
        raise LogDamaged(
            f"{folder.root} cannot be recovered as it is: {found.damage[0]}; nothing was changed",
            path=str(folder.root),
            next_step="recover from a server whose data is whole; if there is none, see "
            "`quorate operator raft salvage -help`",
        )
    if (folder.raft / MARK_FILE).exists():
        raise LogDamaged(
            f"{folder.raft / MARK_FILE} says that the state of this server is not that of the "
            "others; nothing was changed",
            path=str(folder.raft / MARK_FILE),
            next_step="recover from another server",
        )
    if found.rolled_back:
        raise WrongDataFolder(
            f"{folder.root} is an old copy ({found.rolled_back}); nothing was changed",
            "recover from another server",
        )


def _told(plan: Recovering, root: Path, *, resumed: bool) -> Recovered:
    return Recovered(
        plan.epoch,
        plan.index,
        tuple(f"{s.id} ({s.address})" for s in plan.configuration.servers),
        root / plan.aside,
        resumed,
    )
