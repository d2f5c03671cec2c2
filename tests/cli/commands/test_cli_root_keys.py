"""`operator root keyring`: recorded command lines of 1.6.3, and what is ours."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply
from places import GOLDEN

KEYS = "/v1/operator/keyring"
UNKNOWN = "11111111-2222-3333-4444-555555555555"
ROW = "c97d2330-aa51-4a65-219c-395644383cf1"


def load(name: str) -> dict[str, Any]:
    path = GOLDEN / "cli" / f"v16cli-root-keyring-{name}.json"
    case: dict[str, Any] = json.loads(path.read_text())
    return case


def key(line: str, **more: Any) -> dict[str, Any]:
    """What a server has answered for a line of the table to be printed."""
    key_id, state, created = line.split()
    return {
        "Algorithm": "aes256-gcm",
        "CreateIndex": 7,
        "CreateTime": int(datetime.fromisoformat(created).timestamp()) * 10**9 + 5,
        "KeyID": ROW if len(key_id) == 8 else key_id,
        "ModifyIndex": 7,
        "State": state,
        **more,
    }


def replay(name: str, route: str, reply: Reply) -> tuple[Ran, dict[str, Any], list[str]]:
    case = load(name)
    with FakeAgent({route: reply} if route else {}) as agent:
        ran = run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    return ran, case, agent.asked


@pytest.mark.parametrize("name", ["list", "list-verbose"])
def test_recorded_lists(name: str) -> None:
    line = load(name)["stdout"].splitlines()[1]
    route = f"GET {KEYS}/keys"
    ran, case, asked = replay(name, route, json_reply([key(line)]))
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])
    assert asked == [route]


def test_a_recorded_rotation() -> None:
    line = load("rotate-full")["stdout"].splitlines()[1]
    route = f"PUT {KEYS}/rotate?full=true"
    ran, case, asked = replay("rotate-full", route, json_reply({"Index": 9, "Key": key(line)}))
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])
    assert asked == [route]


def test_recorded_removals() -> None:
    route = f"DELETE {KEYS}/key/{UNKNOWN}"
    ran, case, asked = replay("remove-unknown", route, json_reply({"Index": 0}))
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])
    assert asked == [route]
    ran, case, asked = replay("remove-none", "", json_reply({}))
    assert (ran.code, ran.stdout) == (case["exit_code"], case["stdout"])
    assert ran.stderr == case["stderr"].replace("'nomad root", "'quorate operator root")
    assert not asked


def test_a_token_without_the_right_is_refused_as_recorded() -> None:
    case = json.loads((GOLDEN / "cli-1.6" / "v16cli-acl-bad-keyring.json").read_text())
    with FakeAgent({f"GET {KEYS}/keys": text_reply(403, "Permission denied")}) as agent:
        ran = run(*case["argv"][1:], env={**case["env"], "NOMAD_ADDR": agent.address})
        sent = {name.lower(): value for name, value in agent.requests[0].headers.items()}
        assert sent["x-nomad-token"] == case["env"]["NOMAD_TOKEN"]
    assert (ran.code, ran.stdout) == (case["exit_code"], case["stdout"])
    assert ran.stderr.splitlines()[0] == case["stderr"].strip()


def test_a_list_names_the_key_that_wraps() -> None:
    wrapped = {"WrappedBy": "0123456789abcdef", "LackedBy": ["10.0.0.2:4647"]}
    keys = [key("k-1 active 2026-11-29T10:00:00Z", **wrapped)]
    with FakeAgent({f"GET {KEYS}/keys": json_reply(keys)}) as agent:
        ran = run("operator", "root", "keyring", "list", env={"NOMAD_ADDR": agent.address})
    assert ran.stdout.splitlines()[-2:] == [
        "Wrapped with key 0123456789abcdef, which is not in the cluster",
        (
            "Server 10.0.0.2:4647 does not have key 0123456789abcdef: it gets no vote and reads no "
            "values; give it the key (server.wrapping_key_file), and reload it (SIGHUP)"
        ),
    ]


def test_a_refusal_says_what_to_do_next() -> None:
    refusal = Reply(
        409,
        b"active root key cannot be deleted - call rotate first",
        (("X-Quorate-Next", "run: quorate operator root keyring rotate"),),
    )
    with FakeAgent({f"DELETE {KEYS}/key/{UNKNOWN}": refusal}) as agent:
        ran = run(
            *("operator", "root", "keyring", "remove", UNKNOWN),
            env={"NOMAD_ADDR": agent.address},
            terminal=True,
        )
    assert ran.code == 1
    assert "call rotate first" in ran.stderr
    assert "run: quorate operator root keyring rotate" in ran.stderr


@pytest.mark.parametrize(
    ("phase", "text"),
    [("values", "sealed again with the active key: 1200 so far"), ("disks", "write snapshots")],
)
def test_what_is_under_way_stands_below_the_table(phase: str, text: str) -> None:
    line = load("list-verbose")["stdout"].splitlines()[1]
    reply = json_reply([key(line, RekeyPhase=phase, Rekeyed=1200)])
    with FakeAgent({f"GET {KEYS}/keys?stale=": reply}) as agent:
        ran = run(
            *("operator", "root", "keyring", "list", "-stale"), env={"NOMAD_ADDR": agent.address}
        )
    assert text in ran.stdout.splitlines()[2]


def test_the_list_as_json_is_what_the_server_sent() -> None:
    sent = [key(load("list-verbose")["stdout"].splitlines()[1], Later="kept")]
    with FakeAgent({f"GET {KEYS}/keys": json_reply(sent)}) as agent:
        ran = run(
            *("operator", "root", "keyring", "list", "-json"), env={"NOMAD_ADDR": agent.address}
        )
    assert json.loads(ran.stdout) == sent


def test_a_full_rotation_is_followed_at_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    line = load("list-verbose")["stdout"].splitlines()[1]
    under_way = json_reply([key(line, RekeyPhase="values", Rekeyed=1200)])
    routes = {
        f"PUT {KEYS}/rotate?full=true": json_reply({"Index": 9, "Key": key(line)}),
        f"GET {KEYS}/keys": under_way,
    }
    monkeypatch.setattr("quorate.cli.text.progress.AFTER_S", 0)
    words = ("operator", "root", "keyring", "rotate", "-full")
    with FakeAgent(routes) as agent:
        env = {"NOMAD_ADDR": agent.address}

        def over(_: float) -> None:
            agent.routes[f"GET {KEYS}/keys"] = json_reply([key(line)])

        monkeypatch.setattr("quorate.cli.commands.operator.keys.root_keys.time.sleep", over)
        shown = run(*words, env=env, terminal=True)
        assert "Rotation: Values are being sealed again" in shown.stderr
        assert shown.stderr.endswith("No server holds text sealed with older keys any more\n")
        agent.routes[f"GET {KEYS}/keys"] = under_way
        assert run(*words, env=env).stderr == ""
        assert run(*words, "-json", env=env, terminal=True).stderr == ""
