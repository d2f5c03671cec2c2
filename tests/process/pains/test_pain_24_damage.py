"""Pain 24: a byte changes in the state or the log of one of three servers, and it is named.

On real processes: the state is forged in a snapshot with valid checksums, so that nothing but the
comparison can tell; the log is changed in its file, below the running server.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from patience import PATIENCE_S
from register_writers import PATH, body, read
from server_processes import Servers, running, until
from stopwatch import Stopwatch

from quorate.state.engine.snapshot import decode_snapshot, encode_snapshot
from quorate.state.engine.table import SINGLETON
from quorate.state.registry import TODAY
from quorate.state.tables import autopilot
from quorate.storage.log.files import segments_in
from quorate.storage.snapshots.store import SnapshotStore

pytestmark = pytest.mark.process

INTERVAL_S = 1.0
SLACK_S = 2.0  # hashing, telling, and a machine that has other work
WRITES = 120  # several pages of the log: those in the middle are not written again
RULES = "/v1/operator/autopilot/configuration"
SAID = "the state of this server is damaged"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with running(
        tmp_path,
        state_check_interval=f"{INTERVAL_S:g}s",
        raft_snapshot_threshold=4,
        raft_snapshot_interval="200ms",
        raft_trailing_logs=1000,
    ) as found:
        until(lambda: found.ask(found.leader(), RULES).status == 200, "the first writes")
        leader = found.leader()
        for value in range(1, WRITES + 1):
            assert found.ask(leader, PATH, "PUT", body(value)).status == 200
        yield found


def state(servers: Servers, number: int) -> dict[str, str]:
    section: dict[str, str] = servers.ask(number, "/v1/agent/self").json["stats"]["quorate"]
    return section


def names(servers: Servers, number: int, name: str) -> bool:
    return state(servers, number)["state_damaged_servers"] == name


def raft_folder(servers: Servers, number: int) -> Path:
    return servers.data_dir(number) / "server" / "raft"


def forge(folder: Path) -> None:
    """Change one value in the newest snapshot; all its checksums are right afterwards."""
    store = SnapshotStore(folder)
    meta = store.newest_valid().meta
    assert meta is not None
    with store.open(meta.id) as file:
        image = decode_snapshot(file.read, TODAY)
    row = image.tables.rows(autopilot.TABLE)[SINGLETON]
    other = msgspec.structs.replace(row, max_trailing_logs=251)
    image.tables.put(autopilot.TABLE, SINGLETON, other, row.modify_index)
    point = (meta.index, meta.term, meta.configuration, meta.configuration_index)
    sink = store.create(*point, time.time_ns() // 1_000_000)
    encode_snapshot(image, sink.write, TODAY)
    sink.finish()


def heal(servers: Servers, number: int) -> None:
    """What the refusal says to do; ends when all is as it was."""
    raft_folder(servers, number).rename(servers.data_dir(number) / "damaged")
    servers.start(number)
    until(lambda: state(servers, number)["state"] == "right", "its state to be found right")
    until(lambda: servers.voters() == 3, "three voters")
    until(lambda: servers.ask(number, "/v1/agent/health").status == 200, "it to be healthy")
    expected = read(servers, servers.leader())
    until(lambda: read(servers, number, "?stale") == expected, "it to have caught up")
    assert "state-damaged.json" not in {p.name for p in raft_folder(servers, number).iterdir()}


def found_in_time(watch: Stopwatch) -> None:
    took = watch.seconds()
    print(f"found after {took:.2f} s, interval {INTERVAL_S:g} s")
    assert took < INTERVAL_S + SLACK_S


def test_a_follower_with_a_forged_state_is_found_refuses_and_is_filled_again(
    servers: Servers,
) -> None:
    leader = servers.leader()
    odd, third = (leader + 1) % 3, (leader + 2) % 3
    snapshots = raft_folder(servers, odd) / "snapshots"
    written = int(servers.stats(leader)["last_log_index"])

    def kept() -> bool:
        assert servers.ask(leader, PATH, "PUT", body(WRITES)).status == 200
        return int(servers.stats(odd)["last_snapshot_index"]) >= written

    until(kept, "a snapshot that holds all that was written")
    servers.kill(odd)
    forge(snapshots)
    before = len(servers.log(odd))
    servers.start(odd)
    until(lambda: servers.ask(odd, "/v1/agent/self").status == 200, "it to serve")
    watch = servers.stopwatch()

    def refused() -> bool:
        return servers.ask(odd, RULES + "?stale").status == 503

    until(refused, "the forged state to be found")
    found_in_time(watch)
    answer = servers.ask(odd, RULES + "?stale")
    assert answer.text.startswith(SAID)
    assert "\n" not in answer.text
    lines = [line for line in servers.log(odd)[before:].splitlines() if SAID in line]
    assert len(lines) == 1
    assert f"move {raft_folder(servers, odd)} away, start it" in lines[0]

    # The right one is named, by the others too; they and their clients go on.
    name = f"s{odd}.global"
    for number in range(3):
        until(partial(names, servers, number, name), f"s{number} to name it")
    assert f"the state of server {name} " in servers.log(leader)
    assert [state(servers, n)["state"] for n in (leader, odd, third)] == [
        *("right", "damaged", "right"),
    ]
    health = servers.ask(odd, "/v1/agent/health")
    assert (health.status, SAID in health.text) == (500, True)
    assert servers.ask(odd, RULES).json["MaxTrailingLogs"] == 250  # the leader's answer
    assert servers.ask(third, RULES + "?stale").json["MaxTrailingLogs"] == 250
    for value in range(WRITES, WRITES + 20):
        assert servers.ask(third, PATH, "PUT", body(value)).status == 200
    shown = views(servers, leader)
    assert shown.returncode == 2
    notes = {row["Node"]: row["Note"] for row in json.loads(shown.stdout)["Servers"]}
    assert notes == {
        **{f"s{n}.global": "" for n in range(3)},
        name: "its replicated state is damaged",
    }
    newest = sorted(path.name for path in snapshots.iterdir())
    until(
        lambda: (
            servers.stats(third)["last_snapshot_index"] > servers.stats(odd)["last_snapshot_index"]
        ),
        "the others to take snapshots",
    )
    assert sorted(path.name for path in snapshots.iterdir()) == newest, "it must take none"

    # It loads what it stored, and is still known to be wrong; moving that away is the cure.
    servers.kill(odd)
    servers.start(odd)
    until(lambda: servers.ask(odd, RULES + "?stale").status == 503, "it to refuse at once")
    servers.kill(odd)
    heal(servers, odd)
    assert servers.ask(odd, RULES + "?stale").json["MaxTrailingLogs"] == 250
    assert views(servers, odd).returncode == 0


def views(servers: Servers, number: int) -> subprocess.CompletedProcess[str]:
    address = f"-address=http://127.0.0.1:{servers.http[number]}"
    command = [sys.executable, "-m", "quorate", "operator", "raft", "views", "-json", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def flip_below(folder: Path) -> Path:
    """Change one byte in the middle of the log, in place; in which file."""
    file = segments_in(folder)[0]
    written = len(file.read_bytes().rstrip(b"\0"))
    with file.open("r+b") as opened:
        opened.seek(written // 2)
        (byte,) = opened.read(1)
        opened.seek(written // 2)
        opened.write(bytes([byte ^ 0x10]))
    return file


@pytest.mark.parametrize("role", ["follower", pytest.param("leader", marks=pytest.mark.long)])
def test_a_byte_that_changes_in_the_log_of_a_running_server_is_found(
    servers: Servers, role: str
) -> None:
    leader = servers.leader()
    odd = leader if role == "leader" else (leader + 1) % 3
    before = len(servers.log(odd))
    file = flip_below(raft_folder(servers, odd) / "log")
    watch = servers.stopwatch()
    until(lambda: watch.late_s() >= 0 and servers.processes[odd].poll() == 1, "the server to stop")
    found_in_time(watch)
    servers.processes.pop(odd)
    said = servers.log(odd)[before:]
    raft = raft_folder(servers, odd)
    assert re.search(rf"entry \d+ in {file} is damaged: its checksum does not match", said)
    assert f"move the folder {raft} away" in said
    # The others go on; at the start it is refused as well, and the cure is the one that is named.
    assert servers.ask(servers.leader(), PATH, "PUT", body(WRITES + 1)).status == 200
    servers.start(odd)
    assert servers.processes.pop(odd).wait(PATIENCE_S) == 1
    heal(servers, odd)
