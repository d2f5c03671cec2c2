"""Small files are replaced whole; errors of the system become ours."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from quorate.errors import QuorateError, StorageFull
from quorate.storage.atomic import make_dir, write_atomic
from quorate.storage.disk_errors import NO_ROOM, disk_error
from quorate.storage.free_space import free_bytes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, mode in [(b"first, longer", 0o600), (b"second", 0o640)]:
        write_atomic(path, content, mode)
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == mode
    assert names(tmp_path) == ["file"]


def test_leftover_of_a_crash_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "file.tmp").write_bytes(b"a longer half of something")
    write_atomic(tmp_path / "file", b"x")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"x"


def test_order_of_a_durable_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are synced before the rename, the folder after it."""
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real_fsync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.name} {target.name}")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomic(tmp_path / "file", b"x")
    assert steps == ["sync file.tmp", "rename file.tmp file", f"sync {tmp_path.name}"]


def test_failed_rename_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(QuorateError, match=r"cannot write .*/folder: Is a directory"):
        write_atomic(tmp_path / "folder", b"x")
    assert names(tmp_path) == ["folder"]


def test_folders_are_private(tmp_path: Path) -> None:
    make_dir(tmp_path / "a" / "b")
    make_dir(tmp_path / "a" / "b")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("code", sorted(NO_ROOM))
def test_no_room_by_any_name_is_storage_full(code: int) -> None:
    error = disk_error(code, os.strerror(code), "write x")
    assert isinstance(error, StorageFull)
    what = "the file may not grow" if code == errno.EFBIG else "no room"
    assert error.text == f"cannot write x: {what} ({os.strerror(code)})"


def test_free_bytes(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    with pytest.raises(QuorateError, match="cannot ask for the free space of"):
        free_bytes(tmp_path / "missing")
