"""Serf's snapshot file: what real agents wrote is understood, and what we write says the same."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import VECTORS

from quorate.errors import QuorateError, StorageFull
from quorate.gossip.messages import Address
from quorate.storage.folder.serf_snapshot import (
    COMPACT_BYTES,
    SerfSnapshot,
    alive_line,
    can_be_written,
    parse_address,
    read_known,
)

FILES = json.loads((VECTORS / "serf-files.json").read_text())


def test_files_of_real_agents() -> None:
    known = read_known(FILES["serf_agent_alpha_rejoin_false"].encode(), rejoin_after_leave=False)
    assert known.alive == {"alpha": Address("127.0.0.1", 17301)}
    assert known.clocks == [2, 1, 7]
    left = FILES["serf_agent_beta_left"].encode()
    assert read_known(left, rejoin_after_leave=False).alive == {}
    again = read_known(left, rejoin_after_leave=True)
    assert set(again.alive) == {"alpha", "beta"}
    assert again.clocks == [2, 1, 7]
    nomad = read_known(FILES["nomad_server_1"].encode(), rejoin_after_leave=True)
    assert nomad.alive["srv3.global"] == Address("127.0.0.1", 17423)


@pytest.mark.parametrize("again", [True, False])
def test_opening_makes_it_short_and_loses_nothing(tmp_path: Path, again: bool) -> None:
    path = tmp_path / "serf" / "snapshot"
    path.parent.mkdir()
    path.write_text(FILES["serf_agent_beta_left"])
    snapshot = SerfSnapshot(path, rejoin_after_leave=again)
    snapshot.close()
    assert len(snapshot.known.alive) == (2 if again else 0)
    second = SerfSnapshot(path, rejoin_after_leave=False)
    second.close()
    assert second.known.alive == snapshot.known.alive
    assert second.known.clocks == snapshot.known.clocks


def test_it_grows_and_is_made_short_again(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    snapshot = SerfSnapshot(path, rejoin_after_leave=False)
    largest = 0
    for count in range(3000):
        snapshot.append([alive_line("a name", Address("::1", count)), f"clock: {count}"] * 2)
        largest = max(largest, path.stat().st_size)
    assert COMPACT_BYTES - 200 < largest <= COMPACT_BYTES
    assert path.stat().st_size < COMPACT_BYTES
    snapshot.append(["leave", "clock: 9999"])
    snapshot.close()
    assert path.read_text().endswith("leave\n")
    again = SerfSnapshot(path, rejoin_after_leave=True)
    again.close()
    assert again.known.alive == {"a name": Address("::1", 2999)}
    assert again.known.clocks == [2999, 0, 0]


@given(content=st.binary(max_size=300))
def test_any_content_is_read(content: bytes) -> None:
    read_known(content, rejoin_after_leave=False)


def test_torn_and_damaged_lines_are_passed_over() -> None:
    content = (
        b"# a comment\nalive: a 10.0.0.1:1\nalive: \nalive: b nowhere\nclock: x\nclock: -3\n"
        b"coordinate: {}\nevent-clock: 5\n\xff\xfe\nalive: c [::1]:2\nalive: torn 10.0.0.9:46"
    )
    known = read_known(content, rejoin_after_leave=False)
    assert known.alive == {"a": Address("10.0.0.1", 1), "c": Address("::1", 2)}
    assert known.clocks == [0, 5, 0]


@pytest.mark.parametrize("text", ["", ":1", "a", "a:", "a:x", "a:70000", "a:123456", "a:²"])
def test_what_is_no_address(text: str) -> None:
    assert parse_address(text) is None


def test_names_that_would_write_lines_of_their_own() -> None:
    assert can_be_written("a name.global")
    assert not any(map(can_be_written, ("", "x\nleave", "x\r", "\x00")))


def test_after_trouble_with_the_disk_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "snapshot"
    snapshot = SerfSnapshot(path, rejoin_after_leave=False)
    snapshot.close()  # as after a write that failed
    path.unlink()
    path.mkdir()
    with pytest.raises(QuorateError, match="write"):
        snapshot.append(["alive: a 10.0.0.1:1"])
    path.rmdir()
    snapshot.append(["clock: 7"])
    snapshot.append(["alive: b 10.0.0.2:1"])
    snapshot.close()
    known = read_known(path.read_bytes(), rejoin_after_leave=False)
    assert set(known.alive) == {"a", "b"}
    assert known.clocks == [7, 0, 0]


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    path.mkdir()
    with pytest.raises(QuorateError, match="snapshot"):
        SerfSnapshot(path, rejoin_after_leave=False)


def test_a_full_disk_keeps_no_server_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "snapshot"
    snapshot = SerfSnapshot(path, rejoin_after_leave=False)
    snapshot.append(["alive: a 10.0.0.1:1"])
    snapshot.close()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("quorate.storage.atomic.write_synced", full)
    again = SerfSnapshot(path, rejoin_after_leave=False)
    assert set(again.known.alive) == {"a"}
    with pytest.raises(StorageFull):
        again.append(["clock: 7"])
    monkeypatch.undo()
    again.append(["alive: b 10.0.0.2:1"])
    again.close()
    known = read_known(path.read_bytes(), rejoin_after_leave=False)
    assert (set(known.alive), known.clocks) == ({"a", "b"}, [7, 0, 0])
