"""The process that checks a backup: what it finds whole, and what it never does."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from archive_builders import archive_of, packed, parts, some_state, state_bytes

from quorate.backup.check import ABSENT, BROKEN, UNKNOWN, Job, Result, check
from quorate.backup.proving import Proof
from quorate.backup.target import Settings
from quorate.state.engine.commands import encode
from quorate.state.tables.namespaces import Namespace, UpsertNamespace

NAME = "quorate-1b2f03aa-20261129T030000Z-812.snap"


def job(folder: Path, **more: int) -> Job:
    bounds = {"memory_bytes": 1 << 30, "deadline_s": 60, **more}
    return Job(target=Settings(url=f"file://{folder}"), name=NAME, **bounds)


def found(folder: Path, data: bytes) -> Result:
    (folder / NAME).write_bytes(data)
    return check(job(folder))


def test_a_whole_one_has_the_digest_of_its_state(tmp_path: Path) -> None:
    store = some_state()
    archive = archive_of(state_bytes(store))
    (tmp_path / NAME).write_bytes(archive)
    result = Proof(job(tmp_path)).run()
    assert (result.failed, result.why) == ("", "")
    assert result.digest == store.digest().hex()
    assert (result.size, result.sha256) == (len(archive), hashlib.sha256(archive).hexdigest())


def test_a_cut_one_is_broken_wherever_it_is_cut(tmp_path: Path) -> None:
    archive = archive_of(state_bytes())
    padded = archive_of(os.urandom(20_000))
    for data in (archive, padded):
        ends = {*range(0, len(data), 1_000), *range(len(data) - 64, len(data))}
        assert {found(tmp_path, data[:end]).failed for end in ends} == {BROKEN}


def test_a_state_whose_own_digest_is_wrong_is_broken(tmp_path: Path) -> None:
    state = state_bytes()
    broken = state[:-1] + bytes([state[-1] ^ 1])
    assert found(tmp_path, packed(parts(broken))).failed == BROKEN


def test_one_that_is_gone_and_one_that_cannot_be_asked_for(tmp_path: Path) -> None:
    assert check(job(tmp_path)).failed == ABSENT
    assert check(job(tmp_path / "away")).failed == UNKNOWN


def test_a_process_that_has_no_memory_damages_nothing(tmp_path: Path) -> None:
    store = some_state()
    large = Namespace(name="large", description="x" * (60 << 20))
    store.apply(store.applied_index + 1, encode(UpsertNamespace(namespace=large)))
    (tmp_path / NAME).write_bytes(archive_of(state_bytes(store)))
    starved = Proof(job(tmp_path, memory_bytes=60 << 20)).run()
    assert (starved.failed, starved.digest) == (UNKNOWN, "")


def test_a_process_that_has_no_time_damages_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        target = Settings(url="s3://bucket", endpoint=endpoint, region="here")
        hanging = Job(target=target, name=NAME, memory_bytes=1 << 30, deadline_s=1)
        result = Proof(hanging).run()
    assert result.failed == UNKNOWN
    assert "no result, after at most 1 s" in result.why


def test_one_that_is_stopped_before_it_begins_starts_nothing(tmp_path: Path) -> None:
    proof = Proof(job(tmp_path))
    proof.stop()
    assert proof.run() == Result(failed=UNKNOWN, why="the check was stopped")
