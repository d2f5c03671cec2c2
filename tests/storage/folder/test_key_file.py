"""The key of a server: made once, kept with its ID, never replaced in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from storage_builders import flip_all

from quorate.errors import LogDamaged, QuorateError
from quorate.storage.folder.key_file import FORMER_KEY_FILE, KEY_FILE, load_or_make_key
from quorate.storage.folder.replica_folder import ReplicaFolder


def open_folder(path: Path, server_id: str = "a") -> ReplicaFolder:
    return ReplicaFolder.open(path, server_id=server_id, run=bytes(8))


def made(path: Path) -> bytes:
    with open_folder(path) as folder:
        return load_or_make_key(folder).public


def test_key_is_made_once_and_signs(tmp_path: Path) -> None:
    public = made(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with open_folder(tmp_path) as folder:
        key = load_or_make_key(folder)
        assert key.public == public == folder.identity.public_key
        Ed25519PublicKey.from_public_bytes(public).verify(key.sign(b"hello"), b"hello")


def test_crash_before_the_public_half_was_kept(tmp_path: Path) -> None:
    public = made(tmp_path)
    (tmp_path / "quorate.json").unlink()
    assert made(tmp_path) == public


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604, 0o666])
def test_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    made(tmp_path)
    path = tmp_path / KEY_FILE
    path.chmod(mode)
    with open_folder(tmp_path) as folder, pytest.raises(QuorateError) as caught:
        load_or_make_key(folder)
    assert caught.value.text.startswith(f"{path} has mode {mode:04o}")
    assert f"chmod 600 {path}" in caught.value.next_step


@pytest.mark.parametrize("part", [b"private_key", b"ed25519", b"Checksum", b"server_id"])
def test_damaged_key_is_named_and_kept(tmp_path: Path, part: bytes) -> None:
    made(tmp_path)
    path = tmp_path / KEY_FILE
    assert flip_all(path, part) == 1
    before = path.read_bytes()
    with open_folder(tmp_path) as folder, pytest.raises(LogDamaged, match="key is damaged") as e:
        load_or_make_key(folder)
    assert e.value.path == str(path)
    assert "backup" in e.value.next_step
    assert path.read_bytes() == before


def test_missing_key_is_not_made_again(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    with open_folder(tmp_path) as folder, pytest.raises(LogDamaged, match="is missing, and this"):
        load_or_make_key(folder)
    assert not (tmp_path / KEY_FILE).exists()


def test_key_of_another_server_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "a")
    with open_folder(tmp_path / "b", "b") as folder:
        shutil.copy(tmp_path / "a" / KEY_FILE, tmp_path / "b" / KEY_FILE)
        with pytest.raises(LogDamaged, match="is the key of a, this server is b"):
            load_or_make_key(folder)


def test_another_key_of_the_same_server_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "a")
    made(tmp_path / "b")
    shutil.copy(tmp_path / "a" / KEY_FILE, tmp_path / "b" / KEY_FILE)
    with open_folder(tmp_path / "b") as folder, pytest.raises(LogDamaged, match="another key than"):
        load_or_make_key(folder)


def test_new_id_gets_a_new_key(tmp_path: Path) -> None:
    public = made(tmp_path)
    old = (tmp_path / KEY_FILE).read_bytes()
    with open_folder(tmp_path) as folder:
        folder.mark_rolled_back("b saw start 9", 1_800_000_000)
    with open_folder(tmp_path, "a2") as folder:
        assert load_or_make_key(folder).public != public
    assert (tmp_path / FORMER_KEY_FILE).read_bytes() == old
