"""Archives without secrets: nothing of a key or a value is left, and all else is as it was."""

from __future__ import annotations

import io
import json
import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from archive_builders import archive_of, members_of, packed, parts, some_state, state_bytes
from cli_run import run
from client_fake_agent import FakeAgent, Reply
from places import VECTORS

from quorate.archive.contents import rows
from quorate.archive.meta import STATE, ArchiveError
from quorate.archive.reading import read_archive
from quorate.archive.redacting import redact
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.commands import BeginRestore
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.registry import TODAY
from quorate.state.tables.acl.tokens import AclToken, PutToken
from quorate.state.tables.root_keys import AddRootKey
from quorate.state.tables.variables import PutVariable

KEY = b"root key of 32 bytes, to be left"
VALUE = b"the sealed text of a value"
DIGEST = b"the digest of a secret, 32 bytes"
SECRET_FIELDS = {
    "acl_tokens": {"data", "digest", "nonce"},
    "root_keys": {"key"},
    "variables": {"data", "nonce"},
}
REAL = VECTORS / "nomad" / "nomad-1.0.18.snap"


def with_secrets(*, restoring: bool = False) -> bytes:
    store = some_state()
    commands = [
        RaiseLevel(level=3),
        AddRootKey(key_id="k-1", key=KEY, create_time=1),
        PutVariable(
            namespace="default", path="app/db", time_ns=5, data=VALUE, key_id="k-1", nonce=b"n" * 24
        ),
        PutVariable(
            namespace="default", path="web/x", time_ns=6, data=VALUE, key_id="k-1", nonce=b"n" * 24
        ),
        RaiseLevel(level=4),
        PutToken(
            accessor="a",
            token=AclToken(digest=DIGEST, data=VALUE, key_id="k-1", nonce=b"n" * 24, name="t"),
        ),
    ]
    for command in commands:
        store.apply(store.applied_index + 1, encode(command))
    if restoring:
        names = ("acl_tokens", "root_keys", "variables")
        begin = BeginRestore(id="r", index=5_000_000, tables=names)
        store.apply(store.applied_index + 1, encode(begin))
    state = state_bytes(store)
    index = store.applied_index
    return archive_of(state, id=f"2-{index}-1795444800000", index=index, quorate_level=4)


def records(archive: bytes) -> list[tuple[str, str, dict[str, Any]]]:
    state = members_of(archive)[STATE]
    return [(r.table, r.key, r.fields) for r in rows(io.BytesIO(state).read)]


def redacted(archive: bytes) -> bytes:
    out = io.BytesIO()
    redact(io.BytesIO(archive), out.write)
    return out.getvalue()


@pytest.mark.parametrize("restoring", [False, True])
def test_nothing_of_a_secret_is_left_and_all_else_stays(restoring: bool) -> None:
    archive = with_secrets(restoring=restoring)
    made = redacted(archive)
    state = members_of(made)[STATE]
    assert KEY not in state
    assert VALUE not in state
    assert DIGEST not in state
    checked = read_archive(io.BytesIO(made).read)
    assert checked.meta.quorate_redacted is True
    before, after = records(archive), records(made)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    for (table, _, old), (_, _, new) in zip(before, after, strict=True):
        gone = SECRET_FIELDS.get(table.removeprefix("restoring:"), set())
        assert {k: v for k, v in new.items() if k not in gone} == {
            k: v for k, v in old.items() if k not in gone
        }
        assert all(new[name] == b"" for name in gone)
    decode_snapshot(io.BytesIO(state).read, TODAY)  # the form is that of a state


def test_what_is_redacted_stays_as_it_is() -> None:
    made = redacted(with_secrets())
    assert redacted(made) == made


def test_a_large_archive_is_redacted_in_pieces() -> None:
    sizes: list[int] = []
    store = some_state()
    store.apply(store.applied_index + 1, encode(RaiseLevel(level=3)))
    for number in range(300):
        put = PutVariable(namespace="d", path=f"{number:03}", time_ns=1, data=os.urandom(20_000))
        store.apply(store.applied_index + 1, encode(put))
    index = store.applied_index
    archive = archive_of(
        state_bytes(store), id=f"2-{index}-1795444800000", index=index, quorate_level=3
    )
    redact(io.BytesIO(archive), lambda data: sizes.append(len(data)))
    assert max(sizes) < 100_000


@pytest.mark.parametrize("cut", [10, 200, -1])
def test_a_broken_archive_is_refused(cut: int) -> None:
    with pytest.raises(ArchiveError):
        redacted(with_secrets()[:cut])


def test_a_state_with_a_wrong_digest_is_refused() -> None:
    state = members_of(with_secrets())[STATE]
    with pytest.raises(ArchiveError, match="SHA-256 of the state"):
        redacted(packed(parts(state[:-1] + b"x")))


def test_an_archive_of_nomad_is_not_redacted() -> None:
    with pytest.raises(ArchiveError, match="not that of a Quorate server"):
        redacted(REAL.read_bytes())


# -- the command line --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_redact_replaces_the_file(folder: Path) -> None:
    file = folder / "a.snap"
    file.write_bytes(with_secrets())
    done = run("operator", "snapshot", "redact", "a.snap")
    assert done == (0, "Redacted snapshot written to a.snap\n", "")
    assert file.read_bytes() == redacted(with_secrets())
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in folder.iterdir()] == ["a.snap"]
    shown = run("operator", "snapshot", "inspect", "a.snap").stdout
    assert "Secrets     none (redacted: it cannot be restored)\n" in shown


def test_redact_to_another_file(folder: Path) -> None:
    (folder / "a.snap").write_bytes(with_secrets())
    assert run("operator", "snapshot", "redact", "-out=b.snap", "a.snap").code == 0
    assert (folder / "a.snap").read_bytes() == with_secrets()
    assert (folder / "b.snap").read_bytes() == redacted(with_secrets())
    again = run("operator", "snapshot", "redact", "-out=b.snap", "a.snap")
    assert again.code == 1
    assert 'Destination file already exists: "b.snap"' in again.stderr


def test_a_redaction_that_fails_leaves_the_file_as_it_was(folder: Path) -> None:
    (folder / "a.snap").write_bytes(with_secrets()[:-20])
    done = run("operator", "snapshot", "redact", "a.snap")
    assert done.code == 1
    assert done.stderr.startswith("Error redacting snapshot: ")
    assert (folder / "a.snap").read_bytes() == with_secrets()[:-20]
    assert [each.name for each in folder.iterdir()] == ["a.snap"]
    missing = run("operator", "snapshot", "redact", "none.snap")
    assert (missing.code, missing.stderr.count("\n")) == (1, 1)


def reply(archive: bytes) -> Reply:
    digest = b64encode(sha256(archive).digest()).decode()
    return Reply(200, archive, (("Digest", f"sha-256={digest}"),))


def test_save_redacted(folder: Path) -> None:
    archive = with_secrets()
    with FakeAgent({"GET /v1/operator/snapshot": reply(archive)}) as agent:
        words = ("operator", "snapshot", "save", "-redact", "a.snap")
        done = run(*words, env={"NOMAD_ADDR": agent.address})
    assert done == (0, "State file written to a.snap\n", "")
    assert (folder / "a.snap").read_bytes() == redacted(archive)
    assert [each.name for each in folder.iterdir()] == ["a.snap"]


def test_a_redacted_save_that_is_cut_leaves_no_file(folder: Path) -> None:
    archive = with_secrets()
    for end in {*range(0, len(archive), 1_000), *range(len(archive) - 64, len(archive))}:
        with FakeAgent({"GET /v1/operator/snapshot": reply(archive[:end])}) as agent:
            words = ("operator", "snapshot", "save", "-redact", "a.snap")
            done = run(*words, env={"NOMAD_ADDR": agent.address})
        assert (done.code, done.stderr.count("\n")) == (1, 1), end
        assert not list(folder.iterdir())


def test_inspect_says_who_can_read_what_is_in_it(folder: Path) -> None:
    (folder / "a.snap").write_bytes(with_secrets())
    shown = run("operator", "snapshot", "inspect", "a.snap").stdout
    assert (
        "Secrets     1 root key: the holder of this file can read all values and all tokens'"
        " secrets\n" in shown
    )


# -- state -filter -----------------------------------------------------------------------------


def shown(expression: str, *more: str) -> list[str]:
    done = run("operator", "snapshot", "state", f"-filter={expression}", *more, "a.snap")
    assert (done.code, done.stderr) == (0, ""), done
    return [json.loads(line)["Key"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("expression", "keys"),
    [
        ('Value.path == "app/db"', ["default\0app/db"]),
        ('Value.path matches "^web/"', ["default\0web/x"]),
        ('Type == "variables" and not (Value.path contains "db")', ["default\0web/x"]),
        ("Type == root_keys and Value.create_time == 1", ["k-1"]),
        ("Value.create_time == 6", ["default\0web/x"]),
        ('Value.key_id is not empty and Key contains "web"', ["default\0web/x"]),
        ('Value.none == "x"', []),
    ],
)
def test_records_that_fit(expression: str, keys: list[str], folder: Path) -> None:
    (folder / "a.snap").write_bytes(with_secrets())
    assert shown(expression) == keys


def test_a_filter_and_a_type(folder: Path) -> None:
    (folder / "a.snap").write_bytes(with_secrets())
    assert shown("Key contains k", "-type=root_keys") == ["k-1"]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('Nope == "x"', "no field: there are Type, Key, Value.<name>"),
        ("Type ==", "at character 8: the expression ends where a value is expected"),
        ("(" * 40, "nested more than 16 deep"),
        ('Key matches "("', "at character 13"),
    ],
)
def test_a_bad_filter_names_the_place(expression: str, text: str, folder: Path) -> None:
    (folder / "a.snap").write_bytes(with_secrets())
    done = run("operator", "snapshot", "state", f"-filter={expression}", "a.snap")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("Failed to read filter expression: ")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_filter_goes_on_over_many_records(folder: Path) -> None:
    """The steps of a regular expression are bounded for each of some records, not for all."""
    store = some_state()
    store.apply(store.applied_index + 1, encode(RaiseLevel(level=3)))
    for number in range(2_000):
        put = PutVariable(namespace="d", path=f"a{number:05}", time_ns=1, data=b"x")
        store.apply(store.applied_index + 1, encode(put))
    index = store.applied_index
    archive = archive_of(
        state_bytes(store), id=f"2-{index}-1795444800000", index=index, quorate_level=3
    )
    (folder / "a.snap").write_bytes(archive)
    assert shown('Value.path matches "a.*99$"') == [f"d\0a{n:05}" for n in range(99, 2_000, 100)]
