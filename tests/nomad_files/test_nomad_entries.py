"""Bodies of Nomad's commands: names, times and bytes are readable, and secrets are not."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from bolt_builder import entry_value
from nomad_servers import opened, raft_db

from quorate.errors import BadFrame
from quorate.nomad.commands import COMMANDS, command_name
from quorate.nomad.log_entry import BadEntry, NomadEntry, body_of, decode


def entries(name: str) -> dict[int, NomadEntry]:
    return {e.index: e for e in opened(raft_db(name)).entries() if isinstance(e, NomadEntry)}


def made(command: int, body: Any) -> NomadEntry:
    packed = msgpack.packb(body, use_bin_type=False)
    found = decode(1, entry_value(1, data=bytes((command,)) + packed), 2)
    assert isinstance(found, NomadEntry)
    return found


def test_a_write_of_a_variable() -> None:
    entry = entries("s2")[8]
    body = body_of(entry)
    assert entry.command_name == "VarApplyStateRequestType"
    assert (body["Op"], body["Var"]["Path"], body["Var"]["Data"]) == ("set", "a/b", "(37 bytes)")
    shown = body_of(entry, secrets=True)["Var"]["Data"]
    assert len(bytes.fromhex(shown.removeprefix("hex:"))) == 37


def test_all_bodies_become_json() -> None:
    for name in ("s1", "a1", "restored"):
        for entry in entries(name).values():
            json.dumps([body_of(entry), body_of(entry, secrets=True)])


def test_no_secret_is_shown_unless_it_is_asked_for() -> None:
    secrets: set[str] = set()
    for entry in entries("a1").values():
        body = body_of(entry, secrets=True)
        tokens = [*(body or {}).get("Tokens", []), (body or {}).get("Token") or {}]
        secrets.update(token["SecretID"] for token in tokens if "SecretID" in token)
        secrets.update(filter(None, [(body or {}).get("OneTimeSecretID", "")]))
        secrets.update(filter(None, [(body or {}).get("AuthToken", "")]))
    assert len(secrets) >= 4
    shown = json.dumps([body_of(entry) for entry in entries("a1").values()])
    assert not [secret for secret in secrets if secret in shown]
    assert '"SecretID": "(36 bytes)"' in shown


def test_accessors_are_secret_in_some_commands() -> None:
    assert body_of(made(11, {"Accessors": [1]})) == {"Accessors": "(hidden)"}
    assert body_of(made(1, {"Accessors": [1]})) == {"Accessors": [1]}


def test_a_map_whose_keys_are_maps() -> None:
    assert (
        "default.old" in body_of(next(e for e in entries("a1").values() if e.command == 26))["Jobs"]
    )


def test_names_of_commands() -> None:
    assert command_name(26) == "JobBatchDeregisterRequestType"
    assert command_name(62) == "Unknown(62)"
    assert len(COMMANDS) == 63
    assert made(0x80 | 24, {}).command_name == "AutopilotRequestType"


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\x18\xc1", "no msgpack"), (b"\x18", "no msgpack"), (b"\x18" + b"\x91" * 2000, "msgpack")],
)
def test_a_body_that_is_none(data: bytes, text: str) -> None:
    entry = decode(1, entry_value(1, data=data), 2)
    assert isinstance(entry, NomadEntry)
    with pytest.raises(BadFrame, match=text):
        body_of(entry)


@pytest.mark.parametrize(
    "value",
    [b"", b"\x90", b"\x80", entry_value(2), entry_value(1) + b"\0", entry_value(1, kind=9)],
)
def test_a_value_that_is_no_entry(value: bytes) -> None:
    assert isinstance(decode(1, value, 7), BadEntry)
