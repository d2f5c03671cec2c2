"""A folder as the target: a name stands for a whole file, and a failure leaves nothing."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from full_files import nothing_may_be_written

from quorate.backup.folder import FolderTarget
from quorate.backup.places import check_endpoint, check_url, open_target, split_file
from quorate.backup.target import Absent, Settings, TargetError, reader
from quorate.errors import QuorateError

NAME = "quorate-1b2f03aa-20261129T030000Z-812.snap"
DATA = b"x" * 700_000


def always() -> bool:
    return True


def put(target: FolderTarget, data: bytes = DATA, may: Callable[[], bool] = always) -> None:
    target.put(NAME, io.BytesIO(data).read, len(data), may)


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path))
    put(target)
    assert b"".join(target.get(NAME)) == DATA
    assert reader(target.get(NAME))(5) == b"xxxxx"
    assert target.names() == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    target.delete(NAME)
    target.delete(NAME)
    assert (target.names(), list(tmp_path.iterdir())) == ([], [])
    with pytest.raises(Absent):
        next(target.get(NAME))


def full(_: int) -> bytes:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("read", "may", "says"),
    [
        (full, always, "No space left on device"),
        (io.BytesIO(DATA[:-1]).read, always, "699999 of 700000 bytes"),
        (io.BytesIO(DATA).read, lambda: False, "leads no more"),
    ],
)
def test_a_failure_leaves_nothing(
    tmp_path: Path, read: Callable[[int], bytes], may: Callable[[], bool], says: str
) -> None:
    with pytest.raises(TargetError, match=says):
        FolderTarget(str(tmp_path)).put(NAME, read, len(DATA), may)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path))
    put(target)
    with pytest.raises(TargetError, match="there is a file"):
        put(target, b"other")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [DATA]


def test_what_a_killed_server_has_begun_goes_with_the_next_file(tmp_path: Path) -> None:
    ours = tmp_path / f".unfinished-{NAME}-00112233"
    trial = tmp_path / ".unfinished-trial-00112233"
    theirs = tmp_path / ".unfinished-quorate-ffffffff-20261129T030000Z-1.snap-00112233"
    for each in (ours, trial, theirs):
        each.write_bytes(b"half")
    target = FolderTarget(str(tmp_path))
    assert target.names() == []
    put(target)
    assert sorted(tmp_path.iterdir()) == sorted([theirs, tmp_path / NAME])


def test_a_trial_leaves_nothing_and_tells_of_a_folder_without_room(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path))
    target.try_out()
    with nothing_may_be_written(), pytest.raises(TargetError, match=r"cannot write in .*too large"):
        target.try_out()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_told_and_not_made(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path / "away"))
    calls: list[Callable[[], object]] = [
        *(lambda: put(target), target.names, lambda: target.delete(NAME), target.try_out),
        lambda: next(target.get(NAME)),
    ]
    for call in calls:
        with pytest.raises(TargetError, match="No such file or directory") as caught:
            call()
        assert not isinstance(caught.value, Absent), "a file that is gone, or a folder?"
        assert "mount it" in caught.value.next_step
    assert not (tmp_path / "away").exists()


def test_a_pipe_in_the_place_of_a_backup_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(TargetError, match="no regular file"):
        next(FolderTarget(str(tmp_path)).get(NAME))


@pytest.mark.parametrize("name", ["", "..", "../a.snap", "a/b.snap", ".a.snap", "a.tmp", "a" * 300])
def test_no_other_name_is_asked_for(tmp_path: Path, name: str) -> None:
    target = FolderTarget(str(tmp_path))
    with pytest.raises(TargetError, match="no name of a backup"):
        target.delete(name)
    with pytest.raises(TargetError, match="no name of a backup"):
        next(target.get(name))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "neither a folder nor a bucket"),
        ("/var/backups", "neither"),
        ("http://host/a", "neither"),
        ("file://host/a", "no absolute path"),
        ("file:a", "no absolute path"),
        ("s3:///a", "names no bucket"),
        ("s3://key:secret@bucket/a", "holds more than a place"),
        ("s3://bucket/a?secret=1", "holds more than a place"),
        ("file:///" + "a" * 1000, "longer than"),
        ("file://[host/a", "is no URL"),
        ("s3://[", "is no URL"),
        ("file:///a%00b", "zero byte"),
    ],
)
def test_urls_that_name_no_target(url: str, says: str) -> None:
    with pytest.raises(QuorateError, match=says) as caught:
        check_url(url)
    assert "secret" not in caught.value.text


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "host:9000",
        "https://",
        "http://[",
        "http://h:x",
        "s3://h",
        "https://key:secret@h",
    ],
)
def test_endpoints_that_are_no_server(url: str) -> None:
    with pytest.raises(QuorateError, match="the endpoint is not the URL") as caught:
        check_endpoint(url)
    assert "secret" not in caught.value.line()
    with pytest.raises(QuorateError, match="endpoint"):
        open_target(Settings(url="s3://bucket/a", endpoint=url))


def test_endpoints() -> None:
    for url in ("", "http://127.0.0.1:9000", "https://minio.example", "http://[::1]:9000/"):
        check_endpoint(url)


def test_urls_of_folders_and_files(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    folder.mkdir()
    settings = Settings(url=f"file://{tmp_path}/with%20blank")
    put_there = open_target(settings)
    put_there.put(NAME, io.BytesIO(DATA).read, len(DATA), always)
    assert (folder / NAME).exists()
    assert split_file(settings) == (settings, "")
    named = Settings(url=f"{settings.url}/{NAME}")
    assert split_file(named) == (settings, NAME)
