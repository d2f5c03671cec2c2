"""Files that operators name: a path may lead to anything, and nothing is read beyond its bound."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from cli_run import run

from quorate.config.read.parse import parse_file
from quorate.errors import ConfigError, QuorateError
from quorate.given_files import beginning, content, opened
from quorate.storage.folder.identity import Identity, read_identity, write_identity
from quorate.storage.folder.keyring_file import read_keyring
from quorate.storage.folder.twin_file import TwinFile


@pytest.fixture
def things(tmp_path: Path) -> dict[str, Path]:
    """What is no file: nothing of it may be waited for, or read to an end."""
    found = {"folder": tmp_path / "folder", "pipe": tmp_path / "pipe", "zero": Path("/dev/zero")}
    found["folder"].mkdir()
    os.mkfifo(found["pipe"])
    return found


def test_what_is_no_file_is_refused(things: dict[str, Path]) -> None:
    for name, path in things.items():
        with pytest.raises(OSError, match="directory" if name == "folder" else "no regular file"):
            opened(path)
        with pytest.raises(OSError, match=r"directory|more than 9|nothing is written"):
            content(path, 9, stream=True)


def test_a_pipe_is_read_to_its_end_and_a_file_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    assert content(file, 10) == beginning(file, 10) == beginning(file, 9) == b"0123456789"
    with pytest.raises(OSError, match="it has more than 9 bytes"):
        content(file, 9)
    file.write_bytes(b"")
    assert content(file, 9) == b""
    reading, writing = os.pipe()

    def write_late() -> None:
        for piece in (b"abc", b"def"):
            os.write(writing, piece)
        os.close(writing)

    thread = threading.Thread(target=write_late)
    thread.start()
    try:
        assert content(f"/dev/fd/{reading}", 9, stream=True) == b"abcdef"
    finally:
        thread.join()
        os.close(reading)


COMMANDS = [
    ("operator", "recover", "apply", "{}", "."),
    ("operator", "snapshot", "inspect", "{}"),
    ("operator", "snapshot", "state", "{}"),
    ("operator", "snapshot", "restore", "{}"),
    ("operator", "snapshot", "redact", "{}"),
    ("operator", "raft", "info", "{}"),
    ("operator", "raft", "logs", "{}"),
    ("operator", "raft", "state", "{}"),
    ("operator", "raft", "salvage", "{}"),
    ("operator", "recover", "undo", "{}"),
    ("operator", "recover", "verify", "{}"),
    ("operator", "recover", "plan", "{}"),
    ("var", "put", "@{}"),
    ("var", "get", "-out=go-template", "-template=@{}", "a"),
    ("tls", "cert", "info", "{}"),
    ("operator", "api", "-ca-cert={}", "x"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
def test_a_command_ends_by_one_line(words: tuple[str, ...], things: dict[str, Path]) -> None:
    for name, path in things.items():
        given = [word.format(path) for word in words]
        done = run(*given, env={"NOMAD_ADDR": "https://127.0.0.1:1"})
        assert done.code == 1, (name, done)
        assert "Traceback" not in done.stderr
        assert 0 < len(done.stderr.splitlines()) <= 3, done.stderr


def test_a_configuration_that_is_no_file(things: dict[str, Path]) -> None:
    for name, why in (("folder", "is a directory"), ("zero", "larger than")):
        with pytest.raises(ConfigError, match=why):
            parse_file(things[name])


def test_members_of_a_data_folder_that_are_no_files(things: dict[str, Path]) -> None:
    folder = things["folder"]
    for name in ("pipe", "zero"):
        for file in ("quorate.json", "ring", "twin"):
            (folder / file).unlink(missing_ok=True)
            (folder / file).symlink_to(things[name])
        with pytest.raises(QuorateError, match="no regular file"):
            read_identity(folder)
        with pytest.raises(QuorateError, match="no regular file"):
            read_keyring(folder / "ring")
        with pytest.raises(QuorateError, match="no regular file"):
            TwinFile(folder / "twin", Identity).read()
    (folder / "quorate.json").unlink()
    write_identity(folder, Identity(region="global", node_id="a"))
    with (folder / "quorate.json").open("ab") as grown:
        grown.truncate(1 << 30)  # it takes no room on the disk, and would take all of the memory
    with pytest.raises(QuorateError, match="more than 16777216 bytes"):
        read_identity(folder)
