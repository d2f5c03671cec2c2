"""`quorate dev -drill=NAME`: each drill is mended with the commands of the runbook, as printed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gossiping_servers import cluster
from patience import PATIENCE_S
from rehearsals import Rehearsal, rehearsal, sections, typed
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
        words = {"http://10.0.0.1:4646": leader["address"], "/etc/quorate.d": lost["config"]}
        start, look, remove = sections()["One server is lost"]
        for command in (start, look):
            assert drill.type(command, words).code == 0
        mended(drill, ["quorate agent"])  # the lost one is no member any more, by itself
        # That for a new server elsewhere is run as printed by the drill of a clone.
        assert remove in sections()["A machine was cloned, or has an old disk"]


def look_at_it(drill: Rehearsal, words: dict[str, str]) -> None:
    """The first sections of the page, and the backup of a survivor: all that needs no leader."""
    both = {"http://10.0.0.1:4646,http://10.0.0.2:4646": words["http://10.0.0.1:4646"], **words}
    diagnose, *in_its_output, by_socket = sections()["No leader? Run this"]
    assert len(in_its_output) == 2
    assert drill.type(by_socket, both).code == 2
    found = drill.type(diagnose, both)
    assert found.code == 2
    assert "1 of 3 voters can be reached, and 2 are needed [quorum-unreachable]" in found.text
    health, views, members = sections()["Look"]
    until(
        lambda: "1 of 3 voters are here" in drill.type(health, words).text,
        "the pool to have noticed both",
    )
    assert drill.type(views, words).code == 1
    assert drill.type(members, words).code == 1
    for command in sections()["By a backup of a survivor"][:2]:
        done = drill.type(command, words)
        assert done.code == 0, done
    listed, _ = sections()["Rehearse"]
    assert "lost-quorum" in drill.type(listed, {}).text


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
        look_at_it(drill, {"http://10.0.0.1:4646": left["address"], **words})
        for command in sections()["By a plan"]:
            if "apply" in command:
                os.kill(left["pid"], signal.SIGTERM)
                until(lambda: not alive(left["pid"]), "the survivor to have stopped")
            done = drill.type(command, words)
            assert done.code == 0, done
            if command.endswith("&"):
                break  # it is mended now
        mended(drill, ["recover plan", "recover live commit"])


@pytest.mark.long
def test_lost_quorum_while_the_survivor_runs(tmp_path: Path) -> None:
    """The same drill without a stop of the server that is left."""
    with rehearsal(tmp_path, "lost-quorum") as drill:
        one, two, left = drill.named(drill.situation()["text"])[:3]
        ids = drill.members(left)
        words = {
            "http://10.0.0.1:4646 -address=http://10.0.0.3:4646": left["address"],
            "ID,ID": f"{ids[one['rpc']]},{ids[two['rpc']]}",
            "/var/lib/quorate": left["data_dir"],
        }
        for command in sections()["By a plan, while they run"]:
            done = drill.type(command, words)
            assert done.code == 0, done
        mended(drill, ["recover plan", "recover live commit"])


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
            done = drill.type(command, words)
            assert done.code == 0, done
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
            done = drill.type(command, words)
            if "raft compact" not in command:
                assert done.code == 0, done
            else:  # the state is small: what fills the disk is all in the file
                assert (done.code, "no room for a snapshot" in done.text) == (1, True), done
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
    look, kill, start, remove = sections()["A machine was cloned, or has an old disk"]
    for command in (look, kill, start, remove) if clone else (look, start):
        done = drill.type(command, words)
        assert done.code == 0, done


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
        mended(drill, ["quorate agent"])


@pytest.mark.long
def test_a_drill_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with rehearsal(tmp_path, "split") as drill:
        drill.situation()
        drill.process.send_signal(signal.SIGINT)
        assert drill.process.wait(PATIENCE_S) == 1
        assert "Not mended: " in drill.event("given up")["text"]
        drill.nothing_is_left()


@pytest.mark.long
def test_the_state_of_a_survivor_goes_into_a_new_cluster(tmp_path: Path) -> None:
    """The section of the backup, from an old cluster to a new one."""
    save, inspect, *rest = sections()["By a backup of a survivor"]
    with cluster(tmp_path / "old", 1) as old:
        until(lambda: old.run(0, "var", "put", "app/db", "k=v").code == 0, "a write")
        words = {"http://10.0.0.1:4646": f"http://{old.host(0)}:{old.http[0]}"}
        for command in (save, inspect):
            assert typed(command, words, tmp_path).code == 0
    with cluster(tmp_path / "new", 1) as new:
        address = f"http://{new.host(0)}:{new.http[0]}"
        until(lambda: new.run(0, "var", "put", "app/new", "k=v").code == 0, "its level")
        for command in rest:
            done = typed(command, {}, tmp_path, QUORATE_ADDR=address)
            assert done.code == 0, done
        until(lambda: new.run(0, "var", "get", "app/db").code == 0, "the variable of old")


def test_the_commands_of_every_section_are_run() -> None:
    """Here, and for plans of two survivors in `test_two_of_five_go_on_by_a_plan`."""
    run = {
        *("No leader? Run this", "Look", "One server is lost", "Servers stand still"),
        *("A disk is full", "A machine was cloned, or has an old disk", "By a plan"),
        "By a plan, while they run",
        *("By peers.json", "By a backup of a survivor", "Rehearse"),
    }
    assert set(sections()) == run


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
