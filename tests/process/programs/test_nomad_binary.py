"""Beside the real Nomad: its command line at our servers, ours at its server, and one pool of both.

What was seen with which version is in docs/compatibility.md.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from nomad_programs import (
    KEY,
    NOMAD,
    QUORATE,
    Cluster,
    NomadServer,
    needs_nomad,
    nomad_server,
    nomad_version,
    ours,
    run,
    three_of_ours,
    watching,
)
from server_processes import until

pytestmark = [pytest.mark.process, needs_nomad]

OTHER_KEY = "5K9OtfP7efFrNKe5WCQvXvnaXJ5cWP0SvXiwe0kkjM4="


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with three_of_ours(tmp_path) as servers:
        yield servers


# -- Nomad's command line at our servers ---------------------------------------------------------


def test_the_command_line_of_nomad_against_our_servers(cluster: Cluster) -> None:
    raft_commands(cluster)
    settings_commands(cluster)
    reading_commands(cluster)
    watching_commands(cluster)
    keyring_commands(cluster)
    pool_commands(cluster)


def raft_commands(cluster: Cluster) -> None:
    leader = cluster.leader()
    follower = (leader + 1) % 3
    table = cluster.good("operator", "raft", "list-peers", at=follower).splitlines()
    assert table[0].split() == ["Node", "ID", "Address", "State", "Voter", "RaftProtocol"]
    assert [line.split()[0] for line in table[1:]] == ["s0.global", "s1.global", "s2.global"]
    assert [line.split()[3] for line in table[1:]].count("leader") == 1
    assert (
        cluster.good("operator", "raft", "list-peers", "-stale", at=follower).splitlines() == table
    )
    assert len(cluster.good("operator", "raft", "list-peers", "-region=global").splitlines()) == 4
    ids = {line.split()[0]: line.split()[1] for line in table[1:]}

    unknown = cluster.nomad("operator", "raft", "remove-peer", "-peer-id=nobody")
    assert unknown.returncode == 1
    assert 'id "nobody" was not found in the Raft configuration' in unknown.stderr
    if nomad_version() >= (1, 7):
        moved = f"-peer-id={ids[f's{follower}.global']}"
        said = cluster.good("operator", "raft", "transfer-leadership", moved)
        assert said.startswith("Transferred leadership to peer with id")
        until(lambda: cluster.leader() == follower, "leadership to have moved")

    victim = (cluster.leader() + 1) % 3
    removed = f"-peer-id={ids[f's{victim}.global']}"
    said = cluster.good("operator", "raft", "remove-peer", removed, at=victim)
    assert said.startswith("Removed peer with id")
    until(lambda: cluster.voters() == 2, "two voters")
    assert cluster.ask(victim, "/v1/agent/rejoin", "PUT").status == 200
    until(lambda: cluster.voters() == 3, "three voters again")


def settings_commands(cluster: Cluster) -> None:
    scheduler, autopilot = ("operator", "scheduler"), ("operator", "autopilot")
    assert re.search(
        r"^Scheduler Algorithm +=+ binpack$", cluster.good(*scheduler, "get-config"), re.MULTILINE
    )
    assert cluster.good(*scheduler, "set-config", "-scheduler-algorithm=spread") == (
        "Scheduler configuration updated!\n"
    )
    kept = json.loads(cluster.good(*scheduler, "get-config", "-json"))
    assert kept["SchedulerConfig"]["SchedulerAlgorithm"] == "spread"
    assert "MaxTrailingLogs = 250\n" in cluster.good(*autopilot, "get-config")
    changed = ("-max-trailing-logs=500", "-cleanup-dead-servers=false")
    assert cluster.good(*autopilot, "set-config", *changed) == "Configuration updated!\n"
    text = cluster.good(*autopilot, "get-config")
    assert "MaxTrailingLogs = 500\n" in text
    assert "CleanupDeadServers = false\n" in text


def reading_commands(cluster: Cluster) -> None:
    info = cluster.good("agent-info")
    assert "encrypted = true" in info
    assert "num_peers = 2" in info
    assert (
        json.loads(cluster.good("agent-info", "-json"))["stats"]["raft"]["protocol_version"] == "3"
    )
    said = cluster.good("operator", "api", "/v1/regions")
    assert json.loads(said) == ["global"]
    assert "Gauges" in json.loads(cluster.good("operator", "metrics"))
    assert "# TYPE " in cluster.good("operator", "metrics", "-format=prometheus")
    assert "default" in cluster.good("namespace", "list")


def watching_commands(cluster: Cluster) -> None:
    """What is asked for on the worst night: lists of what is not here are empty, not errors."""
    assert cluster.good("status") == "No running jobs\n"
    cluster.good("system", "gc")
    assert '"Healthy"' in cluster.good("operator", "api", "/v1/operator/autopilot/health")
    followed(cluster)
    debugged(cluster)


def followed(cluster: Cluster) -> None:
    """`monitor` prints lines of the log while it goes on."""
    assert NOMAD is not None
    with watching(NOMAD, "monitor", "-log-level=DEBUG", address=cluster.address()) as program:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(program.stdout or ()), daemon=True)
        reader.start()

        def told() -> bool:
            cluster.move_leadership_to((cluster.leader() + 1) % 3)
            return any("quorate." in line for line in list(lines))

        until(told, lambda: f"a line of the log: {lines}")


def debugged(cluster: Cluster) -> None:
    """`operator debug` ends well, and its archive has what all servers tell."""
    assert NOMAD is not None
    folder = cluster.folder / "debug"
    words = ("-duration=2s", "-interval=1s", "-pprof-duration=1s", f"-output={folder}")
    with watching(NOMAD, "operator", "debug", *words, address=cluster.address()) as program:
        while program.poll() is None:
            cluster.move_leadership_to((cluster.leader() + 1) % 3)  # there is something to log
            with suppress(subprocess.TimeoutExpired):
                program.wait(0.5)
        assert program.returncode == 0
    files = {path.name: path for path in folder.rglob("*.json")}
    for name in ("agent-self.json", "operator-raft.json", "metrics.json"):
        assert any(path.endswith(name) for path in files), (name, sorted(files))
    for name in ("s0.global", "s1.global", "s2.global"):
        [log] = folder.rglob(f"{name}/monitor.log")
        assert "[INFO]  quorate." in log.read_text(), (name, log.read_text())
        [host] = folder.rglob(f"{name}/agent-host.json")
        assert json.loads(host.read_text()), name


def keyring_commands(cluster: Cluster) -> None:
    ring = ("operator", "gossip", "keyring")
    assert KEY in cluster.good(*ring, "list")
    cluster.good(*ring, "install", OTHER_KEY)
    cluster.good(*ring, "use", OTHER_KEY)
    cluster.good(*ring, "remove", KEY)
    assert cluster.good(*ring, "list").splitlines()[-2:] == ["Key", OTHER_KEY]
    bad = cluster.nomad(*ring, "remove", OTHER_KEY)  # the one in use
    assert bad.returncode == 1


def pool_commands(cluster: Cluster) -> None:
    members = cluster.good("server", "members").splitlines()
    assert [line.split()[0] for line in members[1:]] == ["s0.global", "s1.global", "s2.global"]
    assert sum(" true " in line for line in members) == 1
    listed = json.loads(cluster.good("server", "members", "-json"))
    assert {member["Status"] for member in listed} == {"alive"}
    assert "Joined 1 servers" in cluster.good("server", "join", f"127.0.0.1:{cluster.serf[1]}")
    nobody = cluster.nomad("server", "join", "127.0.0.1:1")
    assert nobody.returncode == 1
    assert "Error joining" in nobody.stderr

    victim = (cluster.leader() + 1) % 3
    asked = cluster.leader()
    cluster.kill(victim)
    name = f"s{victim}.global"
    until(lambda: status_of(cluster, asked, name) == "failed", f"{name} to fail")
    cluster.good("server", "force-leave", name, at=asked)
    until(lambda: status_of(cluster, asked, name) == "left", f"{name} to count as left")
    cluster.good("server", "force-leave", "-prune", name, at=asked)
    until(lambda: status_of(cluster, asked, name) == "", f"{name} to be forgotten")


def status_of(cluster: Cluster, asked: int, name: str) -> str:
    """As our server says to Nomad's program; empty if it does not name it."""
    listed = json.loads(cluster.good("server", "members", "-json", at=asked))
    return next((member["Status"] for member in listed if member["Name"] == name), "")


# -- our command line at a Nomad server ----------------------------------------------------------

READS = (
    (("operator", "raft", "list-peers"), "n1.west"),
    (("operator", "raft", "list-peers", "-stale"), "n1.west"),
    (("operator", "autopilot", "get-config"), "MaxTrailingLogs"),
    (("operator", "scheduler", "get-config"), "binpack"),
    (("operator", "gossip", "keyring", "list"), KEY),
    (("operator", "metrics"), "Gauges"),
    (("server", "members"), "n1.west"),
    (("agent-info",), "leader_addr"),
)


def test_our_command_line_against_a_nomad_server(tmp_path: Path) -> None:
    with nomad_server(tmp_path, "west", encrypt=KEY) as server:
        reads(server)
        writes(server)
        what_it_does_not_know(server)


def reads(server: NomadServer) -> None:
    for command, text in READS:
        plain = ours(server, *command)
        assert (plain.returncode, plain.stderr) == (0, ""), (command, plain)
        assert text in plain.stdout
        as_json = ours(server, *command, "-json")
        assert (as_json.returncode, as_json.stderr) == (0, ""), (command, as_json)
        assert text in json.dumps(json.loads(as_json.stdout))
        by_template = ours(server, *command, "-t={{.}}")
        assert (by_template.returncode, by_template.stderr) == (0, ""), (command, by_template)
        assert text in by_template.stdout
    for command, text in (
        (("server", "members", "-verbose"), "build="),
        (("server", "members", "-detailed"), "build="),
        (("operator", "raft", "list-peers", "-verbose"), "<none>"),
        (("operator", "raft", "list-peers", "-t={{range .Servers}}{{.Node}}{{end}}"), "n1.west\n"),
        (("operator", "metrics", "-format=prometheus"), "# TYPE "),
        (("operator", "api", "/v1/status/leader"), f"127.0.0.1:{server.rpc}"),
    ):
        ran = ours(server, *command)
        assert ran.returncode == 0, (command, ran)
        assert text in ran.stdout


def writes(server: NomadServer) -> None:
    for command, said in (
        (
            ("operator", "scheduler", "set-config", "-scheduler-algorithm=spread"),
            "Scheduler configuration updated!\n",
        ),
        (
            ("operator", "autopilot", "set-config", "-max-trailing-logs=300"),
            "Configuration updated!\n",
        ),
        (
            ("operator", "raft", "transfer-leadership", f"-peer-address=127.0.0.1:{server.rpc}"),
            f'Transferred leadership to peer with address "127.0.0.1:{server.rpc}"\n',
        ),
        (("server", "join", f"127.0.0.1:{server.serf}"), "Joined 1 servers successfully\n"),
        (("server", "force-leave", "nobody"), ""),
        (("operator", "gossip", "keyring", "install", OTHER_KEY), "Installing"),
        (("operator", "gossip", "keyring", "use", OTHER_KEY), "Changing"),
        (("operator", "gossip", "keyring", "remove", KEY), "Removing"),
        (("operator", "gossip", "keyring", "rotate"), "Installing the new key on all members"),
    ):
        if command[2] == "transfer-leadership" and nomad_version() < (1, 7):
            continue
        ran = ours(server, *command)
        assert ran.returncode == 0, (command, ran)
        assert ran.stdout.startswith(said) if said else ran.stdout == ""
    assert "spread" in ours(server, "operator", "scheduler", "get-config").stdout
    assert "MaxTrailingLogs = 300" in ours(server, "operator", "autopilot", "get-config").stdout
    assert OTHER_KEY not in ours(server, "operator", "gossip", "keyring", "list").stdout


def what_it_does_not_know(server: NomadServer) -> None:
    for command in (("operator", "raft", "views"), ("server", "rejoin")):
        ran = ours(server, *command)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "Unexpected response code: 404" in ran.stderr
    refused = ours(server, "operator", "raft", "remove-peer", "-peer-id=nobody")
    assert 'id "nobody" was not found in the Raft configuration' in refused.stderr


# -- one pool of both ----------------------------------------------------------------------------


def test_a_region_of_nomad_in_our_pool(cluster: Cluster, tmp_path: Path) -> None:
    """Each lists the other alive; a key is rotated through both; each sees the other go."""
    join = {"retry_join": [f"127.0.0.1:{cluster.serf[0]}"]}
    with nomad_server(tmp_path, "west", encrypt=KEY, server_join=join) as west:
        sees_each_other(cluster, west)
        requests_do_not_cross(cluster, west)
        rotated = run(QUORATE, "operator", "gossip", "keyring", "rotate", address=cluster.address())
        assert rotated.returncode == 0, rotated
        assert "all 4 members" in rotated.stdout
        # It sees ours fail, and ours see it fail and come back.
        victim = (cluster.leader() + 1) % 3
        cluster.kill(victim)
        until(lambda: seen(west.address)[f"s{victim}.global"] == "failed", "ours failed there", 60)
        cluster.start(victim)
        sees_each_other(cluster, west)
        west.kill()
        for number in range(3):
            until(partial(west_is, cluster, number, "failed"), "it failed here", 60)
        west.start()
        sees_each_other(cluster, west)
        west.terminate()
        for number in range(3):
            until(partial(west_is, cluster, number, "left"), "it left", 60)
        assert cluster.ask(0, "/v1/regions").json == ["global"]


def west_is(cluster: Cluster, number: int, status: str) -> bool:
    return seen(cluster.address(number)).get("n1.west") == status


def seen(address: str) -> dict[str, str]:
    """Status by name, as the agent at this address says."""
    said = run(QUORATE, "server", "members", "-json", address=address)
    return {member["Name"]: member["Status"] for member in json.loads(said.stdout)}


def all_alive(address: str) -> bool:
    names = ("s0.global", "s1.global", "s2.global", "n1.west")
    return seen(address) == dict.fromkeys(names, "alive")


def sees_each_other(cluster: Cluster, west: NomadServer) -> None:
    for address in (west.address, *map(cluster.address, range(3))):
        until(partial(all_alive, address), f"all alive at {address}", 60)


def requests_do_not_cross(cluster: Cluster, west: NomadServer) -> None:
    """Servers of the two kinds speak gossip with each other, not each other's requests."""
    answer = cluster.ask(0, "/v1/status/leader?region=west")
    assert (answer.status, answer.text) == (
        500,
        "No path to region (its servers are Nomad's: ask n1.west itself)",
    )
    assert cluster.ask(0, "/v1/regions").json == ["global", "west"]
    members = cluster.nomad("server", "members")
    assert members.returncode == 1
    assert len(members.stdout.split("\n\n")[0].splitlines()) == 5
    there = run(QUORATE, "operator", "raft", "list-peers", "-region=global", address=west.address)
    assert (there.returncode, "Unexpected response code: 500" in there.stderr) == (1, True)
    assert run(QUORATE, "operator", "raft", "list-peers", address=west.address).returncode == 0
