"""The LMDB environment under a log store: how it is opened, and what its errors mean.

Chosen: no MDB_WRITEMAP (a full disk would end the process with SIGBUS instead of an error, and a
stray write could reach the file), no read-ahead (the log is read in small pieces), both syncs of
LMDB on. The map is an address range, not memory and not disk.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import lmdb

from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.storage.atomic import fsync_dir, make_dir, write_synced
from quorate.storage.disk_errors import NO_ROOM, disk_error

DATA_FILE: Final = "data.mdb"
LOCK_FILE: Final = "lock.mdb"

MAP_SIZES: Final = tuple(1 << bits for bits in (40, 37, 34, 32, 31, 30))
"""Largest size of the file, in bytes; the first that the system grants. 1 TiB down to 1 GiB."""

_MAX_READERS: Final = 126
_LOCK_FILE_SIZE: Final = 8192  # LMDB's reader table for so many readers
_PROBE_FILE: Final = "room.tmp"
_PROBE_EXTRA: Final = 256 * 1024  # the pages that a transaction writes besides its entries

_DAMAGE: Final = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.IncompatibleError,
)


def open_environment(path: Path) -> lmdb.Environment:
    """Open or make the environment in folder `path`. Raises OSError, QuorateError."""
    make_dir(path)
    _reserve_lock_file(path / LOCK_FILE)
    doing = f"open the log in {path}"
    for map_size in MAP_SIZES:
        try:
            env = lmdb.open(
                str(path),
                map_size=map_size,
                max_dbs=2,
                max_readers=_MAX_READERS,
                max_spare_txns=2,
                mode=0o600,
                readahead=False,
            )
        except lmdb.Error as error:
            # ENOMEM: no such address range to be had (a 32 bit host, or a limit of the user).
            if getattr(error, "code", 0) == errno.ENOMEM and map_size != MAP_SIZES[-1]:
                continue
            raise lmdb_error(error, doing, path) from error
        fsync_dir(path)
        return env
    raise AssertionError  # the loop returns or raises


def _reserve_lock_file(path: Path) -> None:
    """Give LMDB's lock file its blocks on the disk.

    LMDB writes to it through memory: on a full disk, a block that is not there yet would end the
    process with SIGBUS. What it holds does not matter, whoever opens it first clears it.
    """
    if not path.exists() or path.stat().st_size < _LOCK_FILE_SIZE:
        write_synced(path, bytes(_LOCK_FILE_SIZE))


def lmdb_error(error: lmdb.Error, doing: str, folder: Path, size: int = 0) -> QuorateError:
    """What an error of LMDB means; `size` is about how many bytes were being written."""
    path = str(folder / DATA_FILE)
    if isinstance(error, lmdb.MapFullError):
        return StorageFull(f"cannot {doing}: the log has reached its largest size", "compact it")
    if isinstance(error, _DAMAGE):
        return LogDamaged(f"{path} is damaged: {error}", path=path)
    # A write that the disk took in part is EIO to LMDB, whether the disk is full or broken.
    code = getattr(error, "code", 0)  # py-lmdb's own errors have none
    if code in NO_ROOM or (code == errno.EIO and _is_full(folder, size)):
        return disk_error(errno.ENOSPC, os.strerror(errno.ENOSPC), doing)
    return disk_error(code, str(error), doing)


def _is_full(folder: Path, size: int) -> bool:
    """True if another `size` bytes really do not fit into the folder's disk, or quota."""
    probe = folder / _PROBE_FILE
    try:
        write_synced(probe, bytes(size + _PROBE_EXTRA))
    except OSError as error:
        return error.errno in NO_ROOM
    finally:
        probe.unlink(missing_ok=True)
    return False
