"""`quorate dev -drill=NAME`: each drill is mended with the commands of the runbook, as printed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from rehearsals import Rehearsal, rehearsal, sections
from server_processes import until

from quorate.cli.drills.kinds import DRILLS

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

Server = dict[str, Any]


def mended(drill: Rehearsal, ways: list[str]) -> None:
    """The drill says so, names these ways, ends, and leaves nothing."""
    event = drill.event("mended")
    assert event["seconds"] > 0
    assert "Mended after " in event["text"]
    for way in ways:
        assert any(way in command for command in event["faster"]), event
    assert drill.process.wait(PATIENCE_S) == 0
    drill.nothing_is_left()


def leader_of(drill: Rehearsal, but: list[Server]) -> Server:
    """A server that runs and was not broken."""
    return next(server for server in drill.servers.values() if server not in but)


@pytest.mark.long
def test_dead_peer(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "dead-peer") as drill:
        (lost,) = drill.named(drill.situation()["text"].partition("\n\n")[0])
        leader = leader_of(drill, [lost])
        words = {
            "http://10.0.0.1:4646": leader["address"],
            "/etc/quorate.d": lost["config"],
            "=ID": f"={drill.members(leader)[lost['rpc']]}",
        }
        for command in sections()["One server is lost"]:
            assert drill.type(command, words).code == 0
        mended(drill, ["remove-peer"])


@pytest.mark.long
def test_lost_quorum(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "lost-quorum") as drill:
        one, two, left = drill.named(drill.situation()["text"])[:3]
        ids = drill.members(left)
        words = {
            "http://10.0.0.1:4646 /mnt/s3": left["address"],
            "/mnt/s1 /mnt/s3": left["data_dir"],
            "ID,ID": f"{ids[one['rpc']]},{ids[two['rpc']]}",
            "/var/lib/quorate": left["data_dir"],
            "/etc/quorate.d": left["config"],
        }
        for command in sections()["By a plan"]:
            if "apply" in command:
                os.kill(left["pid"], signal.SIGTERM)
                until(lambda: not alive(left["pid"]), "the survivor to have stopped")
            typed = drill.type(command, words)
            assert typed.code == 0, typed
        mended(drill, ["recover plan", "recover apply"])


@pytest.mark.long
def test_wrong_peers_json(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "wrong-peers-json") as drill:
        left = drill.named(drill.situation()["text"])[2]
        assert "peers.json, line 2: this server listens at" in Path(left["log"]).read_text()
        words = {
            "/mnt/s1 /mnt/s3": left["data_dir"],
            "/var/lib/quorate": left["data_dir"],
            "/etc/quorate.d": left["config"],
        }
        for command in sections()["By peers.json"]:
            typed = drill.type(command, words)
            assert typed.code == 0, typed
        mended(drill, ["peers-json"])


@pytest.mark.long
def test_split(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "split") as drill:
        leader, *asleep = drill.named(drill.situation()["text"])[:3]
        words = {
            "http://10.0.0.1:4646": leader["address"],
            "PID": " ".join(str(server["pid"]) for server in asleep),
        }
        views, wake = sections()["Servers stand still"]
        assert drill.type(views, words).code == 1
        assert drill.type(wake, words).code == 0
        mended(drill, ["kill -CONT"])


@pytest.mark.long
def test_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system to fill")
    with rehearsal(tmp_path, "full-disk") as drill:
        (full,) = drill.named(drill.situation()["text"].partition("\n\n")[0])
        ballast = max(Path(full["data_dir"]).iterdir(), key=lambda path: path.stat().st_size)
        words = {
            "/var/lib/quorate": full["data_dir"],
            "FILE": str(ballast),
            "http://10.0.0.1:4646": full["address"],
        }
        for command in sections()["A disk is full"]:
            assert drill.type(command, words).code == 0
        mended(drill, ["rm "])


def refused(drill: Rehearsal, victim: Server, clone: Server | None, old_id: str) -> None:
    """The commands for a server that must not take part."""
    broken = [victim, clone] if clone else [victim]
    words = {
        "http://10.0.0.1:4646": leader_of(drill, broken)["address"],
        "/etc/quorate.d": victim["config"],
        "=ID": f"={old_id}",
        "PID": str(clone["pid"]) if clone else "",
    }
    for command in sections()["A machine was cloned, or has an old disk"]:
        if clone or not command.startswith("kill"):
            typed = drill.type(command, words)
            assert typed.code == 0, typed


@pytest.mark.long
def test_cloned_server(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "cloned-server") as drill:
        original, clone = drill.named(drill.situation()["text"])[:2]
        assert "must not take part" in Path(original["log"]).read_text()
        leader = leader_of(drill, [original, clone])
        refused(drill, original, clone, drill.members(leader)[clone["rpc"]])
        mended(drill, ["kill ", "remove-peer"])


@pytest.mark.long
def test_rolled_back_disk(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "rolled-back-disk") as drill:
        (victim,) = drill.named(drill.situation()["text"].partition("\n\n")[0])
        assert "must not take part" in Path(victim["log"]).read_text()
        leader = leader_of(drill, [victim])
        refused(drill, victim, None, drill.members(leader)[victim["rpc"]])
        mended(drill, ["remove-peer"])


@pytest.mark.long
def test_a_drill_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "split") as drill:
        drill.situation()
        drill.process.send_signal(signal.SIGINT)
        assert drill.process.wait(PATIENCE_S) == 1
        assert "Not mended: " in drill.event("given up")["text"]
        drill.nothing_is_left()


def test_every_drill_has_a_test() -> None:
    tests: dict[str, Callable[..., None]] = globals()
    for drill in DRILLS:
        assert f"test_{drill.name.replace('-', '_')}" in tests


def alive(pid: int) -> bool:
    """A process that is neither gone nor a zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
