"""One process per data folder.

Invariant: while a `FolderLock` is held, no other process holds one on the same file. The lock is
the kernel's (flock) and goes with the process, however it ends; the file itself stays, because
removing it would let two processes lock two files of the same name. The pid in it is for people.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from quorate.errors import DataFolderInUse
from quorate.storage.disk_errors import clear_errors


class FolderLock:
    """Holds the lock file at `path` from now until `release`.

    Raises DataFolderInUse, naming the folder and who holds it; QuorateError.
    """

    def __init__(self, path: Path) -> None:
        with clear_errors(f"lock {path}"):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
                os.close(self._descriptor)
                raise DataFolderInUse(
                    f"{path.parent} is in use by process {holder or '(unknown)'}",
                    "stop that process, or give this one a data folder of its own",
                ) from error
            except OSError:
                os.close(self._descriptor)
                raise
        with suppress(OSError):  # a full disk must not keep a server from starting
            pid = b"%d\n" % os.getpid()
            os.pwrite(self._descriptor, pid, 0)
            os.ftruncate(self._descriptor, len(pid))

    def release(self) -> None:
        """Give the lock back. The second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
