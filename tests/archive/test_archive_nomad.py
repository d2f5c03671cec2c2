"""States of real Nomad servers: all records are found; what is broken is one clear line."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import msgpack
import pytest
from archive_builders import archive_of, members_of, state_bytes
from cli_run import run
from places import VECTORS

from quorate.archive.meta import STATE, ArchiveError
from quorate.nomad.state import StateRecord, records

FOLDER = VECTORS / "nomad"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
VARIABLES = "VariablesSnapshot"


def state_of(name: str) -> bytes:
    return members_of((FOLDER / f"{name}.snap").read_bytes())[STATE]


def found(state: bytes, piece: int = 1 << 20, **options: Any) -> list[StateRecord]:
    source = io.BytesIO(state)
    return list(records(lambda size: source.read(min(size, piece)), **options))


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
def test_all_records_are_found(name: str, piece: int) -> None:
    wanted, state = EXPECTED[name], state_of(name)
    for values_of in ((), None):
        all_of_it = found(state, piece, values_of=values_of)
        assert Counter(record.type for record in all_of_it) == wanted["types"]
        assert sum(record.size for record in all_of_it) == wanted["size"] - 1
        assert len(all_of_it) == wanted["records"]


@pytest.mark.parametrize("name", EXPECTED)
def test_variables_are_shown_without_what_is_sealed(name: str) -> None:
    shown = [r.value for r in found(state_of(name), values_of={VARIABLES}) if r.type == VARIABLES]
    assert [
        {
            "namespace": value["Namespace"],
            "path": value["Path"],
            "create_index": value["CreateIndex"],
            "modify_index": value["ModifyIndex"],
            "create_time": value["CreateTime"],
            "modify_time": value["ModifyTime"],
            "key_id": value["KeyID"],
            "sealed_bytes": int(value["Data"].strip("(bytes )")),
        }
        for value in sorted(shown, key=lambda value: (value["Namespace"], value["Path"]))
    ] == sorted(EXPECTED[name]["variables"], key=lambda row: (row["namespace"], row["path"]))


def test_secrets_of_tokens_are_hidden() -> None:
    tokens = [r.value for r in found(state_of("a1"), values_of=None) if r.type.startswith("ACLTok")]
    assert len(tokens) == 3
    assert all(token["SecretID"].endswith(" bytes)") for token in tokens)


def test_each_cut_within_a_record_is_refused() -> None:
    state = state_of("nomad-1.6.3")
    ends, at = {1}, 1
    for record in found(state):
        at += record.size
        ends.add(at)
    for end in range(0, len(state), 3):
        if end in ends:
            continue
        with pytest.raises(ArchiveError):
            found(state[:end])


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (b"\x81", "not that of a Nomad server"),
        (b"", "not that of a Nomad server"),
        (b"\x80\x01\xc1", "cannot be read"),
        (b"\x80\x01" + b"\x91" * 5_000 + b"\xc0", "cannot be read"),
        (b"\x80\x01\xdd\xff\xff\xff\xff", "cannot be read"),
        (b"\x80\x01\xc6\x7f\xff\xff\xff" + bytes(20 << 20), "too large"),
    ],
)
def test_what_is_no_state_is_refused(state: bytes, text: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        found(state, values_of=None)
    assert text in caught.value.text


def test_a_type_that_is_not_known_is_counted_by_its_number() -> None:
    state = b"\x80\x63" + msgpack.packb({"a": [1, {"b": b"c"}]}) + b"\x0e" + msgpack.packb({})
    assert [record.type for record in found(state)] == ["type 99", "ClusterMetadataSnapshot"]


# -- on the command line -------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED)
def test_inspect_and_state_of_a_real_archive(name: str) -> None:
    path = str(FOLDER / f"{name}.snap")
    told = json.loads(run("operator", "snapshot", "inspect", "-json", path).stdout)
    assert told["Kind"] == "Nomad"
    assert {kind["Name"]: kind["Count"] for kind in told["Stats"]} == EXPECTED[name]["types"]
    lines = run("operator", "snapshot", "state", path).stdout.splitlines()
    assert Counter(json.loads(line)["Type"] for line in lines) == EXPECTED[name]["types"]
    some = run("operator", "snapshot", "state", f"-type={VARIABLES}", path).stdout.splitlines()
    assert len(some) == len(EXPECTED[name]["variables"])


def test_state_shows_records_of_ours_without_secrets(tmp_path: Any) -> None:
    path = tmp_path / "a.snap"
    path.write_bytes(archive_of(state_bytes()))
    shown = run("operator", "snapshot", "state", "-type=scheduler_configuration", str(path))
    (line,) = shown.stdout.splitlines()
    assert json.loads(line)["Type"] == "scheduler_configuration"
    wrong = run("operator", "snapshot", "state", "-type=nosuch", str(path))
    assert (wrong.code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith(
        'There is no record of type "nosuch"; the types in this archive: '
    )
    assert "scheduler_configuration" in wrong.stderr
    path.write_bytes(archive_of(b"another"))
    refused = run("operator", "snapshot", "state", str(path))
    assert refused.code == 1
    assert refused.stderr.startswith("The state in it has no form")
    cut = archive_of(state_bytes())[:-9]
    path.write_bytes(cut)
    refused = run("operator", "snapshot", "state", str(path))
    assert (refused.code, refused.stdout) == (1, "")
