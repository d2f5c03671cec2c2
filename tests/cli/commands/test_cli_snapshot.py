"""`operator snapshot`: recorded command lines, and a save that ends whole or leaves nothing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from archive_builders import archive_of, packed, parts, some_state, state_bytes
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply
from places import GOLDEN, VECTORS

from quorate.cli.registry.index import BY_PATH

SAVE = "GET /v1/operator/snapshot"
STATE_OF = state_bytes()
ARCHIVE = archive_of(STATE_OF)
REAL = VECTORS / "nomad" / "nomad-1.0.18.snap"


def reply(archive: bytes, digest_of: bytes | None = None) -> Reply:
    digest = sha256(archive if digest_of is None else digest_of).digest()
    headers = (
        ("Content-Type", "application/x-gzip"),
        ("Digest", "sha-256=" + b64encode(digest).decode()),
    )
    return Reply(200, archive, headers)


def load(name: str) -> dict[str, Any]:
    folder = "cli-1.6" if name.startswith("v16") else "cli"
    case: dict[str, Any] = json.loads((GOLDEN / folder / f"{name}.json").read_text())
    return case


def ran(case: dict[str, Any], cwd: Path, *answers: tuple[str, Reply]) -> Ran:
    """The case's command line in a folder, against an agent with these answers."""
    argv = [word.replace("<cwd>", str(cwd)) for word in case["argv"][1:]]
    with FakeAgent(dict(answers)) as agent:
        result = run(*argv, env={"NOMAD_ADDR": agent.address})
    assert agent.asked == [route for route, _ in answers]
    return Ran(
        result.code,
        result.stdout.replace(str(cwd), "<cwd>"),
        result.stderr.replace(str(cwd), "<cwd>").replace("'quorate ", "'nomad "),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


SAVED = ("r3-snapshot-save", "r3-snapshot-save-stale", "lq-snapshot-save-stale", "v16cli-snap-save")


@pytest.mark.parametrize("name", SAVED)
def test_a_save_as_recorded(name: str, folder: Path) -> None:
    case = load(name)
    route = SAVE + ("?stale=" if "-stale" in case["argv"] else "")
    result = ran(case, folder, (route, reply(ARCHIVE)))
    assert result == (0, case["stdout"], case["stderr"])
    (file,) = folder.iterdir()
    assert file.read_bytes() == ARCHIVE
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_nlink == 1


def test_a_save_without_a_name(folder: Path) -> None:
    result = ran(load("r3-snapshot-save-noarg"), folder, (SAVE, reply(ARCHIVE)))
    (file,) = folder.glob("nomad-state-2*-*.snap")
    assert result == (0, f"State file written to {file.name}\n", "")


REFUSED = {
    "acl-snapshot-anon": (SAVE, text_reply(403, "Permission denied")),
    "v16cli-acl-bad-snapshot": (SAVE, text_reply(403, "Permission denied")),
    "lq-snapshot-save": (SAVE, text_reply(500, "No cluster leader")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_save_as_recorded(name: str, folder: Path) -> None:
    case = load(name)
    assert ran(case, folder, REFUSED[name]) == (1, "", case["stderr"])
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["r3-snapshot-save-existing", "v16cli-snap-save-exists"])
def test_a_file_that_is_there_is_kept(name: str, folder: Path) -> None:
    for each in ("back.snap", "b.snap"):
        (folder / each).write_bytes(b"mine")
    case = load(name)
    assert ran(case, folder) == (1, "", case["stderr"])
    assert (folder / "back.snap").read_bytes() == (folder / "b.snap").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["r3-snapshot-save-nodir", "r3-snapshot-save-two"])
def test_a_save_that_cannot_begin_as_recorded(name: str, folder: Path) -> None:
    case = load(name)
    assert ran(case, folder) == (1, "", case["stderr"])


def test_the_group_shows_its_help(folder: Path) -> None:
    result = ran(load("r3-snapshot"), folder)
    assert result.code == 1
    assert (result.stdout + result.stderr).startswith("Usage: quorate operator snapshot")


# -- a save that is not whole (docs/pains.md, 5) -----------------------------------------------


def save_of(folder: Path, answer: Reply) -> Ran:
    with FakeAgent({SAVE: answer}) as agent:
        return run("operator", "snapshot", "save", "a.snap", env={"NOMAD_ADDR": agent.address})


def assert_nothing(result: Ran, folder: Path) -> None:
    assert result.code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert not list(folder.iterdir())


def test_a_stream_that_is_cut_leaves_no_file(folder: Path) -> None:
    archive = archive_of(STATE_OF + os.urandom(4_000))
    ends = {*range(0, len(archive), 1_000), *range(len(archive) - 64, len(archive))}
    for end in ends:
        assert_nothing(save_of(folder, reply(archive[:end], archive)), folder)
        assert_nothing(save_of(folder, reply(archive[:end])), folder)


def test_an_archive_without_its_digest_leaves_no_file(folder: Path) -> None:
    result = save_of(folder, reply(ARCHIVE)._replace(headers=()))
    assert_nothing(result, folder)
    assert "have not the digest (none)" in result.stderr


def test_an_archive_whose_state_is_none_leaves_no_file(folder: Path) -> None:
    """All sums are right, as of a server whose memory is not."""
    broken = STATE_OF[:-1] + bytes([STATE_OF[-1] ^ 1])
    result = save_of(folder, reply(packed(parts(broken))))
    assert_nothing(result, folder)
    assert "the SHA-256 of the state is not that of its content" in result.stderr


def test_a_full_disk_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    result = save_of(folder, reply(ARCHIVE))
    assert_nothing(result, folder)
    assert "Failed to write snapshot file: no space left on device" in result.stderr


def test_a_name_that_was_taken_meanwhile_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.fsync

    def taken(descriptor: int) -> None:
        original(descriptor)
        (folder / "a.snap").write_bytes(b"mine")

    monkeypatch.setattr("os.fsync", taken)
    result = save_of(folder, reply(ARCHIVE))
    assert result.code == 1
    assert [path.name for path in folder.iterdir()] == ["a.snap"]
    assert (folder / "a.snap").read_bytes() == b"mine"


def test_what_others_left_under_a_guessed_name_is_not_written_to(folder: Path) -> None:
    precious = folder / "precious"
    precious.write_bytes(b"mine")
    (folder / "a.snap.tmp").symlink_to(precious)
    assert save_of(folder, reply(ARCHIVE)).code == 0
    assert precious.read_bytes() == b"mine"
    saved = folder / "a.snap"
    assert not saved.is_symlink()
    assert saved.read_bytes() == ARCHIVE
    assert saved.stat().st_mode & 0o777 == 0o600


@pytest.fixture(params=["O_TMPFILE", "a name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without files that have no name."""
    if request.param == "a name":
        monkeypatch.delattr(os, "O_TMPFILE")
    return str(request.param)


def test_a_save_and_a_redaction_in_both_ways(folder: Path, way: str) -> None:
    assert save_of(folder, reply(ARCHIVE)).code == 0, way
    assert run("operator", "snapshot", "redact", "a.snap").code == 0
    assert run("operator", "snapshot", "inspect", "a.snap").code == 0
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_nlink == 1


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """A shell has the processes in its background ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_interrupts")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_within_a_save_leaves_nothing(
    folder: Path, way: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[Path]] = []

    def ended(_: int) -> None:
        found.append(list(folder.iterdir()))
        os.kill(os.getpid(), number)

    monkeypatch.setattr("os.fsync", ended)
    if number is signal.SIGINT:
        assert save_of(folder, reply(ARCHIVE)).code == 130
    else:
        with pytest.raises(SystemExit, match=str(128 + number)):
            save_of(folder, reply(ARCHIVE))
    assert len(found[0]) == (way == "a name"), "it was there when the signal came"
    assert not list(folder.iterdir())


def test_what_a_killed_save_left_goes_with_the_next(folder: Path, way: str) -> None:
    left, held = (folder / f"b.snap.quorate-{number:016x}.tmp" for number in (1, 2))
    others = [folder / "b.snap.tmp", folder / "a.0123456789abcdef.tmp"]
    for each in (left, held, *others):
        each.write_bytes(b"half")
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert save_of(folder, reply(ARCHIVE)).code == 0
    assert set(folder.iterdir()) == {folder / "a.snap", held, *others}, way


# -- inspect -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("r3-snapshot-inspect-garbage", "bad.snap", b"garbage"),
        ("r3-snapshot-inspect-missing", "", b""),
        ("r3-snapshot-inspect-none", "", b""),
        ("r3-snapshot-inspect-truncated", "trunc.snap", REAL.read_bytes()[:500]),
    ],
)
def test_a_failed_inspect_as_recorded(name: str, file: str, content: bytes, folder: Path) -> None:
    if file:
        (folder / file).write_bytes(content)
    case = load(name)
    assert ran(case, folder) == (1, "", case["stderr"])


def test_inspect_begins_as_recorded(folder: Path) -> None:
    """What follows is ours: when it was made, where, and what is in it."""
    case = load("r3-snapshot-inspect")
    lines = dict(line.split() for line in case["stdout"].splitlines())
    index = int(lines["Index"])
    state = state_bytes(some_state(index=index))
    archive = archive_of(state, id=lines["ID"], index=index, term=int(lines["Term"]))
    (folder / "back.snap").write_bytes(archive)
    result = ran(case, folder)
    assert (result.code, result.stderr) == (0, "")
    wanted = case["stdout"].replace("Size     760", f"Size     {len(STATE_OF)}")
    assert result.stdout.startswith(wanted + "\nCreated     2026-11-23T")
    assert "Written by  Quorate 0.1.0\nCluster     cluster-1\n" in result.stdout
    assert "\nscheduler_configuration  1" in result.stdout


def test_an_archive_that_is_cut_is_refused_as_recorded(folder: Path) -> None:
    """Recorded was one that ends within its last file."""
    case = load("v16cli-snap-inspect-cut")
    (folder / "cut.snap").write_bytes(ARCHIVE[:-12])
    result = ran(case, folder)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error verifying snapshot: failed to read snapshot file: fail")
    assert result.stderr.endswith(": unexpected EOF\n")


def test_inspect_for_programs(folder: Path) -> None:
    (folder / "a.snap").write_bytes(ARCHIVE)
    told = json.loads(run("operator", "snapshot", "inspect", "-json", "a.snap").stdout)
    assert told["Meta"]["Index"] == 4
    assert told["Kind"] == "Quorate"
    assert sum(kind["Count"] for kind in told["Stats"]) == 4
    assert run("operator", "snapshot", "inspect", "-t", "{{.Meta.Term}}", "a.snap").stdout == "2\n"


# -- restore -----------------------------------------------------------------------------------

RESTORE = "PUT /v1/operator/snapshot"
RESTORE_AND_TELL = f"{RESTORE}?details=true"
CUT = (
    "failed to restore from snapshot: failed to read snapshot file: failed to read snapshot "
    "hashes: unexpected EOF"
)
GARBAGE = "failed to restore from snapshot: failed to decompress snapshot: unexpected EOF"


@pytest.mark.parametrize(
    ("name", "file", "answers"),
    [
        ("r3-snapshot-restore", "back.snap", [(RESTORE_AND_TELL, Reply(200, b""))]),
        ("v16cli-snap-restore", "b.snap", [(RESTORE_AND_TELL, Reply(200, b""))]),
        ("r3-snapshot-restore-garbage", "bad.snap", [(RESTORE_AND_TELL, text_reply(500, GARBAGE))]),
        ("v16cli-snap-restore-cut", "cut.snap", [(RESTORE_AND_TELL, text_reply(500, CUT))]),
        ("r3-snapshot-restore-missing", "", []),
        ("r3-snapshot-restore-none", "", []),
    ],
)
def test_a_restore_as_recorded(
    name: str, file: str, answers: list[tuple[str, Reply]], folder: Path
) -> None:
    if file:
        (folder / file).write_bytes(ARCHIVE)
    case = load(name)
    assert ran(case, folder, *answers) == (case["exit_code"], case["stdout"], case["stderr"])


def test_a_restore_sends_the_whole_file(folder: Path) -> None:
    (folder / "a.snap").write_bytes(ARCHIVE)
    with FakeAgent({RESTORE + "?details=true&force=true": Reply(200, b"")}) as agent:
        env = {"NOMAD_ADDR": agent.address}
        ran = run("operator", "snapshot", "restore", "-force", "a.snap", env=env)
    told = f"Replacing the state of the cluster of {agent.address} by a.snap\n"
    assert ran == (0, "Snapshot Restored\n", told)
    assert agent.requests[0].body == ARCHIVE


def test_a_restore_tells_where_the_state_before_it_is(folder: Path) -> None:
    (folder / "a.snap").write_bytes(ARCHIVE)
    report = {"ID": "2-4-5", "Index": 7, "SafetySnapshot": "/data/safety/x.snap", "Tables": []}
    with FakeAgent({RESTORE_AND_TELL: json_reply(report)}) as agent:
        done = run("operator", "snapshot", "restore", "a.snap", env={"NOMAD_ADDR": agent.address})
    assert done == (
        0,
        "Snapshot Restored\nThe state before it is on the leader: /data/safety/x.snap\n",
        "",
    )


def test_progress_is_shown_at_a_terminal_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.cli.text.progress.AFTER_S", 0)
    (folder / "a.snap").write_bytes(ARCHIVE)
    with FakeAgent({RESTORE_AND_TELL: Reply(200, b""), SAVE: reply(ARCHIVE)}) as agent:
        env = {"NOMAD_ADDR": agent.address}
        steps = ((("save", "b.snap"), "Receiving: "), (("restore", "a.snap"), "Sending: "))
        for words, what in steps:
            shown = run("operator", "snapshot", *words, env=env, terminal=True)
            assert (shown.code, what in shown.stderr, " MB" in shown.stderr) == (0, True, True)
            (folder / "b.snap").unlink(missing_ok=True)
            assert what not in run("operator", "snapshot", *words, env=env).stderr
        quiet = run("operator", "snapshot", "restore", "-json", "a.snap", env=env, terminal=True)
        assert "Sending" not in quiet.stderr


def test_a_restore_without_an_answer_tells_how_to_find_out(folder: Path) -> None:
    (folder / "a.snap").write_bytes(ARCHIVE)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)

        thread = threading.Thread(target=cut)
        thread.start()
        env = {
            "NOMAD_ADDR": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "NOMAD_CLI_SHOW_HINTS": "1",
        }
        result = run("operator", "snapshot", "restore", "a.snap", env=env)
        thread.join()
    assert result.code == 1
    assert "Hint: the restore is carried out or has changed nothing" in result.stderr
    assert "restore -dry-run" in result.stderr


def test_a_dry_run_shows_what_would_change_and_is_never_sent_to_a_nomad_server(
    folder: Path,
) -> None:
    (folder / "a.snap").write_bytes(ARCHIVE)
    table = {"Table": "variables", "Rule": "replaced", "Added": 3, "Same": 2}
    report = json_reply({"ID": "2-4-5", "Index": 0, "SafetySnapshot": "", "Tables": [table]})
    check = "GET /v1/operator/upgrade"
    routes = {
        check: json_reply({"Level": 3, "Goal": 3, "MayMix": "", "Servers": []}),
        f"{RESTORE}?details=true&dry-run=true": report,
    }
    words = ("operator", "snapshot", "restore", "-dry-run")
    with FakeAgent(routes) as agent:
        shown = run(*words, "a.snap", env={"NOMAD_ADDR": agent.address})
        told = run(*words, "-json", "a.snap", env={"NOMAD_ADDR": agent.address})
        form = run(*words, "-t", "{{.ID}}", "a.snap", env={"NOMAD_ADDR": agent.address})
    assert "variables  replaced  3      0        0        2\n" in shown.stdout
    assert shown.stdout.endswith("\nNothing was changed\n")
    assert json.loads(told.stdout)["Tables"] == [table]
    assert form.stdout == "2-4-5\n"
    with FakeAgent({}) as agent:
        refused = run(*words, "a.snap", env={"NOMAD_ADDR": agent.address})
    assert refused.code == 1
    assert agent.asked == [check]


def test_each_recorded_case_has_a_test() -> None:
    cases = {path.stem: load(path.stem) for path in (GOLDEN / "cli-1.6").glob("v16cli-snap*")}
    known = {name for name, case in cases.items() if tuple(case["argv"][1:4]) in BY_PATH}
    replayed = {"v16cli-snap-save", "v16cli-snap-save-exists"}
    replayed |= {"v16cli-snap-restore", "v16cli-snap-restore-cut"}
    answered_better = {"v16cli-snap-inspect", "v16cli-snap-inspect-cut", "v16cli-snap-state"}
    assert known == replayed | answered_better
