"""Snapshots in a folder, looked at without changing it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastcrc.crc64 import xz

from quorate.errors import LogDamaged
from quorate.given_files import opened
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import crc_bytes
from quorate.storage.snapshots.meta import STATE_FILE, SnapshotMeta, parse_id, read_meta

_CHUNK_BYTES: Final = 1 << 20


def names_in(folder: Path) -> list[str]:
    """Ids of what looks like a complete snapshot, newest first. Raises QuorateError."""
    with clear_errors(f"list {folder}"):
        names = [path.name for path in folder.iterdir() if path.is_dir()]
    return [key[2] for key in sorted(filter(None, map(parse_id, names)), reverse=True)]


def state_digest(state: Path) -> tuple[int, bytes]:
    """Size and checksum of a state. Raises LogDamaged if it is missing, QuorateError."""
    size, crc = 0, xz(b"")
    with clear_errors(f"read {state}"):
        if not state.exists():
            raise LogDamaged(f"{state} is missing", path=str(state))
        with opened(state) as file:
            while chunk := file.read(_CHUNK_BYTES):
                size += len(chunk)
                crc = xz(chunk, crc)
    return size, crc_bytes(crc)


def checked_meta(folder: Path) -> SnapshotMeta:
    """The meta of the snapshot in `folder`, after reading all of its state.

    Raises LogDamaged, QuorateError.
    """
    meta = read_meta(folder)
    state = folder / STATE_FILE
    check_state(state, meta.size, meta.crc)
    return meta


def check_state(state: Path, size: int, crc: bytes) -> None:
    """Raise LogDamaged unless the file has this size and this checksum."""
    found_size, found_crc = state_digest(state)
    if found_size != size:
        text = f"{state} is damaged: it has {found_size} bytes of {size}"
        raise LogDamaged(text, path=str(state))
    if found_crc != crc:
        text = f"{state} is damaged: its checksum does not match"
        raise LogDamaged(text, path=str(state))
