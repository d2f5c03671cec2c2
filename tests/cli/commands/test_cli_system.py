"""`quorate monitor`, `system` and `config validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, golden_http, text_reply

MONITOR = "GET /v1/agent/monitor"


def against(routes: dict[str, Reply], *argv: str) -> Ran:
    with FakeAgent(routes) as agent:
        return run(*argv, env={"NOMAD_ADDR": agent.address})


def test_monitor_prints_what_comes() -> None:
    route = f"{MONITOR}?log_json=true&log_level=debug&plain=true&server_id=leader"
    lines = "one\ntwo\n"
    done = against(
        {route: Reply(200, lines.encode(), ())},
        *("monitor", "-log-level=debug", "-server-id=leader", "-json"),
    )
    assert done == Ran(0, lines, "")


def test_monitor_says_why_there_is_no_log() -> None:
    refused = text_reply(400, "Unknown log level: nope")
    done = against({f"{MONITOR}?log_level=nope&plain=true": refused}, "monitor", "-log-level=nope")
    assert (done.code, done.stdout) == (1, "")
    text = "Error starting monitor: Unexpected response code: 400 (Unknown log level: nope)"
    assert done.stderr.startswith(text)


@pytest.mark.parametrize(
    ("words", "path", "prefix"),
    [
        (("system", "gc"), "gc", "Error running system garbage-collection: "),
        (
            ("system", "reconcile", "summaries"),
            "reconcile/summaries",
            "Error running system summary reconciliation: ",
        ),
    ],
)
def test_upkeep_is_silent(words: tuple[str, ...], path: str, prefix: str) -> None:
    assert against({f"PUT /v1/system/{path}": Reply(200, b"", ())}, *words) == Ran(0, "", "")
    done = against({f"PUT /v1/system/{path}": text_reply(500, "No cluster leader")}, *words)
    assert done.code == 1
    assert done.stderr.startswith(prefix)


SERVERS = {
    "GET /v1/agent/members": golden_http("r3-agent-members"),
    "GET /v1/operator/raft/configuration?stale=": golden_http("r3-raft-config-leader"),
}


@pytest.mark.parametrize(
    "words", [("s2.global",), ("s2",), ("13ab2eb1-3900-055b-76fa-4d364900687d",)]
)
def test_status_of_one_server(words: tuple[str, ...]) -> None:
    done = against(SERVERS, "status", *words)
    assert (done.code, done.stderr) == (0, "")
    assert [line.split(" = ")[1] for line in done.stdout.splitlines()] == [
        "s2.global",
        "13ab2eb1-3900-055b-76fa-4d364900687d",
        "127.0.0.2:4647",
        "global",
        "dc1",
        "alive",
        "false",
        "true",
        "1.0.18",
    ]


def test_status_of_the_server_asked() -> None:
    done = against(SERVERS, "status")
    assert done.stdout.splitlines()[0] == "Name       = s3.global"
    assert "Leader     = true" in done.stdout


def test_status_of_nobody() -> None:
    done = against(SERVERS, "status", "s9")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("no server has the name or ID 's9'")


def test_a_configuration_is_valid_or_not(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    config = {
        "data_dir": str(tmp_path / "data"),
        "bind_addr": "127.0.0.1",
        "advertise": {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"},
        "server": {"enabled": True, "bootstrap_expect": 1},
    }
    good.write_text(json.dumps(config))
    done = run("config", "validate", str(good), env={})
    assert (done.code, done.stdout) == (0, "Configuration is valid!\n")
    bad.write_text(json.dumps({**config, "nope": 1}))
    done = run("config", "validate", str(good), str(bad), env={})
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("1 error occurred:\n\t* ")
    assert "nope" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_configuration_must_be_named() -> None:
    done = run("config", "validate", env={})
    assert done.code == 1
    assert done.stderr.startswith("Must specify at least one config file or directory")
