"""Which kind of data folder this is, and whether a server is using it.

A folder is told by what lies in it, never by its name: a data_dir of an agent or of a real Nomad
server, the `server` or `raft` folder in it, or the folder of a replica in a Python service.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from quorate.errors import LogDamaged, QuorateError
from quorate.recovery.looking.summary import Kind
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.identity import Identity, read_identity
from quorate.storage.folder.server_folder import LOCK_FILE
from quorate.storage.log.files import segments_in
from quorate.storage.log.reading import LogReader

NOMAD_LOG: Final = "raft.db"
_BELOW: Final = ("server/raft", "raft", ".")
_LOCKS: Final = Path("/proc/locks")
_NEXT: Final = "give the data_dir of a server, or the folder in it that holds the log"


class DataDir(NamedTuple):
    """A data folder: `root` has the identity, `log` is raft.db or the folder of segments."""

    kind: Kind
    root: Path
    log: Path
    snapshots: Path

    @property
    def raft(self) -> Path:
        """The folder that holds the log."""
        return self.log.parent


def find(path: Path) -> DataDir:
    """The data folder that `path` names. Nothing is changed. Raises QuorateError."""
    with _readable(path):
        if not path.is_dir():
            raise QuorateError(f"{path} is no folder: {_what(path)}", _NEXT)
        for below in _BELOW:
            raft = path / below
            root = raft.parent if raft.name == "raft" else raft
            if (raft / NOMAD_LOG).is_file():
                return DataDir(Kind.NOMAD, root, raft / NOMAD_LOG, raft / "snapshots")
            if (raft / "wal").is_dir():
                raise QuorateError(
                    f"{raft} has its log in raft/wal, which only Nomad versions from 1.7 on write",
                    "that form is not known here",
                )
            if segments_in(raft / "log"):
                return DataDir(Kind.QUORATE, root, raft / "log", raft / "snapshots")
        for root in (path / "server", path, path.parent if path.name == "raft" else path):
            if (identity := _identity(root)) is not None and identity.has_log:
                raft = root / "raft" if identity.region else root  # that of the library has none
                return DataDir(Kind.QUORATE, root, raft / "log", raft / "snapshots")
    raise QuorateError(f"File {NOMAD_LOG} not found in path {path}, nor a log of Quorate", _NEXT)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises QuorateError: what may not be read says who may."""
    try:
        with clear_errors(f"look at {path}"):
            yield
    except QuorateError as error:
        cause = error.__cause__
        if not isinstance(cause, PermissionError):
            raise
        owner = _owner(path)
        as_whom = f"its owner: sudo -u {owner} quorate ..." if owner else "the user of the server"
        raise QuorateError(error.text, f"run this as {as_whom}") from error


def _owner(path: Path) -> str:
    with suppress(OSError, KeyError):
        return path.owner()
    return ""


def _what(path: Path) -> str:
    """What lies at a path that is no folder."""
    if not path.exists():
        return "there is nothing of that name"
    kinds = ((path.is_fifo(), "a pipe"), (path.is_socket(), "a socket"), (path.is_file(), "a file"))
    return f"it is {next((kind for fits, kind in kinds if fits), 'a device')}"


def _identity(root: Path) -> Identity | None:
    """None without one that can be read, which `inspect` tells."""
    try:
        return read_identity(root)
    except LogDamaged:
        return None


def log_of(folder: DataDir) -> LogReader:
    """The log, for reading; a folder of ours is given. Raises WrongDataFolder, QuorateError.

    Without a record in any file it looks like that of a server before its first start. Where the
    identity says that there was one, its votes and its entries are gone: it is damaged.
    """
    log = LogReader(folder.log)
    if log.damage is None and not log.has_records:
        identity = _identity(folder.root)
        if identity is not None and identity.has_log:
            log.damage = LogDamaged(
                f"no record is left of the log in {folder.log}: it is gone, and with it the votes "
                "that it gave",
                path=str(folder.log),
                next_step="start this server while the others have a majority: it takes another "
                "ID, and is filled again",
            )
    return log


def user_of(folder: DataDir) -> int | None:
    """The process that has the folder open, None if none is seen. Takes no lock itself.

    A lock of ours could keep a server from starting. Processes of another container are not seen.
    """
    lock = folder.log if folder.kind is Kind.NOMAD else folder.root / LOCK_FILE
    try:
        status = lock.stat()
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    place = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    for line in lines:
        words = line.split()
        if len(words) >= 6 and "FLOCK" in words and "->" not in words:
            major, minor, inode = words[5].split(":")
            if (int(major, 16), int(minor, 16), int(inode)) == place:
                return int(words[4])
    return None
