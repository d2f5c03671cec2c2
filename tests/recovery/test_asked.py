"""`recover plan` and `recover peers-json` of servers that run, asked over the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, golden_http, json_reply, text_reply
from recovery_folders import IDS, golden_servers

from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.summary import FolderSummary

FACTS = "GET /v1/operator/raft/facts"
VIEWS = "GET /v1/operator/raft/views"


def said_by(found: FolderSummary, **other: Any) -> Reply:
    """What a server on that folder says."""
    members = [
        {"ID": s.id, "Address": s.address, "Voter": s.voter, "Key": msgspec.to_builtins(s.key)}
        for s in found.members.servers
    ]
    snapshot = found.snapshot
    value = {
        "ID": found.server_id,
        "Region": found.region,
        "ClusterID": found.cluster_id,
        "LastIndex": found.reach[1],
        "LastTerm": found.reach[0],
        "CommitIndex": found.commit_known,
        "Snapshot": {"Index": snapshot.index, "Term": snapshot.term} if snapshot else {},
        "Configuration": {"Index": found.members.index, "Servers": members},
        "Role": "follower",
    }
    return json_reply({**value, **other})


def plan(*words: object) -> Ran:
    return run("operator", "recover", "plan", *map(str, words))


def test_a_plan_of_a_server_that_runs_and_of_a_folder_fits_both(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    file, s0 = tmp_path / "plan.json", inspect(folders["s0"])
    with FakeAgent({FACTS: said_by(s0)}) as agent:
        ran = plan(f"-out={file}", f"-address={agent.address}", folders["s1"])
    assert ran.code == 0, ran
    assert agent.asked == [FACTS, VIEWS]
    assert "Of this moment only: that none has a leader" in ran.stdout
    assert f"recover live prepare -data-may-be-lost {file} DATA_DIR" in ran.stdout
    assert ran.stdout.endswith(f"  quorate operator recover apply {file} DATA_DIR\n")
    made = json.loads(file.read_text())
    assert {s["server_id"]: s["path"] for s in made["survivors"]} == {
        IDS["s0"]: agent.address,
        IDS["s1"]: str(folders["s1"] / "server"),
    }
    assert [s["id"] for s in made["left_out"]] == [IDS["s2"]]
    for name in ("s0", "s1"):
        ran = run("operator", "recover", "apply", str(file), str(folders[name]))
        assert ran.code == 0, ran


def test_two_servers_that_run_are_compared_by_what_they_know(tmp_path: Path) -> None:
    folders = golden_servers(tmp_path)
    known = [inspect(folders[name]) for name in ("s0", "s1")]
    last = known[0].reach[1]
    with (
        FakeAgent({FACTS: said_by(known[0], CommitIndex=last)}) as one,
        FakeAgent({FACTS: said_by(known[1], LastIndex=last + 3, CommitIndex=last + 1)}) as other,
    ):
        ran = plan(f"-address={one.address}", f"-address={other.address}")
    made = json.loads(ran.stdout)
    assert made["leads"] == IDS["s1"]
    assert made["becomes_committed"] == f"entries {last + 2} to {last + 3} of {IDS['s1']}"


@pytest.mark.parametrize("how", ["commas", "one by one"])
def test_a_survivor_that_runs_is_not_left_out_for_not_being_named(tmp_path: Path, how: str) -> None:
    """It may hold what the others do not."""
    folders = golden_servers(tmp_path)
    known = {name: inspect(folders[name]) for name in ("s0", "s1")}
    views = [
        {"ID": IDS["s0"], "Node": "s0.global", "Address": "127.0.0.1:1", "Error": ""},
        {"ID": IDS["s1"], "Node": "s1.global", "Address": "127.0.0.1:2", "Error": ""},
        {"ID": IDS["s2"], "Node": "s2.global", "Address": "127.0.0.1:3", "Error": "i/o timeout"},
    ]
    seen = {VIEWS: json_reply({"Servers": views})}
    with (
        FakeAgent({FACTS: said_by(known["s0"]), **seen}) as one,
        FakeAgent({FACTS: said_by(known["s1"]), **seen}) as other,
    ):
        ran = plan(f"-address={one.address}")
        assert (ran.code, ran.stdout) == (1, "")
        assert f"s1.global ({IDS['s1']} at 127.0.0.1:2) runs and answers" in ran.stderr
        assert plan(f"-address={one.address}", folders["s1"]).code == 0
        both = [f"-address={one.address}", f"-address={other.address}"]
        if how == "commas":
            both = [f"-address={one.address},{other.address}"]
        ran = plan(*both)
        assert ran.code == 0, ran
        assert len(json.loads(ran.stdout)["survivors"]) == 2


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"Leader": "127.0.0.1:1"}, "has a leader: 127.0.0.1:1"),
        ({"Role": "leader", "Address": "127.0.0.1:2"}, "has a leader: 127.0.0.1:2"),
        ({"State": "damaged"}, "cannot be used: its replicated state is damaged"),
        ({"State": "twice"}, "cannot be used: another live server uses its ID"),
        ({"Held": "it needs level 9"}, "cannot be used: it needs level 9"),
        ({"Configuration": None}, "belongs to no cluster"),
        ({"EpochBits": "x"}, "says an epoch that is none"),
    ],
)
def test_a_server_that_needs_or_fits_no_recovery_is_refused(
    tmp_path: Path, other: dict[str, Any], text: str
) -> None:
    found = inspect(golden_servers(tmp_path)["s0"])
    with FakeAgent({FACTS: said_by(found, **other)}) as agent:
        ran = plan(f"-address={agent.address}")
    assert (ran.code, ran.stdout) == (1, "")
    assert f"{agent.address} {text}" in ran.stderr


CONFIGURATION = "GET /v1/operator/raft/configuration?stale="


def nomad(**raft: str) -> dict[str, Reply]:
    """A real server that has lost its quorum; in its statistics it has no leader."""
    agent = json.loads(golden_http("r3-agent-self").body)
    agent["stats"]["nomad"]["leader_addr"] = ""
    agent["stats"]["raft"].update(raft)
    return {
        FACTS: text_reply(404, "Invalid method"),
        CONFIGURATION: golden_http("lq-raft-config-stale"),
        "GET /v1/agent/self": json_reply(agent),
    }


def test_a_peers_json_for_a_real_server_that_runs() -> None:
    with FakeAgent(nomad()) as agent:
        ran = run("operator", "recover", "peers-json", f"-address={agent.address}")
        planned = plan(f"-address={agent.address}")
    assert ran.code == 0, ran
    server_id = "990fe718-2e08-2a6f-9689-0955efec4c73"
    assert json.loads(ran.stdout) == [
        {"id": server_id, "address": "127.0.0.3:4647", "non_voter": False}
    ]
    assert f"most advanced: {server_id}" in ran.stderr
    assert "could hold a majority" in ran.stderr
    assert json.loads(json.loads(planned.stdout)["peers_json"]) == json.loads(ran.stdout)


def test_a_real_server_with_a_leader_or_without_numbers_is_refused() -> None:
    with FakeAgent(nomad()) as agent:
        agent.routes[CONFIGURATION] = golden_http("r3-raft-config-leader")
        ran = plan(f"-address={agent.address}")
        assert "has a leader: 127.0.0.3:4647" in ran.stderr
    with FakeAgent(nomad(last_log_index="many")) as agent:
        ran = plan(f"-address={agent.address}")
        assert "says no number in stats.raft.last_log_index: 'many'" in ran.stderr
    assert (ran.code, ran.stdout) == (1, "")
