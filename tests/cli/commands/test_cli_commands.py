"""What the recorded cases do not show: later commands, -json and -t, and failures in the middle."""

import json
from typing import Any

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, golden_http, json_reply, text_reply

from quorate.cli.commands.operator.raft import verdict
from quorate.client import RaftServer

RAFT = "/v1/operator/raft/configuration"
SCHEDULER = "/v1/operator/scheduler/configuration"
TRANSFER = "PUT /v1/operator/raft/transfer-leadership"


def against(routes: dict[str, Reply], *argv: str) -> tuple[Ran, FakeAgent]:
    with FakeAgent(routes) as agent:
        return run(*argv, env={"NOMAD_ADDR": agent.address}), agent


# -- raft ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "query", "named"),
    [
        ("-peer-id=b", "id=b", 'id "b"'),
        ("-peer-address=a:1", "address=a%3A1", 'address "a:1"'),
    ],
)
def test_peers_are_named_by_id_or_address(flag: str, query: str, named: str) -> None:
    done, _ = against(
        {f"{TRANSFER}?{query}": json_reply({})}, *["operator", "raft", "transfer-leadership"], flag
    )
    assert done == Ran(0, f"Transferred leadership to peer with {named}\n", "")
    route = f"DELETE /v1/operator/raft/peer?{query}"
    done, _ = against({route: Reply(200, b"", ())}, *["operator", "raft", "remove-peer"], flag)
    assert done == Ran(0, f"Removed peer with {named}\n", "")


def test_a_removal_is_forced_by_a_flag() -> None:
    route = "DELETE /v1/operator/raft/peer?force=true&id=b"
    argv = ("operator", "raft", "remove-peer", "-peer-id=b", "-force")
    done, _ = against({route: Reply(200, b"", ())}, *argv)
    assert done == Ran(0, 'Removed peer with id "b"\n', "")


def test_a_refused_removal_says_what_the_server_says_to_do_next() -> None:
    refusal = Reply(409, b"no", (("X-Quorate-Next", "bring a voter back"),))
    with FakeAgent({"DELETE /v1/operator/raft/peer?id=b": refusal}) as agent:
        argv = ("operator", "raft", "remove-peer", "-peer-id=b", f"-address={agent.address}")
        done = run(*argv, env={"NOMAD_CLI_SHOW_HINTS": "1"})
    text = "Error removing peer: Unexpected response code: 409 (no)\nHint: bring a voter back\n"
    assert done == Ran(1, "", text)


def test_list_peers_with_what_is_known_of_the_absent() -> None:
    row = {"ID": "a", "Address": "a:1", "Node": "(unknown)", "RaftProtocol": "unknown"}
    known = {"Status": "failed", "LastContact": "2026-11-23T14:40:00Z", "LastName": "s1.global"}
    routes = {f"GET {RAFT}": json_reply({"Servers": [{**row, **known}]})}
    shown, _ = against(routes, *["operator", "raft", "list-peers"], "-verbose")
    assert shown.stdout.splitlines()[0].endswith(
        "RaftProtocol  Status  Last Contact          Last Name  Verdict"
    )
    line = shown.stdout.splitlines()[1]
    assert "failed  2026-11-23T14:40:00Z  s1.global  not answering; can be removed" in line
    plain, _ = against(routes, *["operator", "raft", "list-peers"])
    assert plain.stdout.splitlines()[0].endswith("RaftProtocol")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("alive alive alive", "ok"),
        ("failed alive alive", "not answering; can be removed: 2 of 2 other voters live"),
        ("unknown alive alive", "not seen since the servers started; can be removed: 2 of 2"),
        ("failed failed alive", "not answering; do not remove: only 1 of 2 other voters live"),
        ("left alive alive", "is leaving"),
    ],
)
def test_the_verdict_on_a_voter(statuses: str, expected: str) -> None:
    servers = [
        RaftServer(id=str(n), voter=True, status=status)
        for n, status in enumerate(statuses.split())
    ]
    assert verdict(servers[0], servers).startswith(expected)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ((), "an address or id is required for the destination peer"),
        (("-peer-id=x", "-peer-address=y"), "cannot give both an address and id"),
    ],
)
def test_transfer_needs_one_name(flags: tuple[str, ...], text: str) -> None:
    done, agent = against({}, "operator", "raft", "transfer-leadership", *flags)
    assert done == Ran(1, "", f"Error transferring leadership to peer: {text}\n")
    assert agent.asked == []


def test_transfer_that_is_refused() -> None:
    routes = {f"{TRANSFER}?id=b": text_reply(400, "id must be a uuid")}
    done, _ = against(routes, "operator", "raft", "transfer-leadership", "-peer-id=b")
    text = (
        "Error transferring leadership to peer: Unexpected response code: 400 (id must be a uuid)"
    )
    assert done == Ran(1, "", text + "\n")


def test_list_peers_of_a_server_that_says_little() -> None:
    body = {"Servers": [{"ID": "b:1", "Address": "b:1"}, {"ID": "a:1", "Node": "a", "Voter": True}]}
    done, _ = against({f"GET {RAFT}": json_reply(body)}, "operator", "raft", "list-peers")
    assert done.stdout == (
        "Node    ID   Address  State     Voter  RaftProtocol\n"
        "<none>  b:1  b:1      follower  false  unknown\n"
        "a       a:1  <none>   follower  true   unknown\n"
    )


def test_list_peers_of_something_else() -> None:
    done, _ = against({f"GET {RAFT}": text_reply(200, "<html>")}, "operator", "raft", "list-peers")
    assert done.code == 1
    assert done.stderr.startswith(
        "Failed to retrieve raft configuration: unexpected answer to /v1/"
    )


# -- -json and -t everywhere --------------------------------------------------------------------

MEMBERS = {"Index": 1, "Servers": [{"ID": "a", "Address": "a:1", "Voter": True}]}
VIEWS = {
    "Servers": [
        {
            "ID": "a",
            "Node": "s1.global",
            "Leader": "a:1",
            "Role": "leader",
            "Configuration": MEMBERS,
        }
    ]
}
UPGRADE = {"Level": 1, "Goal": 1, "MayMix": "all", "Servers": []}
REJOINED = {"ID": "a", "MovedAside": ""}

BACKUP = "/v1/operator/backup"
VERIFIED = {"Name": "b.snap", "Status": "verified"}
ROOT_KEYS = "/v1/operator/keyring"
NAMESPACE = {"Name": "default", "Description": "", "CreateIndex": 1, "ModifyIndex": 1}

FORMS: dict[str, tuple[str, str | Reply]] = {
    "operator backup list": (f"GET {BACKUP}", json_reply({"Backups": [{"Name": "b.snap"}]})),
    "operator backup run": (f"PUT {BACKUP}/run", json_reply(VERIFIED)),
    "operator backup verify": (f"PUT {BACKUP}/verify?name=b.snap", json_reply(VERIFIED)),
    "operator backup prune": (f"PUT {BACKUP}/prune", json_reply({"Deleted": ["b.snap"]})),
    "operator backup restore": (
        f"PUT {BACKUP}/restore?details=true&name=b.snap",
        json_reply({"Index": 7}),
    ),
    "operator gossip keyring list": ("GET /v1/agent/keyring/list", "enc-keyring-list-two"),
    "operator raft list-peers": (f"GET {RAFT}", "r3-raft-config-leader"),
    "operator autopilot get-config": (
        "GET /v1/operator/autopilot/configuration",
        "r3-autopilot-config-get",
    ),
    "operator autopilot health": ("GET /v1/operator/autopilot/health", "r3-autopilot-health"),
    "operator root keyring list": (f"GET {ROOT_KEYS}/keys", json_reply([{"KeyID": "k"}])),
    "operator root keyring rotate": (
        f"PUT {ROOT_KEYS}/rotate",
        json_reply({"Index": 7, "Key": {"KeyID": "k"}}),
    ),
    "namespace inspect": ("GET /v1/namespaces?prefix=default", json_reply([NAMESPACE])),
    "namespace list": ("GET /v1/namespaces", json_reply([NAMESPACE])),
    "namespace status": ("GET /v1/namespaces?prefix=default", json_reply([NAMESPACE])),
    "operator scheduler get-config": (f"GET {SCHEDULER}", "r3-scheduler-config-get"),
    "operator metrics": ("GET /v1/metrics", "r3-metrics"),
    "server members": ("GET /v1/agent/members", "r3-agent-members"),
    "agent-info": ("GET /v1/agent/self", "r3-agent-self"),
    "operator raft compact": (
        "PUT /v1/operator/raft/compact",
        json_reply({"Servers": [{"ID": "a", "LogBytesBefore": 9}]}),
    ),
    "operator audit list": ("GET /v1/operator/audit?count=50", json_reply({"Head": "ab"})),
    "operator raft views": ("GET /v1/operator/raft/views", json_reply(VIEWS)),
    "operator state size": ("GET /v1/operator/state", json_reply({"Bytes": 1, "Variables": 0})),
    "operator upgrade check": ("GET /v1/operator/upgrade", json_reply(UPGRADE)),
    "server rejoin": ("PUT /v1/agent/rejoin", json_reply(REJOINED)),
}


NAMED = {
    "namespace inspect": ["default"],
    "namespace status": ["default"],
    "operator backup restore": ["b.snap"],
    "operator backup verify": ["b.snap"],
}
"""Commands that need a name."""


def expected(command: str, body: bytes) -> Any:
    data = json.loads(body)
    if command in NAMED and isinstance(data, list):
        return data[0]
    if command == "operator raft views":
        return {"Agreed": True, "Servers": [{**data["Servers"][0], "Note": ""}]}
    if command == "server members":
        return sorted(data["Members"], key=lambda member: str(member["Name"]))
    return data["SchedulerConfig"] if command == "operator scheduler get-config" else data


def test_autopilot_health() -> None:
    route = {"GET /v1/operator/autopilot/health": golden_http("r3-autopilot-health")}
    done, _ = against(route, "operator", "autopilot", "health")
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "Healthy: true",
        "FailureTolerance: 1",
        "Leader: ",
        "Voters:  ",
        "Servers: ",
    ]
    assert lines[5].split()[:4] == ["ID", "Name", "Address", "SerfStatus"]
    row = lines[6].split()
    assert row[1:7] == ["s3.global", "127.0.0.3:4647", "alive", "1.0.18", "true", "true"]
    assert len(lines) == 9


def test_autopilot_health_of_a_cluster_that_is_not_healthy() -> None:
    route = {"GET /v1/operator/autopilot/health": golden_http("r3-health-one-dead")}
    done, _ = against(route, "operator", "autopilot", "health")
    assert done.code == 2
    assert done.stdout.startswith("Healthy: false\n")
    assert done.stdout.splitlines()[-1].split()[1] == "s1.global"
    assert done.stderr == "The cluster is not healthy: s1.global\n"
    other = {"GET /v1/operator/autopilot/health": text_reply(429, "too many requests")}
    done, _ = against(other, "operator", "autopilot", "health")
    assert (done.code, done.stdout) == (1, "")


@pytest.mark.parametrize("command", FORMS)
def test_json_and_template(command: str) -> None:
    route, answer = FORMS[command]
    reply = golden_http(answer) if isinstance(answer, str) else answer
    words = command.split()
    name = NAMED.get(command, [])
    shown, agent = against({route: reply}, *words, "-json", *name)
    assert json.loads(shown.stdout) == expected(command, reply.body)
    assert agent.asked == [route]
    rendered, _ = against({route: reply}, *words, "-t={{json .}}", *name)
    assert json.loads(rendered.stdout) == expected(command, reply.body)
    wrong, _ = against({route: reply}, *words, "-t={{.Nope}}", *name)
    assert wrong.code == 1
    assert wrong.stderr.startswith("Error formatting the data: template: can't find field Nope")


OF_FILES = {
    "backup run",
    "operator audit verify",
    "operator diagnose",
    "operator snapshot inspect",
    "operator snapshot restore",
    "operator raft info",
    "operator recover verify",
    *(f"operator recover live {step}" for step in ("prepare", "commit", "abort", "status")),
    "tls ca info",
    "tls cert info",
}
"""They need a file, a folder or several servers: their forms are in tests of their own."""


def test_every_command_with_forms_is_tested() -> None:
    from quorate.cli.registry.index import COMMANDS

    with_forms = {c.name.removeprefix("quorate ") for c in COMMANDS if "-t" in flag_names(c)}
    with_forms -= {name for name in with_forms if name.startswith("acl ")}  # see test_cli_acl.py
    assert with_forms - OF_FILES == FORMS.keys()


def flag_names(command: Any) -> set[str]:
    return {f"-{flag.name}" for flag in command.flags}


def test_the_leader_by_template() -> None:
    template = "{{range .Servers}}{{if .Leader}}{{.Address}}{{end}}{{end}}"
    routes = {f"GET {RAFT}": golden_http("r3-raft-config-leader")}
    done, _ = against(routes, "operator", "raft", "list-peers", "-t", template)
    assert done == Ran(0, "127.0.0.3:4647\n", "")


# -- scheduler ----------------------------------------------------------------------------------


def test_scheduler_get_config() -> None:
    routes = {f"GET {SCHEDULER}": golden_http("r3-scheduler-config-get")}
    done, _ = against(routes, "operator", "scheduler", "get-config")
    assert done.stdout == (
        "Scheduler Algorithm           = binpack\n"
        "Memory Oversubscription       = false\n"
        "Reject Job Registration       = false\n"
        "Pause Eval Broker             = false\n"
        "Preemption System Scheduler   = true\n"
        "Preemption Service Scheduler  = false\n"
        "Preemption Batch Scheduler    = false\n"
        "Preemption SysBatch Scheduler = false\n"
        "Modify Index                  = 5\n"
    )


@pytest.mark.parametrize(
    ("flag", "path", "value"),
    [
        ("-scheduler-algorithm=spread", ("SchedulerAlgorithm",), "spread"),
        ("-memory-oversubscription", ("MemoryOversubscriptionEnabled",), True),
        ("-reject-job-registration=true", ("RejectJobRegistration",), True),
        ("-pause-eval-broker", ("PauseEvalBroker",), True),
        ("-preempt-batch-scheduler", ("PreemptionConfig", "BatchSchedulerEnabled"), True),
        ("-preempt-service-scheduler", ("PreemptionConfig", "ServiceSchedulerEnabled"), True),
        ("-preempt-system-scheduler=false", ("PreemptionConfig", "SystemSchedulerEnabled"), False),
        ("-preempt-sysbatch-scheduler", ("PreemptionConfig", "SysBatchSchedulerEnabled"), True),
    ],
)
def test_scheduler_set_config_changes_one_thing(
    flag: str, path: tuple[str, ...], value: object
) -> None:
    routes = {
        f"GET {SCHEDULER}": golden_http("r3-scheduler-config-get"),
        f"PUT {SCHEDULER}?cas=5": golden_http("r3-scheduler-config-put"),
    }
    done, agent = against(routes, "operator", "scheduler", "set-config", flag)
    assert done == Ran(0, "Scheduler configuration updated!\n", "")
    written = json.loads(agent.requests[1].body)
    wanted = json.loads(golden_http("r3-scheduler-config-get").body)["SchedulerConfig"]
    place = wanted["PreemptionConfig"] if len(path) > 1 else wanted
    place[path[-1]] = value
    assert {k: v for k, v in flat(written).items() if k in flat(wanted)} == flat(wanted)
    assert not any(v for k, v in flat(written).items() if k not in flat(wanted))


def flat(data: dict[str, Any]) -> dict[str, Any]:
    preemption: dict[str, Any] = data["PreemptionConfig"]
    return {k: v for k, v in data.items() if k != "PreemptionConfig"} | preemption


def test_scheduler_check_index() -> None:
    routes = {
        f"GET {SCHEDULER}": golden_http("r3-scheduler-config-get"),
        f"PUT {SCHEDULER}?cas=3": golden_http("r3-scheduler-config-cas-stale"),
    }
    done, _ = against(routes, "operator", "scheduler", "set-config", "-check-index=3")
    text = "Scheduler configuration could not be atomically updated, please try again\n"
    assert done == Ran(1, "", text)


def test_scheduler_that_refuses() -> None:
    routes = {
        f"GET {SCHEDULER}": golden_http("r3-scheduler-config-get"),
        f"PUT {SCHEDULER}?cas=5": golden_http("r3-scheduler-config-put-bad-algo"),
    }
    done, _ = against(routes, *["operator", "scheduler", "set-config", "-scheduler-algorithm=nope"])
    assert done.code == 1
    assert done.stderr == (
        "Error setting scheduler configuration: Unexpected response code: 400 "
        "(invalid scheduler algorithm: nope)\n"
    )


@pytest.mark.parametrize(
    ("command", "prefix"),
    [
        ("operator scheduler get-config", "Error querying scheduler configuration: "),
        ("operator scheduler set-config", "Error querying for scheduler configuration: "),
        ("operator autopilot set-config", "Error querying for Autopilot configuration: "),
        ("operator metrics", "Error getting metrics: "),
    ],
)
def test_what_was_being_done_is_said(command: str, prefix: str) -> None:
    done, _ = against({}, *command.split())
    assert done.code == 1
    assert done.stderr.startswith(f"{prefix}Unexpected response code: 404 (no route: GET ")


# -- the pool -----------------------------------------------------------------------------------


def test_join_of_several_of_which_one_is_not_reached() -> None:
    answer = {"error": "", "num_joined": 1, "warning": "1 error occurred:\n\t* no b\n\n"}
    routes = {"PUT /v1/agent/join?address=a&address=b%3A1": json_reply(answer)}
    done, _ = against(routes, "server", "join", "a", "b:1")
    text = "Not joined: 1 error occurred:\n\t* no b\n"
    assert done == Ran(0, "Joined 1 servers successfully\n", text)


def test_join_without_gossip() -> None:
    routes = {"PUT /v1/agent/join?address=a": text_reply(501, "gossip is not enabled")}
    done, _ = against(routes, "server", "join", "a")
    text = "Error joining: Unexpected response code: 501 (gossip is not enabled)\n"
    assert done == Ran(1, "", text)


def test_force_leave_of_a_name_that_nobody_has_is_hinted_at() -> None:
    """Silent for programs, as ever; a person is told."""
    name = json_reply({"Members": [{"Name": "s3.global"}], "ServerName": "s3"})
    routes = {
        "GET /v1/agent/members": name,
        "PUT /v1/agent/force-leave?node=s3": Reply(200, b"", ()),
        "PUT /v1/agent/force-leave?node=s3.global": Reply(200, b"", ()),
    }
    hints = {"NOMAD_CLI_SHOW_HINTS": "true"}
    with FakeAgent(routes) as agent:
        env = {"NOMAD_ADDR": agent.address}
        assert run("server", "force-leave", "s3", env=env).stderr == ""
        known = run("server", "force-leave", "s3.global", env={**env, **hints})
        unknown = run("server", "force-leave", "s3", env={**env, **hints})
    assert known.code == 0
    assert known.stderr.startswith("Hint: s3.global ")
    assert (unknown.code, unknown.stdout) == (0, "")
    assert unknown.stderr == (
        "Hint: no member of the pool is named s3, so nothing has changed; did you mean s3.global?\n"
    )


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([{"Name": "s3.global", "Status": "alive"}], "is alive and stays in the pool and in the R"),
        ([{"Name": "s3.global", "Status": "left"}], "has left the pool, and the leader takes it o"),
        ([], "no member of the pool is named s3.global"),
    ],
)
def test_force_leave_says_what_has_become_of_the_server(
    members: list[dict[str, str]], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.cli.commands.server.LEFT_S", 0.05)
    routes = {
        "GET /v1/agent/members": json_reply({"Members": members, "ServerName": "s1"}),
        "PUT /v1/agent/force-leave?node=s3.global": Reply(200, b"", ()),
    }
    with FakeAgent(routes) as agent:
        env = {"NOMAD_ADDR": agent.address}
        assert run("server", "force-leave", "s3.global", env=env) == Ran(0, "", "")
        shown = run("server", "force-leave", "s3.global", env=env, terminal=True)
    assert (shown.code, shown.stdout) == (0, "")
    assert told in shown.stderr


@pytest.mark.parametrize("command", ["operator raft list-peers -stale", "server members"])
def test_without_a_leader_a_person_sees_which_voters_are_missing(command: str) -> None:
    why = "no leader: 1 of 3 voters are here (s1.global), and 2 are needed; missing: s2.global"
    routes = {
        "GET /v1/operator/raft/configuration?stale=": json_reply({"Index": 1, "Servers": []}),
        "GET /v1/agent/members": json_reply({"Members": [{"Name": "s1.global"}]}),
        "GET /v1/agent/self": json_reply({"stats": {"quorate": {"waiting": why}}}),
        "GET /v1/status/leader?region=": text_reply(500, "No cluster leader"),
    }
    with FakeAgent(routes) as agent:
        env = {"NOMAD_ADDR": agent.address, "COLUMNS": "80"}
        piped = run(*command.split(), env=env)
        shown = run(*command.split(), env=env, terminal=True)
    assert f"Hint: {why}" in shown.stderr
    assert "Hint" not in piped.stderr


def test_force_leave_with_prune_and_without_a_name_too_many() -> None:
    route = "PUT /v1/agent/force-leave?node=s3.global&prune=true"
    done, _ = against({route: Reply(200, b"", ())}, "server", "force-leave", "-prune", "s3.global")
    assert done == Ran(0, "", "")
    done, agent = against({}, "server", "force-leave", "a", "b")
    assert done.stderr.startswith("This command takes one argument: <node>\n")
    assert (done.code, agent.asked) == (1, [])
    done, _ = against({}, "server", "force-leave", "a")
    assert done.stderr.startswith("Error force-leaving server a: Unexpected response code: 404 (")


def test_rejoin_says_where_the_old_data_are() -> None:
    answer = json_reply({"ID": "b", "MovedAside": "/data/server.removed-9"})
    done, _ = against({"PUT /v1/agent/rejoin": answer}, "server", "rejoin")
    text = "Rejoined as server b\nIts old data are in /data/server.removed-9\n"
    assert done == Ran(0, text, "")
    refused = {"PUT /v1/agent/rejoin": text_reply(409, "it is a member")}
    done, _ = against(refused, "server", "rejoin")
    assert done.stderr == "Error rejoining: Unexpected response code: 409 (it is a member)\n"


# -- members ------------------------------------------------------------------------------------


def test_members_verbose() -> None:
    routes = {
        "GET /v1/agent/members": golden_http("r3-agent-members"),
        "GET /v1/status/leader?region=global": golden_http("r3-status-leader"),
    }
    done, _ = against(routes, "server", "members", "-verbose")
    heading, first, *_ = done.stdout.splitlines()
    assert " ".join(heading.split()) == (
        "Name Address Port Status Leader Protocol Raft Version Build Datacenter Region Tags"
    )
    assert first.split()[:10] == (
        ["s1.global", "127.0.0.1", "4648", "alive", "false", "2", "3", "1.0.18", "dc1", "global"]
    )
    assert "role=nomad" in first


def test_two_regions_without_a_leader() -> None:
    routes = {
        "GET /v1/agent/members": golden_http("fed-members"),
        "GET /v1/status/leader?region=east": text_reply(500, "No cluster leader"),
        "GET /v1/status/leader?region=west": text_reply(500, "No path to region"),
    }
    done, _ = against(routes, "server", "members")
    assert done.code == 1
    assert done.stderr.startswith(
        "Error determining leaders: 2 errors occurred:\n"
        '\t* Region "east": Unexpected response code: 500 (No cluster leader)\n'
        '\t* Region "west": Unexpected response code: 500 (No path to region)\n'
    )


# -- metrics ------------------------------------------------------------------------------------


def test_metrics_as_json_do_not_go_with_prometheus() -> None:
    done, agent = against({}, "operator", "metrics", "-format=prometheus", "-json")
    assert done.code == 1
    assert "do not go with -format=prometheus" in done.stderr
    assert agent.asked == []


def test_metrics_that_are_no_json() -> None:
    routes = {"GET /v1/metrics": text_reply(200, "x")}
    done, _ = against(routes, "operator", "metrics", "-json")
    assert done.stderr.startswith("Error getting metrics: the answer is no JSON")
