"""`quorate backup run` against a cluster of real Nomad, as far as it was recorded."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply
from full_files import nothing_may_be_written
from places import VECTORS

SAVE = "GET /v1/operator/snapshot"
SELF = "GET /v1/agent/self"
REAL = (VECTORS / "nomad" / "nomad-1.6.3.snap").read_bytes()
OLD = (VECTORS / "nomad" / "nomad-1.0.18.snap").read_bytes()
AGENT = json_reply({"config": {"Region": "eu-west", "DataDir": "/opt/nomad"}})
KEY = "eb2f56d9-aea2-8de1-8076-bad06126c2e4"


def reply(archive: bytes, digest_of: bytes | None = None) -> Reply:
    digest = sha256(archive if digest_of is None else digest_of).digest()
    return Reply(200, archive, (("Digest", "sha-256=" + b64encode(digest).decode()),))


def backup(folder: Path, answer: Reply, *words: str, agent: Reply = AGENT) -> Ran:
    with FakeAgent({SAVE: answer, SELF: agent}) as fake:
        environ = {"NOMAD_ADDR": fake.address}
        return run("backup", "run", f"-target=file://{folder}", *words, env=environ)


def test_it_is_whole_at_the_target_and_says_which_keys_it_lacks(tmp_path: Path) -> None:
    done = backup(tmp_path, reply(REAL))
    assert (done.code, done.stderr) == (0, "")
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == REAL
    assert file.name.startswith("nomad-eu.west-2")
    assert file.name.endswith("-74.snap")
    assert "State of = Nomad" in done.stdout
    assert "Nomad 1.4 to 1.8 never holds them" in done.stdout
    assert "in /opt/nomad/server/keystore: keep a copy" in done.stdout
    assert f"  {KEY}.nks.json" in done.stdout.splitlines()


def test_an_older_one_has_no_keys_to_lack(tmp_path: Path) -> None:
    done = backup(tmp_path, reply(OLD), "-json", agent=Reply(403, b"Permission denied"))
    assert done.code == 0
    told = json.loads(done.stdout)
    assert (told["KeyIDs"], told["Keystore"]) == ([], "")
    assert told["Name"].startswith("nomad-cluster-2")
    assert told["SHA256"] == sha256(OLD).hexdigest()


def test_nothing_is_deleted_where_the_region_is_not_known(tmp_path: Path) -> None:
    other = tmp_path / "nomad-cluster-20200101T000000Z-1.snap"
    other.touch()
    done = backup(tmp_path, reply(OLD), "-retain=1", agent=Reply(403, b"Permission denied"))
    assert (done.code, done.stdout) == (1, "")
    assert "does not tell its region" in done.stderr
    assert list(tmp_path.iterdir()) == [other]


def test_a_stream_that_is_cut_leaves_nothing(tmp_path: Path) -> None:
    ends = {*range(0, len(REAL), 1_000), *range(len(REAL) - 64, len(REAL))}
    for end in sorted(ends)[::8]:
        for answer in (reply(REAL[:end]), reply(REAL[:end], REAL)):
            done = backup(tmp_path, answer)
            assert (done.code, done.stdout) == (1, "")
            assert done.stderr.count("\n") == 1
            assert not list(tmp_path.iterdir())


def test_a_target_that_is_missing_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with FakeAgent({}) as fake:
        environ = {"NOMAD_ADDR": fake.address}
        for url, says in ((f"file://{tmp_path}/away", "No such file"), ("", "neither a folder")):
            done = run("backup", "run", f"-target={url}", env=environ)
            assert done.code == 1
            assert says in done.stderr
        assert fake.asked == []


def test_a_target_that_takes_nothing_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with FakeAgent({}) as fake:
        words = ("backup", "run", f"-target=file://{tmp_path}")
        with nothing_may_be_written():
            done = run(*words, env={"NOMAD_ADDR": fake.address})
        assert fake.asked == []
    assert (done.code, done.stdout) == (1, "")
    assert f"Error opening the target: cannot write in {tmp_path}: File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_template_that_cannot_be_read_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with FakeAgent({}) as fake:
        words = ("backup", "run", f"-target=file://{tmp_path}", "-t", "{{.Name")
        done = run(*words, env={"NOMAD_ADDR": fake.address})
        assert fake.asked == []
    assert done.code == 1
    assert done.stderr == "Error formatting the data: template: unclosed action: {{ without }}\n"
    assert not list(tmp_path.iterdir())


def test_the_newest_stay(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"nomad-eu.west-2020010{number}T000000Z-1.snap").touch()
    (tmp_path / "nomad-other-20200101T000000Z-1.snap").touch()
    (tmp_path / "nomad-euwest-20200101T000000Z-1.snap").touch()
    (tmp_path / "mine.txt").touch()
    done = backup(tmp_path, reply(REAL), "-retain=2")
    assert done.code == 0
    kept = sorted(each.name for each in tmp_path.iterdir())
    assert kept[0] == "mine.txt"
    assert kept[1] == "nomad-eu.west-20200103T000000Z-1.snap"
    assert kept[2].startswith("nomad-eu.west-2")
    assert kept[3:] == [f"nomad-{each}-20200101T000000Z-1.snap" for each in ("euwest", "other")]
