"""A peers.json in a folder that was given: read, and its mistake named as a start would name it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recovery_folders import IDS, content_of, golden_servers

from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.reading import folder_at
from quorate.diagnosis.values import Finding, World
from quorate.recovery.looking.inspect import inspect


def rows(folder: Path) -> list[dict[str, Any]]:
    """The peers.json that is right for this folder."""
    known = inspect(folder).members.servers
    return [{"id": each.id, "address": each.address, "non_voter": False} for each in known]


def place(folder: Path) -> Path:
    return folder / "server" / "raft" / "peers.json"


def finding(folder: Path, cause: str) -> Finding:
    before = content_of(folder)
    found = diagnose(World(folders=(folder_at(folder),))).findings
    assert content_of(folder) == before
    return next(each for each in found if each.cause == cause)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return golden_servers(tmp_path_factory.mktemp("peers"))


def test_a_right_one_is_told_and_not_carried_out(folders: dict[str, Path]) -> None:
    folder = next(iter(folders.values()))
    place(folder).write_text(json.dumps(rows(folder)))
    found = finding(folder, "recovery-unfinished")
    assert str(place(folder)) in found.shown_by[0]
    assert all(each in found.shown_by[0] for each in IDS.values())
    assert found.next[1] == f"or start without a recovery: `rm {place(folder)}`"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("[", "line 1: it is no JSON"),
        ("", "line 1: the file is empty"),
        ('[\n  {"id": "x", "address": "10.0.0.1:4647"}\n]', "line 2: no server with the ID x is"),
        ('[\n\n {"id": "x", "adress": ""}]', "line 3: the key"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_cure(
    folders: dict[str, Path], wrong: str, said: str
) -> None:
    folder = next(iter(folders.values()))
    place(folder).write_text(wrong)
    found = finding(folder, "peers-json-wrong")
    assert said in found.shown_by[0]
    assert f"`quorate operator recover peers-json -out={place(folder)} DIR...`" in found.next[0]
    assert found.next[1].endswith(f"`rm {place(folder)}`")


def test_the_wrong_port_of_a_server_is_named(folders: dict[str, Path]) -> None:
    """The usual slip: the HTTP port in place of that of RPC."""
    folder = next(iter(folders.values()))
    listed = rows(folder)
    host, _, port = listed[0]["address"].rpartition(":")
    listed[0]["address"] = f"{host}:{int(port) - 1}"
    place(folder).write_text("[\n" + ",\n".join(map(json.dumps, listed)) + "\n]\n")
    found = finding(folder, "peers-json-wrong")
    assert "peers.json, line 2: the RPC address of" in found.shown_by[0]
    assert f"write {host}:{port}" in found.next[0]
