"""`operator raft info | logs | state DIR` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_run import run
from nomad_servers import server_folder
from recovery_folders import flip, golden_servers


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_info_begins_as_nomads(tmp_path: Path) -> None:
    folder = server_folder("s2", tmp_path / "data")
    ran = run("operator", "raft", "info", str(folder))
    assert ran.code == 0
    first = [line.split(":", 1) for line in ran.stdout.splitlines()[:4]]
    assert [key for key, _ in first] == ["path", "length", "first index", "last index"]
    assert [value.strip() for _, value in first][1:] == ["78", "1", "78"]
    assert "snapshot:     index 74, term 2, 5527 bytes" in ran.stdout
    assert all(len(line) <= 80 for line in ran.stdout.splitlines() if str(tmp_path) not in line)
    shown = json.loads(run("operator", "raft", "info", "-json", str(folder)).stdout)
    assert (shown["LastIndex"], shown["CommitKnown"], shown["Kind"]) == (78, 74, "Nomad")
    template = "{{.LastTerm}} {{.LastIndex}}"
    assert run("operator", "raft", "info", "-t", template, str(folder)).stdout == "2 78\n"


def test_info_of_ours_and_its_damage(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    assert "written by:   Quorate\n" in run("operator", "raft", "info", str(folder)).stdout
    flip(folder / "server" / "raft" / "log" / "0000000001.segment", 512 * 30)
    ran = run("operator", "raft", "info", str(folder))
    assert ran.code == 2
    assert ran.stderr.startswith("damaged: entry ")


def test_logs_in_the_form_of_nomads_command(tmp_path: Path) -> None:
    folder = server_folder("s2", tmp_path / "data")
    ran = run("operator", "raft", "logs", str(folder))
    assert ran.code == 0
    found = lines(ran.stdout)
    assert [entry["Index"] for entry in found] == [*range(1, 79)]
    assert list(found[0]) == ["LogType", "Term", "Index", "Body"]
    assert list(found[0]["Body"]["Servers"][0]) == ["Address", "ID", "Suffrage"]
    assert found[1]["LogType"] == "LogNoop"
    assert found[7]["CommandType"] == "VarApplyStateRequestType"
    assert found[7]["Body"]["Var"]["Data"] == "(37 bytes)"
    shown = lines(run("operator", "raft", "logs", "-secrets", str(folder)).stdout)
    assert shown[7]["Body"]["Var"]["Data"].startswith("hex:")


@pytest.mark.parametrize("name", ["ours", "nomad"])
def test_short_lines_fit_into_eighty_columns(tmp_path: Path, name: str) -> None:
    ours = golden_servers(tmp_path)["s0"]
    folder = ours if name == "ours" else server_folder("a1", tmp_path / "nomad")
    ran = run("operator", "raft", "logs", "-short", str(folder))
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())
    assert ran.stdout.splitlines()[1].split()[:3] == ["1", "1", "Configuration"]


def test_some_entries_of_a_log(tmp_path: Path) -> None:
    folder = str(golden_servers(tmp_path)["s0"])
    chosen = "CommandType contains Variable or LogType == LogConfiguration"
    found = lines(run("operator", "raft", "logs", f"-filter={chosen}", folder).stdout)
    assert {entry["LogType"] for entry in found} == {"LogConfiguration"}
    locks = lines(
        run("operator", "raft", "logs", "-filter=CommandType == AcquireLock", folder).stdout
    )
    assert [entry["Index"] for entry in locks] == [14]
    assert '"data": "(21 bytes)"' in json.dumps(locks)
    short = run("operator", "raft", "logs", "-last-index=-50", folder)
    assert [entry["Index"] for entry in lines(short.stdout)] == [1, 2, 3]
    for words, text in (
        (("-last-index=99",), "the log holds the entries 1 to 53, and 99 is not among them"),
        (("-filter=Nothing == 1",), "Failed to parse filter: at character 1: 'Nothing'"),
        (("-filter=Index",), "Failed to parse filter"),
    ):
        ran = run("operator", "raft", "logs", *words, folder)
        assert (ran.code, ran.stdout) == (1, "")
        assert text in ran.stderr


def test_a_filter_of_a_long_log_has_no_bound_of_steps(tmp_path: Path) -> None:
    folder = str(server_folder("s1", tmp_path / "data"))
    expression = "CommandType matches `(a|b|V|S|c)*[A-Z]ar.*State`"
    ran = run("operator", "raft", "logs", f"-filter={expression}", "-short", folder)
    assert len(ran.stdout.splitlines()) == 1 + 57


def test_logs_go_on_behind_a_damaged_entry(tmp_path: Path) -> None:
    folder = server_folder("s2", tmp_path / "data")
    path = folder / "server" / "raft" / "raft.db"
    data = bytearray(path.read_bytes())
    data[8296] = 0xC1
    path.write_bytes(data)
    ran = run("operator", "raft", "logs", str(folder))
    assert ran.code == 2
    assert [entry["Index"] for entry in lines(ran.stdout)] == [*range(1, 8), *range(9, 79)]
    assert ran.stderr == "damaged: entry 8 (page 2): no msgpack: FormatError\n"


def test_state_of_ours_is_snapshot_and_log(tmp_path: Path) -> None:
    folder = str(golden_servers(tmp_path)["s0"])
    ran = run("operator", "raft", "state", "-type=variables", folder)
    (row,) = lines(ran.stdout)
    assert row["Key"] == "default\0golden"
    assert row["Value"]["data"] == "(21 bytes)"
    assert "whether the last entries are committed is not in the folder" in ran.stderr
    ran = run("operator", "raft", "state", "-type=none", folder)
    assert ran.code == 1
    assert 'There is no record of type "none"; the types in this state: ' in ran.stderr


def test_state_of_a_nomad_server_is_its_snapshot(tmp_path: Path) -> None:
    ran = run("operator", "raft", "state", str(server_folder("trimmed", tmp_path / "a")))
    assert len(lines(ran.stdout)) == 22
    assert "this is the newest snapshot, at index 127" in ran.stderr
    ran = run("operator", "raft", "state", str(server_folder("s1", tmp_path / "b")))
    assert ran.code == 1
    assert "holds no snapshot" in ran.stderr


@pytest.mark.parametrize("word", ["info", "logs", "state", "salvage"])
def test_no_folder_and_no_argument(tmp_path: Path, word: str) -> None:
    ran = run("operator", "raft", word, str(tmp_path))
    assert (ran.code, ran.stdout) == (1, "")
    assert f"File raft.db not found in path {tmp_path}" in ran.stderr
    assert run("operator", "raft", word).code == 1
    ran = run("operator", "raft", word, "")  # "$UNSET" of a shell
    assert (ran.code, ran.stdout) == (1, "")
    assert "The path to a data_dir is empty" in ran.stderr
