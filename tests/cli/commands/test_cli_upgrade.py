"""`operator upgrade check`: the level, each server in the order of restarts, and the exit code."""

from __future__ import annotations

from typing import Any

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, json_reply, text_reply

UPGRADE = "GET /v1/operator/upgrade"


def server(node: str, **more: Any) -> dict[str, Any]:
    return {
        "ID": node,
        "Node": node,
        "Version": "0.1.0",
        "Level": 1,
        "Leader": False,
        "Voter": True,
        **more,
    }


def shown(level: int, goal: int, *servers: dict[str, Any]) -> Ran:
    body = {"Level": level, "Goal": goal, "MayMix": "all versions", "Servers": list(servers)}
    with FakeAgent({UPGRADE: json_reply(body)}) as agent:
        return run("operator", "upgrade", "check", env={"NOMAD_ADDR": agent.address})


def test_a_cluster_at_its_highest_level_is_well() -> None:
    done = shown(1, 1, server("s2"), server("s1", Leader=True))
    assert (done.code, done.stderr) == (0, "")


def test_a_server_that_does_not_answer_is_named() -> None:
    silent = server("s3", Level=None, Version="", Error="no answer within 2 s")
    done = shown(1, 1, server("s2"), silent, server("s1", Leader=True))
    assert done.code == 2
    assert done.stderr == "s3 does not answer: no answer within 2 s\n"
    assert done.stdout == (
        "Feature level  1 of 1\n"
        "May be mixed   all versions\n"
        "\n"
        "Restart  Node  Version  Level  Role    Note\n"
        "1        s2    0.1.0    1      voter   -\n"
        "2        s3    -        -      voter   no answer within 2 s\n"
        "3        s1    0.1.0    1      leader  -\n"
    )


def test_a_cluster_without_a_leader_is_not_well() -> None:
    done = shown(1, 1, server("s2"), server("s1"))
    assert (done.code, done.stderr) == (2, "No server leads\n")


def test_who_holds_the_level_back_is_named() -> None:
    old = server("s2", Version="", Level=0, Waits="it knows level 0 only: upgrade it")
    done = shown(0, 1, old, server("s1", Leader=True))
    assert done.code == 2
    assert "1        s2    before levels  0      voter   it knows level 0 only" in done.stdout
    assert done.stderr.startswith("The cluster is of feature level 0, its servers know up to 1")


def test_a_downgraded_server_is_named() -> None:
    old = server("s2", Version="", Level=0, Waits="it knows level 0 only: upgrade it")
    done = shown(1, 1, old, server("s1", Leader=True))
    assert done.code == 2
    assert done.stderr.startswith("s2 is below the cluster's feature level 1")


def test_a_server_that_has_stopped_applying_is_named() -> None:
    done = shown(1, 1, server("s2", Held="this server has stopped applying"), server("s1"))
    assert (done.code, "has stopped applying" in done.stdout) == (2, True)
    assert done.stderr.startswith("s2 has stopped applying the log")


@pytest.mark.parametrize("status", [404, 500])
def test_no_answer_is_an_error(status: int) -> None:
    with FakeAgent({UPGRADE: text_reply(status, "no")}) as agent:
        done = run("operator", "upgrade", "check", env={"NOMAD_ADDR": agent.address})
    assert done.code == 1
    assert done.stderr.startswith("Error checking the upgrade: ")
