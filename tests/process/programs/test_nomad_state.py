"""Beside the real Nomad: what it and we hold, save and recover.

What was seen with which version is in docs/compatibility.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
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
    ours,
    run,
    three_of_ours,
    told,
)
from server_processes import until

pytestmark = [pytest.mark.process, needs_nomad]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with three_of_ours(tmp_path) as servers:
        yield servers


# -- Nomad's command line at our servers ---------------------------------------------------------


def test_the_command_line_of_nomad_at_our_state(cluster: Cluster) -> None:
    variables(cluster)
    namespaces(cluster)
    root_keys(cluster)
    snapshots(cluster)
    what_is_not_here(cluster)


def variables(cluster: Cluster) -> None:
    first = json.loads(cluster.good("var", "put", "-out=json", "app/db", "user=me", "password=x"))
    assert first["Items"] == {"user": "me", "password": "x"}
    conflict = cluster.bad("var", "put", "app/db", "user=you")
    assert "Check-and-Set conflict" in conflict
    assert f"-check-index={first['ModifyIndex']}" in conflict.replace("\n", "")
    index = f"-check-index={first['ModifyIndex']}"
    second = json.loads(cluster.good("var", "put", "-out=json", index, "app/db", "user=you"))
    assert second["CreateIndex"] == first["CreateIndex"] < second["ModifyIndex"]
    assert cluster.good("var", "get", "-item=user", "app/db", at=1) == "you"
    assert 'user = "you"' in cluster.good("var", "get", "-out=hcl", "app/db")
    assert "Variable not found" in cluster.bad("var", "get", "none")
    spec = cluster.folder / "spec.nv.hcl"
    spec.write_text('path = "app/spec"\nitems { a = "1" }\n')
    cluster.good("var", "put", f"@{spec}")
    listed = json.loads(cluster.good("var", "list", "-out=json", "-namespace=*", "app/"))
    assert [each["Path"] for each in listed] == ["app/db", "app/spec"]
    assert 'paths at "nomad/jobs"' in cluster.bad("var", "put", "nomad/other", "a=b")
    assert "Check-and-Set conflict" in cluster.bad("var", "purge", "-check-index=1", "app/db")
    assert "Successfully purged" in cluster.good("var", "purge", "app/db")


def namespaces(cluster: Cluster) -> None:
    said = cluster.good("namespace", "apply", "-description=shop", "web")
    assert said == 'Successfully applied namespace "web"!\n'
    listed = [line.split() for line in cluster.good("namespace", "list", at=1).splitlines()[1:]]
    assert [line[0] for line in listed] == ["default", "web"]
    assert "Description     = shop" in cluster.good("namespace", "status", "web")
    assert json.loads(cluster.good("namespace", "inspect", "web"))["Name"] == "web"
    cluster.good("var", "put", "-namespace=web", "x/y", "a=b")
    assert "it holds variables, among them x/y" in cluster.bad("namespace", "delete", "web")
    cluster.good("var", "purge", "-namespace=web", "x/y")
    cluster.good("namespace", "delete", "web")
    assert "can not delete default" in cluster.bad("namespace", "delete", "default")


def root_keys(cluster: Cluster) -> None:
    ring = ("operator", "root", "keyring")
    before = cluster.good(*ring, "list", "-verbose").split()[-3]
    cluster.good(*ring, "rotate")
    table = [line.split() for line in cluster.good(*ring, "list", "-verbose", at=1).splitlines()]
    assert {line[1] for line in table if line[0] == before} == {"inactive"}
    assert sum(line[1] == "active" for line in table) == 1
    cluster.good(*ring, "rotate", "-full")
    unknown = "00000000-0000-0000-0000-000000000000"
    assert "root key not found" in cluster.bad(*ring, "remove", unknown)


def snapshots(cluster: Cluster) -> None:
    """Our archive is in the form that Nomad's program saves, checks and puts back."""
    file = cluster.folder / "ours.snap"
    cluster.good("var", "put", "kept/in", "the=archive")
    cluster.good("operator", "snapshot", "save", "-stale", str(file), at=1)
    seen = dict(
        line.split()
        for line in cluster.good("operator", "snapshot", "inspect", str(file)).splitlines()
    )
    assert seen.keys() == {"ID", "Size", "Index", "Term", "Version"}
    cluster.good("var", "purge", "kept/in")
    assert "Snapshot Restored" in cluster.good("operator", "snapshot", "restore", str(file))
    assert cluster.good("var", "get", "-item=the", "kept/in") == "archive"
    damaged = cluster.folder / "damaged.snap"
    damaged.write_bytes(file.read_bytes()[:-40])
    assert cluster.nomad("operator", "snapshot", "inspect", str(damaged)).returncode == 1
    assert cluster.nomad("operator", "snapshot", "restore", str(damaged)).returncode == 1


def what_is_not_here(cluster: Cluster) -> None:
    """Lists of what a server without jobs does not have are empty, and without ACL that is said."""
    for words, text in (
        (("job", "status"), "No running jobs"),
        (("eval", "list"), "No evals found"),
        (("deployment", "list"), "No deployments found"),
        (("service", "list"), "No service registrations found"),
        (("scaling", "policy", "list"), "No policies found"),
        (("node", "status"), ""),
        (("system", "reconcile", "summaries"), ""),
    ):
        assert text in cluster.good(*words), words
    for words, text in (
        (("acl", "bootstrap"), "ACL support disabled"),
        (("acl", "token", "list"), "ACL support disabled"),
        (("quota", "list"), "Nomad Enterprise only endpoint"),
        (("license", "get"), "Nomad Enterprise only endpoint"),
    ):
        assert text in cluster.bad(*words), words


# -- our command line at a Nomad server ----------------------------------------------------------


def test_our_command_line_at_the_state_of_a_nomad_server(tmp_path: Path) -> None:
    with nomad_server(tmp_path, "west", encrypt=KEY) as server:
        server.good("var", "put", "app/db", "user=me")
        server.good("namespace", "apply", "web")
        its_state(server)
        its_archives(server, tmp_path)
        its_backup(server, tmp_path / "backups")
        server.terminate()
        its_folder(server)


def its_state(server: NomadServer) -> None:
    assert told(server, "var", "get", "-item=user", "app/db") == "me"
    assert json.loads(told(server, "var", "list", "-out=json"))[0]["Path"] == "app/db"
    assert "web" in told(server, "namespace", "list")
    assert "active" in told(server, "operator", "root", "keyring", "list")
    assert "Leader     = true" in told(server, "status")
    assert "Healthy: true" in told(server, "operator", "autopilot", "health")
    told(server, "system", "gc")
    health = told(server, "operator", "diagnose")
    assert health.startswith("There is a leader: n1.west"), health
    (asked,) = json.loads(told(server, "operator", "diagnose", "-json"))["Servers"]
    assert (asked["Make"], asked["Role"], asked["Voters"]) == ("Nomad", "leader", 1)


def its_archives(server: NomadServer, folder: Path) -> None:
    """Saved by both programs; each program reads what the other has saved."""
    theirs, by_us = folder / "theirs.snap", folder / "by-us.snap"
    server.good("operator", "snapshot", "save", str(theirs))
    told(server, "operator", "snapshot", "save", str(by_us))
    server.good("operator", "snapshot", "inspect", str(by_us))
    inspected = told(server, "operator", "snapshot", "inspect", str(theirs))
    assert "Written by  Nomad" in inspected
    counts = {
        line.split()[0]: line.split()[1] for line in inspected.splitlines() if "Snapshot " in line
    }
    assert (counts["NamespaceSnapshot"], counts["VariablesSnapshot"]) == ("2", "1")
    for archive in (theirs, by_us):
        rows = list(
            map(
                json.loads, told(server, "operator", "snapshot", "state", str(archive)).splitlines()
            )
        )
        assert [row["Value"]["Path"] for row in rows if row["Type"] == "VariablesSnapshot"] == [
            "app/db"
        ]


def its_backup(server: NomadServer, target: Path) -> None:
    """It is verified, and the keys that it never holds are named."""
    target.mkdir()
    said = told(server, "backup", "run", f"-target=file://{target}")
    assert "State of = Nomad" in said
    (keys,) = (server.data_dir / "server" / "keystore").iterdir()
    assert str(keys.parent) in said
    assert keys.name in said
    (archive,) = target.glob("*.snap")
    server.good("operator", "snapshot", "inspect", str(archive))


def its_folder(server: NomadServer) -> None:
    """Read while the server is stopped, as its own program reads it."""
    assert NOMAD is not None
    folder = str(server.data_dir / "server")
    here = told(server, "operator", "raft", "info", folder)
    there = run([NOMAD], "operator", "raft", "info", folder, address=server.address)
    sums = dict(line.split(":", 1) for line in there.stdout.splitlines())
    for key in ("length", "first index", "last index"):
        (line,) = (line for line in here.splitlines() if line.startswith(f"{key}:"))
        assert line.split(":")[1].strip() == sums[key].strip()
    our_log = told(server, "operator", "raft", "logs", folder).splitlines()
    their_log = run([NOMAD], "operator", "raft", "logs", folder, address=server.address)
    pairs = zip(
        map(json.loads, our_log), map(json.loads, their_log.stdout.splitlines()), strict=True
    )
    for mine, other in pairs:
        for key in ("LogType", "Term", "Index", "CommandType"):
            assert mine.get(key) == other.get(key)
    assert '"Path": "app/db"' in told(server, "operator", "raft", "state", folder)
    stopped = ours(server, "operator", "diagnose", str(server.data_dir)).stdout
    assert stopped.startswith("There is no leader"), stopped
    assert "of 1 of 1 voter are here and sound" in stopped


# -- a lost quorum of Nomad's servers ------------------------------------------------------------


def test_a_nomad_server_goes_on_with_our_peers_json(tmp_path: Path) -> None:
    """Two of three are lost. Diagnosed; a peers.json of us, asked and read; the third one leads."""
    with ExitStack() as stack:
        servers = [NomadServer(tmp_path, "west", name="n1", bootstrap_expect=3)]
        join = {"retry_join": [f"127.0.0.1:{servers[0].serf}"], "retry_interval": "1s"}
        for name in ("n2", "n3"):
            keys = {"bootstrap_expect": 3, "server_join": join}
            servers.append(NomadServer(tmp_path, "west", name=name, **keys))
        for server in servers:
            stack.callback(server.kill)
            server.launch()
        until(lambda: all(server.leader() for server in servers), "a leader of three", 60)
        survivor = servers[2]
        survivor.good("var", "put", "app/db", "user=me")
        three = told(survivor, "operator", "diagnose")
        assert three.startswith("There is a leader"), three
        for lost in servers[:2]:
            lost.kill()
        until(lambda: not survivor.leader(), "no leader", 60)
        diagnosis = json.loads(ours(survivor, "operator", "diagnose", "-json").stdout)
        assert diagnosis["Outcome"] != "healthy", diagnosis
        asked = told(survivor, "operator", "recover", "peers-json", f"-address={survivor.address}")
        survivor.kill()
        read = told(survivor, "operator", "recover", "peers-json", str(survivor.data_dir))
        assert json.loads(asked) == json.loads(read)
        assert [peer["address"] for peer in json.loads(read)] == [f"127.0.0.1:{survivor.rpc}"]
        for lost in servers[:2]:
            shutil.rmtree(lost.data_dir)
        (survivor.data_dir / "server" / "raft" / "peers.json").write_text(read)
        survivor.start()
        assert told(survivor, "var", "get", "-item=user", "app/db") == "me"
        said = run(QUORATE, "operator", "raft", "list-peers", address=survivor.address).stdout
        assert len(said.splitlines()) == 2, said
