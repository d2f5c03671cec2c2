"""`quorate operator backup`: what people read, in 80 columns."""

from __future__ import annotations

from typing import Any

from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply

BACKUP = "/v1/operator/backup"
NAME = "quorate-1b2f03aa-20261129T030000Z-81234567.snap"
ROW: dict[str, Any] = {
    "Name": NAME,
    "Status": "verified",
    "Due": 1795921200,
    "Time": 1795921200123,
    "VerifiedTime": 1795921201456,
    "Index": 81234567,
    "Size": 123456789,
    "SHA256": "ab" * 32,
    "Servers": 3,
}


def ask(route: str, reply: Reply, *words: str) -> Ran:
    with FakeAgent({route: reply}) as agent:
        return run("operator", "backup", *words, env={"NOMAD_ADDR": agent.address})


def test_the_list_fits_into_80_columns() -> None:
    answer = {
        "Backups": [ROW, {**ROW, "Name": "m.snap", "Manual": True, "Status": "damaged"}],
        "Target": "file:///mnt/backups",
        "Schedule": "0 3 * * *",
        "Retain": 7,
        "NextDue": 1796007600,
        "LastVerifiedTime": 1795921200123,
        "Problem": "the newest backup m.snap is not verified: gone",
    }
    done = ask(f"GET {BACKUP}", json_reply(answer), "list")
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["Name", "Status", "Made", "by", "Size"]
    assert lines[1].split() == [NAME, "verified", "schedule", "117.7", "MiB"]
    assert lines[2].split()[:3] == ["m.snap", "damaged", "hand"]
    assert "Next due        = 2026-11-30T03:00:00Z" in lines
    assert lines[-1] == "Problem         = the newest backup m.snap is not verified: gone"


def test_a_cluster_without_a_target_is_told_so() -> None:
    done = ask(f"GET {BACKUP}", json_reply({}), "list")
    assert (done.code, done.stdout) == (0, "The leader has no target for backups\n")
    answer = {"RestoredFrom": NAME, "Problem": "the cluster could not begin with a backup: gone"}
    done = ask(f"GET {BACKUP}", json_reply(answer), "list")
    assert done.stdout.splitlines()[2:] == [
        f"Begun from = {NAME}",
        "Problem    = the cluster could not begin with a backup: gone",
    ]


def test_one_that_is_not_verified_is_exit_code_1() -> None:
    for status, why in (("taken", "late"), ("damaged", "gone")):
        reply = json_reply({**ROW, "Status": status, "Why": why})
        for route, words in (("run", ["run"]), (f"verify?name={NAME}", ["verify", NAME])):
            done = ask(f"PUT {BACKUP}/{route}", reply, *words)
            assert done.code == 1
            assert f"The backup {NAME} is not verified: {why}" in done.stderr
            assert "Verified" not in done.stdout, "it was looked at then, and not found whole"
            assert "Checked = 2026-11-29T03:00:01Z" in done.stdout
    done = ask(f"PUT {BACKUP}/run", json_reply(ROW), "run")
    assert done.code == 0
    assert "Servers  = 3 held the digest of its state" in done.stdout


def test_what_was_pruned_is_named() -> None:
    done = ask(f"PUT {BACKUP}/prune", json_reply({"Deleted": [NAME]}), "prune")
    assert done.stdout == f"Deleted {NAME}\n"
    assert ask(f"PUT {BACKUP}/prune", json_reply({}), "prune").stdout == "Nothing to delete\n"


def test_other_servers_have_no_backups() -> None:
    done = ask(f"GET {BACKUP}", Reply(404, b"404 page not found"), "list")
    assert done.code == 1
    assert done.stderr.startswith("Error listing backups: ")
