"""Data folders of servers that were stopped, and what is in them, byte for byte."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from places import ROOT

GOLDEN = ROOT / "tests" / "golden" / "folders" / "level-3" / "folders.tar.gz"
IDS = {
    "s0": "2842f543-c2f3-468c-831f-3e989f542e36",
    "s1": "5b666d1f-a12f-461a-84c8-e5fd0f0a3226",
    "s2": "29a76b13-ef97-4b0c-9aed-8b25416b9a6d",
}


def golden_servers(folder: Path) -> dict[str, Path]:
    """Three data_dirs of one cluster, whose servers were killed."""
    shutil.unpack_archive(GOLDEN, folder)
    return {name: folder / name for name in IDS}


def content_of(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
