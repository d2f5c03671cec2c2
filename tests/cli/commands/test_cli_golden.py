"""Recorded command lines of a real program, replayed against recorded answers (cli.md).

Equal are exit code, stdout and stderr, but for the program's name, its version, the recorded
help texts (ours are our own), and the order of list-peers, which is sorted since 1.6.
"""

import json
import re
from typing import Any

import pytest
from cli_golden_cases import NOT_REPLAYED, REPLAYED
from cli_run import Ran, run
from client_fake_agent import (
    TLS,
    AlertServer,
    FakeAgent,
    Reply,
    closed_port,
    golden_http,
    json_reply,
    server_context,
)
from places import GOLDEN

from quorate.cli.registry.index import BY_PATH, GROUP_BY_PATH
from quorate.version import __version__

CASES = GOLDEN / "cli"
DEAD = "127.0.0.9:4646"
USAGE = "<usage text>"


def load(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return case


def is_ours(case: dict[str, Any]) -> bool:
    """True if the command is in our table; the agent's start is tested with the agent."""
    words = case["argv"][1:]
    if words[:1] == ["agent"]:
        return str(case["name"]) == "agent-badflag"
    if not words or words[0] in {"nosuch", "version", "agent-info"}:
        return True
    paths = [tuple(words[:count]) for count in (1, 2, 3)]
    known = [p for p in paths if p in BY_PATH or p in GROUP_BY_PATH]
    return bool(known) and (known[-1] in BY_PATH or known[-1] == tuple(words))


def test_every_recorded_case_of_our_commands_is_listed() -> None:
    cases = {path.stem: json.loads(path.read_text()) for path in CASES.glob("*.json")}
    ours = {name for name, case in cases.items() if is_ours(case)}
    assert ours == REPLAYED.keys() | NOT_REPLAYED.keys()


def ours(text: str) -> str:
    """A recorded text with our names and sorted peers."""
    text = text.replace("'nomad ", "'quorate ").replace("Nomad v1.0.18", f"Quorate v{__version__}")
    lines = text.split("\n")
    if "  Protocol  " in lines[0]:  # since 1.3 the narrow table of members has the other version
        lines = [lines[0].replace("Protocol", "Raft Version")] + [
            re.sub(r"(true|false)( +)2 {9}", r"\g<1>\g<2>3" + " " * 13, line) for line in lines[1:]
        ]
    if lines[0].startswith("Node "):
        lines = [lines[0], *sorted(lines[1:-1]), ""]
    return "\n".join(lines)


def answers(requests: dict[str, str]) -> dict[str, Reply]:
    routes = {}
    for route, name in requests.items():
        reply = golden_http(name.removeprefix("rpc error: "))
        prefix = b"rpc error: " if name.startswith("rpc error: ") else b""
        routes[route] = reply._replace(body=prefix + reply.body)
    return routes


def assert_same(ran: Ran, case: dict[str, Any]) -> None:
    assert ran.code == case["exit_code"]
    if USAGE in case["stderr"]:
        assert ran.stderr.startswith(case["stderr"].replace(USAGE, "Usage: quorate"))
    else:
        assert ran.stderr == ours(case["stderr"])
    if case["stdout"].startswith(USAGE):
        assert ran.stdout.startswith("Usage: quorate")
    else:
        assert ran.stdout == ours(case["stdout"])


@pytest.mark.parametrize("name", REPLAYED)
def test_replay(name: str) -> None:
    case = load(name)
    routes = answers(REPLAYED[name])
    if name == "fed-server-members-west-dead":
        body = json.loads(routes["GET /v1/agent/members"].body)
        next(m for m in body["Members"] if m["Name"] == "w1.west")["Status"] = "failed"
        routes["GET /v1/agent/members"] = json_reply(body)
    dead = f"127.0.0.1:{closed_port()}"
    with FakeAgent(routes) as agent:
        argv = [word.replace(DEAD, dead) for word in case["argv"][1:]]
        ran = run(*argv, env={**case.get("env", {}), "NOMAD_ADDR": agent.address})
    ran = ran._replace(stderr=ran.stderr.replace(dead, DEAD))
    if name == "r3-server-members-detailed":
        ran, case = with_sorted_tags(ran), {**case, "stdout": sorted_tags(case["stdout"])}
    assert agent.asked == list(REPLAYED[name])
    assert_same(ran, case)


def with_sorted_tags(ran: Ran) -> Ran:
    return ran._replace(stdout=sorted_tags(ran.stdout))


def sorted_tags(table: str) -> str:
    """The order of the tags differs from run to run of the recorded program."""
    return "\n".join(
        " ".join(",".join(sorted(word.split(","))) for word in line.split(" "))
        for line in table.split("\n")
    )


def test_token_and_region_are_sent_as_recorded_clients_send_them() -> None:
    case = load("acl-list-peers-flagtoken")
    with FakeAgent(answers(REPLAYED["acl-list-peers-flagtoken"])) as agent:
        run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    assert agent.requests[0].headers["x-nomad-token"] == "682be10c-21e8-2c29-e338-fb13a73249f1"


# -- agent-info: values differ in every recording, so the agent answers what was printed ---------


def stats_of(text: str) -> dict[str, dict[str, str]]:
    """The statistics that a printed agent-info shows, in reverse order."""
    stats: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("  "):
            key, _, value = line.strip(" ").partition(" =")
            stats[section][key] = value.removeprefix(" ")
        else:
            section = line
            stats[section] = {}
    return {
        name: dict(reversed(list(figures.items())))
        for name, figures in reversed(list(stats.items()))
    }


@pytest.mark.parametrize("name", ["cl-agent-info", "lq-agent-info", "r3-agent-info"])
def test_agent_info(name: str) -> None:
    case = load(name)
    reply = json_reply({"config": {}, "member": None, "stats": stats_of(case["stdout"])})
    with FakeAgent({"GET /v1/agent/self": reply}) as agent:
        ran = run("agent-info", env={"NOMAD_ADDR": agent.address})
    assert_same(ran, case)


def test_agent_info_json() -> None:
    case = load("r3-agent-info-json")
    reply = golden_http("r3-agent-self")
    with FakeAgent({"GET /v1/agent/self": reply}) as agent:
        ran = run("agent-info", "-json", env={"NOMAD_ADDR": agent.address})
    assert ran.code == case["exit_code"]
    assert json.loads(ran.stdout) == json.loads(reply.body)
    assert ran.stdout.startswith(case["stdout"][: len('{\n    "config": {\n        "')])


# -- autopilot writes: read, change what was given, write with cas ------------------------------

AUTOPILOT = "/v1/operator/autopilot/configuration"


def autopilot_of(stdout: str) -> dict[str, Any]:
    """The configuration that a printed get-config shows."""
    words = {"true": True, "false": False}
    pairs = (line.split(" = ") for line in stdout.splitlines())
    return {key: words.get(value, int(value) if value.isdigit() else value) for key, value in pairs}


def test_autopilot_get_after_set() -> None:
    case = load("r3-autopilot-get-config-after")
    reply = json_reply({**autopilot_of(case["stdout"]), "CreateIndex": 4, "ModifyIndex": 9})
    with FakeAgent({f"GET {AUTOPILOT}": reply}) as agent:
        ran = run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    assert_same(ran, case)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (
            "r3-autopilot-set-config",
            {
                "CleanupDeadServers": False,
                "MaxTrailingLogs": 100,
                "LastContactThreshold": "500ms",
                "ServerStabilizationTime": "20s",
                "MinQuorum": 3,
            },
        ),
        ("r3-autopilot-set-config-none", {}),
        ("r3-autopilot-set-config-restore", {}),
    ],
)
def test_autopilot_set(name: str, changed: dict[str, Any]) -> None:
    case = load(name)
    before = json.loads(golden_http("r3-autopilot-config-get").body)
    write = f"PUT {AUTOPILOT}?cas={before['ModifyIndex']}"
    routes = {
        f"GET {AUTOPILOT}": golden_http("r3-autopilot-config-get"),
        write: golden_http("r3-autopilot-config-cas-match"),
    }
    with FakeAgent(routes) as agent:
        ran = run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    assert_same(ran, case)
    assert agent.asked == [f"GET {AUTOPILOT}", write]
    assert json.loads(agent.requests[1].body) == {**before, **changed}


def test_autopilot_set_that_lost_the_race() -> None:
    before = json.loads(golden_http("r3-autopilot-config-get").body)
    routes = {
        f"GET {AUTOPILOT}": golden_http("r3-autopilot-config-get"),
        f"PUT {AUTOPILOT}?cas={before['ModifyIndex']}": golden_http(
            "r3-autopilot-config-cas-stale"
        ),
    }
    with FakeAgent(routes) as agent:
        ran = run("operator", "autopilot", "set-config", env={"NOMAD_ADDR": agent.address})
    text = "Configuration could not be atomically updated, please try again\n"
    assert ran == Ran(1, "", text)


def test_keyring_list_of_the_other_key() -> None:
    case = load("enc-keyring-list")
    key = case["stdout"].split()[-1]
    reply = json_reply({"Keys": {key: 1}, "Messages": {}, "NumNodes": 1})
    with FakeAgent({"GET /v1/agent/keyring/list": reply}) as agent:
        ran = run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    assert_same(ran, case)


# -- metrics: the recordings are cut off, so what is printed is compared with what was answered --


@pytest.mark.parametrize(
    ("name", "route", "answer"),
    [
        ("r3-metrics", "GET /v1/metrics", "r3-metrics"),
        ("r3-metrics-badformat", "GET /v1/metrics?format=nope", "r3-metrics"),
        ("r3-metrics-pretty", "GET /v1/metrics?pretty=1", "r3-metrics"),
        (
            "enc-metrics-prometheus",
            "GET /v1/metrics?format=prometheus",
            "enc-metrics-prometheus",
        ),
    ],
)
def test_metrics_are_printed_as_they_come(name: str, route: str, answer: str) -> None:
    case = load(name)
    reply = golden_http(answer)
    if name == "r3-metrics-pretty":
        reply = reply._replace(body=json.dumps(json.loads(reply.body), indent=4).encode())
    with FakeAgent({route: reply}) as agent:
        ran = run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    assert ran == Ran(case["exit_code"], reply.body.decode().rstrip("\n") + "\n", case["stderr"])
    first_line_length = 20
    assert ran.stdout[:first_line_length] == case["stdout"][:first_line_length]


# -- TLS ----------------------------------------------------------------------------------------

CERTIFICATES = {
    "<certs>/ca.pem": "ca.pem",
    "<certs>/s.pem": "client.pem",
    "<certs>/s.key": "client.key",
}


def tls_environment(case: dict[str, Any], address: str) -> dict[str, str]:
    here = {k: str(TLS / CERTIFICATES[v]) for k, v in case["env"].items() if v in CERTIFICATES}
    return {**here, "NOMAD_ADDR": address}


@pytest.mark.parametrize(
    "name", ["tls-list-peers-ok", "tls-list-peers-no-ca", "tls-list-peers-skip-verify"]
)
def test_tls(name: str) -> None:
    case = load(name)
    row = case["stdout"].splitlines()[1].split() if case["stdout"] else ["t1.global", "id", "a:1"]
    servers = [
        {
            "Node": row[0],
            "ID": row[1],
            "Address": row[2],
            "Leader": True,
            "Voter": True,
            "RaftProtocol": "3",
        }
    ]
    routes = {"GET /v1/operator/raft/configuration": json_reply({"Index": 0, "Servers": servers})}
    with FakeAgent(routes, tls=server_context()) as agent:
        ran = run(*case["argv"][1:], env=tls_environment(case, agent.address))
        dialled = agent.address.removeprefix("https://")
    assert_same(ran._replace(stderr=ran.stderr.replace(dialled, DEAD)), case)


def test_tls_no_client_certificate() -> None:
    """The alert of the recorded server, byte for byte: OpenSSL's own server sends another one."""
    case = load("tls-list-peers-no-client-cert")
    with AlertServer(AlertServer.BAD_CERTIFICATE) as server:
        ran = run(*case["argv"][1:], env=tls_environment(case, server.address))
        dialled = server.address.removeprefix("https://")
    assert_same(ran._replace(stderr=ran.stderr.replace(dialled, DEAD)), case)


def test_tls_no_client_certificate_against_a_real_handshake() -> None:
    case = load("tls-list-peers-no-client-cert")
    with FakeAgent({}, tls=server_context()) as agent:
        ran = run(*case["argv"][1:], env=tls_environment(case, agent.address))
    assert ran.code == 1
    assert "remote error: tls: certificate required" in ran.stderr
