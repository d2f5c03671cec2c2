"""How much room the disk under a folder has."""

from __future__ import annotations

import shutil
from pathlib import Path

from quorate.storage.disk_errors import clear_errors


def free_bytes(path: Path) -> int:
    """Bytes that an ordinary user may still write on the file system of `path`.

    Raises QuorateError when the path does not exist or cannot be asked.
    """
    with clear_errors(f"ask for the free space of {path}"):
        return shutil.disk_usage(path).free
