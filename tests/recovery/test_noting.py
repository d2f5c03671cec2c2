"""Acts on the folder of a stopped server leave audit records there, which refuse nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_run import Ran, run
from recovery_folders import IDS, golden_servers

from quorate.recovery.at_start import before_start
from quorate.storage.folder.audit_file import AuditFile, LocalRecord, file_of

LOST = f"-lost={IDS['s1']},{IDS['s2']}"


def recover(*words: object) -> Ran:
    return run("operator", "recover", *map(str, words))


def noted(data_dir: Path) -> list[LocalRecord]:
    return AuditFile(file_of(data_dir), "test").pending({})


def planned(tmp_path: Path) -> tuple[Path, Path]:
    folder = golden_servers(tmp_path)["s0"]
    file = tmp_path / "plan.json"
    assert recover("plan", f"-out={file}", folder).code == 0
    return folder, file


def test_a_recovery_and_its_undoing_are_noted_with_the_plan_and_the_user(tmp_path: Path) -> None:
    folder, file = planned(tmp_path)
    assert recover("apply", LOST, file, folder).code == 0
    assert recover("undo", folder).code == 0
    records = noted(folder)
    assert [(each.what, each.outcome) for each in records] == [
        ("recover apply", "begun"),
        ("recover apply", "done"),
        ("recover undo", "begun"),
        ("recover undo", "done"),
    ]
    assert len(dict(records[0].details)["plan"]) >= 16
    assert {each.address for each in records} == {"offline"}
    assert all("uid" in each.name for each in records)


def test_a_refused_one_changes_nothing_and_is_no_act(tmp_path: Path) -> None:
    folder, file = planned(tmp_path)
    assert recover("apply", file, folder).code == 1  # the lost ones are not named
    assert not file_of(folder).exists()


def test_a_recovery_by_peers_json_is_noted_at_the_start(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    address = "10.0.0.1:4647"
    text = json.dumps([{"id": IDS["s0"], "address": address, "non_voter": False}])
    (folder / "server" / "raft" / "peers.json").write_text(text)
    before_start(folder, own_address=address)
    (record,) = noted(folder)
    assert (record.what, record.outcome) == ("recover at the start", "done")
    assert address in dict(record.details)["servers"]
    before_start(folder)
    assert len(noted(folder)) == 1


def test_what_cannot_be_noted_is_done_all_the_same_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = planned(tmp_path)
    file_of(folder).parent.mkdir()
    file_of(folder).mkdir()  # in the place of the file
    ran = recover("apply", LOST, file, folder)
    assert ran.code == 0
    assert "no audit record is kept of this: " in ran.stderr
