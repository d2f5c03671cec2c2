"""`quorate acl`: recorded command lines of 1.6.3 and 1.0, and what is ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_golden_cases import ACL
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply
from places import GOLDEN

from quorate.cli.registry.index import BY_PATH

DONE = Reply(200, b"", ())
ROLE_ID = "ae135ada-e83c-62e2-5dbf-105451b1bf9f"
ACCESSOR = "7bdea2a8-dd14-8f1a-e727-05224b6d3cd7"
OLD_ACCESSOR = "90f09f3d-0113-a71e-3ab0-4cd849969ea1"
ZERO = "00000000-0000-0000-0000-000000000000"
NO_TOKEN = text_reply(404, "ACL token not found")
DENIED = text_reply(403, "Permission denied")
OFF = text_reply(400, "ACL support disabled")


def token(**more: Any) -> dict[str, Any]:
    """A token as a server of 1.6.3 tells of it."""
    return {
        "ExpirationTTL": "",
        "AccessorID": ACCESSOR,
        "SecretID": "53d81155-8572-8e7f-da1b-d3e1ae53428b",
        "Name": "r",
        "Type": "client",
        "Policies": [],
        "Roles": [{"ID": ROLE_ID, "Name": "ops"}],
        "Global": False,
        "Hash": "aGFzaA==",
        "CreateTime": "2026-11-28T22:09:31.737678923Z",
        "ExpirationTime": None,
        "CreateIndex": 12,
        "ModifyIndex": 12,
        **more,
    }


BOOTSTRAP = token(
    AccessorID="98f86611-7882-e84c-38de-a7c13d75f2cf",
    SecretID="a5f89bea-1eb1-db5c-4bdf-d3a2243aee44",
    Name="Bootstrap Token",
    Type="management",
    Policies=None,
    Roles=None,
    Global=True,
    CreateTime="2026-11-28T22:09:31.2870965Z",
    CreateIndex=8,
    ModifyIndex=8,
)
ROLE = {
    "CreateIndex": 10,
    "Description": "d",
    "Hash": "aGFzaA==",
    "ID": ROLE_ID,
    "ModifyIndex": 10,
    "Name": "ops",
    "Policies": [{"Name": "op"}],
}
POLICY = {"CreateIndex": 9, "Description": "d", "Hash": "aA==", "ModifyIndex": 9, "Name": "op"}


def stub(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A token in a list."""
    left_out = {"SecretID", "ExpirationTTL"}
    return {key: found[key] for key in sorted(found) if key not in left_out} | more


TOKENS = [
    stub(BOOTSTRAP),
    stub(token(), Policies=None, Roles=[{"ID": ROLE_ID, "Name": ""}]),
    stub(
        token(),
        AccessorID="2e7fd407-66ba-60c5-f473-32fd7e631ffe",
        CreateIndex=13,
        CreateTime="2026-11-28T22:09:31.764233369Z",
        ExpirationTime="2026-11-28T23:09:31.764233369Z",
        ModifyIndex=13,
        Name="t",
        Policies=["op"],
        Roles=None,
    ),
]


def invalid(what: str) -> Reply:
    return text_reply(400, f"{what}\n\n")


RECORDED: dict[str, dict[str, Reply]] = {
    "v16cli-acl-anon-self": {
        "GET /v1/acl/token/self": text_reply(500, "acl token lookup failed: missing secret id")
    },
    "v16cli-acl-bad-self": {"GET /v1/acl/token/self": NO_TOKEN},
    "v16cli-acl-self-off": {"GET /v1/acl/token/self": OFF},
    "v16cli-acl-off": {"GET /v1/acl/policies": OFF},
    "v16cli-acl-bootstrap": {"PUT /v1/acl/bootstrap": json_reply(BOOTSTRAP)},
    "v16cli-acl-bootstrap-again": {
        "PUT /v1/acl/bootstrap": text_reply(400, "ACL bootstrap already done (reset index: 8)")
    },
    "v16cli-acl-policy-apply-bad": {
        "PUT /v1/acl/policy/bad": invalid(
            "policy 0 invalid: 1 error occurred:\n\t* failed to parse rules: Failed to parse ACL "
            "Policy: At 1:12: object expected closing RBRACE got: EOF"
        )
    },
    "v16cli-acl-policy-delete": {"DELETE /v1/acl/policy/op": DONE},
    "v16cli-acl-policy-info-missing": {
        "GET /v1/acl/policy/zz": text_reply(404, "ACL policy not found")
    },
    "v16cli-acl-policy-list": {"GET /v1/acl/policies": json_reply([POLICY])},
    "v16cli-acl-policy-list-json": {"GET /v1/acl/policies": json_reply([POLICY])},
    "v16cli-acl-role-create-dup": {
        "PUT /v1/acl/role": text_reply(400, "role with name ops already exists")
    },
    "v16cli-acl-role-create-none": {},
    "v16cli-acl-role-delete": {f"DELETE /v1/acl/role/{ROLE_ID}": DONE},
    "v16cli-acl-role-delete-again": {
        f"DELETE /v1/acl/role/{ROLE_ID}": text_reply(500, "ACL role not found")
    },
    "v16cli-acl-role-info": {f"GET /v1/acl/role/{ROLE_ID}": json_reply(ROLE)},
    "v16cli-acl-role-info-name": {"GET /v1/acl/role/name/ops": json_reply(ROLE)},
    "v16cli-acl-role-info-missing": {
        "GET /v1/acl/role/name/zz": text_reply(404, "ACL role not found")
    },
    "v16cli-acl-role-list": {"GET /v1/acl/roles": json_reply([ROLE])},
    "v16cli-acl-role-list-json": {"GET /v1/acl/roles": json_reply([ROLE])},
    "v16cli-acl-role-update": {
        f"GET /v1/acl/role/{ROLE_ID}": json_reply(ROLE),
        f"PUT /v1/acl/role/{ROLE_ID}": json_reply({**ROLE, "Description": "e", "ModifyIndex": 11}),
    },
    "v16cli-acl-token-create-mgmt-policy": {
        "PUT /v1/acl/token": invalid(
            "token 0 invalid: 1 error occurred:\n\t* management token cannot be associated with "
            "policies or roles"
        )
    },
    "v16cli-acl-token-create-none": {
        "PUT /v1/acl/token": invalid(
            "token 0 invalid: 1 error occurred:\n\t* client token missing policies or roles"
        )
    },
    "v16cli-acl-token-create-ttl-bad": {},
    "v16cli-acl-token-delete": {f"DELETE /v1/acl/token/{ACCESSOR}": DONE},
    "v16cli-acl-token-info": {f"GET /v1/acl/token/{ACCESSOR}": json_reply(token())},
    "v16cli-acl-token-list-json": {"GET /v1/acl/tokens": json_reply(TOKENS)},
    "v16cli-acl-token-self": {"GET /v1/acl/token/self": json_reply(BOOTSTRAP)},
    "v16cli-acl-token-update": {
        f"GET /v1/acl/token/{ACCESSOR}": json_reply(token()),
        f"PUT /v1/acl/token/{ACCESSOR}": json_reply(token(Name="new", ModifyIndex=14)),
    },
    # -- of 1.0 --
    "acl-bootstrap-again": {
        "PUT /v1/acl/bootstrap": text_reply(400, "ACL bootstrap already done (reset index: 11)")
    },
    "acl-policy-apply": {"PUT /v1/acl/policy/agent-read": DONE},
    "acl-policy-apply-stdin": {"PUT /v1/acl/policy/agent-read2": DONE},
    "acl-policy-apply-noargs": {},
    "acl-policy-apply-nofile": {},
    "acl-policy-delete": {"DELETE /v1/acl/policy/agent-read2": DONE},
    "acl-policy-delete-missing": {"DELETE /v1/acl/policy/nosuch": DONE},
    "acl-policy-info-missing": {
        "GET /v1/acl/policy/nosuch": text_reply(404, "ACL policy not found")
    },
    "acl-policy-info-none": {},
    "acl-policy-list": {},
    "acl-policy-list-json": {},
    "acl-token-delete": {f"DELETE /v1/acl/token/{OLD_ACCESSOR}": DONE},
    "acl-token-delete-missing": {
        f"DELETE /v1/acl/token/{ZERO}": text_reply(400, f"Cannot delete nonexistent tokens: {ZERO}")
    },
    "acl-token-info-missing": {f"GET /v1/acl/token/{ZERO}": NO_TOKEN},
    "acl-token-self-anon": {
        "GET /v1/acl/token/self": text_reply(500, "acl token lookup failed: missing secret id")
    },
    "r3-acl-off-bootstrap": {"PUT /v1/acl/bootstrap": OFF},
    "r3-acl-off-policy-list": {"GET /v1/acl/policies": OFF},
}
LISTED_1_0 = [
    {**POLICY, "Name": name, "Description": said, "CreateIndex": index, "ModifyIndex": index}
    for name, said, index in (
        ("agent-read", "Agent reader", 31),
        ("agent-read2", "", 32),
        ("bad", "", 15),
        ("op-read", "operator read", 12),
        ("op-write", "", 13),
    )
]
for _name in ("acl-policy-list", "acl-policy-list-json"):
    RECORDED[_name] = {"GET /v1/acl/policies": json_reply(LISTED_1_0)}

CHANGED_SINCE = {
    "acl-policy-info": "since 1.4 the rules stand below",
    **dict.fromkeys(
        [f"acl-token-{name}" for name in ("create", "create-mgmt", "info", "self", "update")],
        "since 1.4 with the expiry and the roles, in another order",
    ),
    "acl-token-list": "since 1.4 with the expiry",
    "acl-token-create-bad": "since 1.4 tokens may have roles, and ends of lines are left out",
    "v16cli-acl-policy-self": "there since 1.7",
    "v16cli-acl-token-list": "the clock of the test is later: see below",
}
ELSEWHERE = {f"v16cli-acl-anon-{name}" for name in ("autopilot", "list-peers", "members")} | {
    f"v16cli-acl-bad-{name}"
    for name in ("autopilot", "keyring", "list-peers", "members", "snapshot", "var-get")
}
"""Of other commands."""


def load(name: str) -> dict[str, Any]:
    folder = "cli-1.6" if name.startswith("v16") else "cli"
    case: dict[str, Any] = json.loads((GOLDEN / folder / f"{name}.json").read_text())
    return case


def ours(text: str) -> str:
    return text.replace("'nomad ", "'quorate ")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.hcl").write_text("operator {")
    Path("p.hcl").write_text('agent { policy = "read" }')


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name: str) -> None:
    case, routes = load(name), RECORDED[name]
    argv = [word.replace("<config_dir>/", "") for word in case["argv"][1:]]
    with FakeAgent(routes) as agent:
        env = {**case.get("env", {}), "NOMAD_ADDR": agent.address}
        ran = run(*argv, env=env, stdin='agent { policy = "read" }')
    assert agent.asked == list(routes)
    wanted = (case["exit_code"], case["stdout"], ours(case["stderr"]).replace("<config_dir>/", ""))
    assert ran == wanted


def test_each_recording_has_a_test() -> None:
    later = {path.stem for path in (GOLDEN / "cli-1.6").glob("v16cli-acl-*")}
    assert {*RECORDED, *CHANGED_SINCE} == (later | set(ACL)) - ELSEWHERE
    assert later >= ELSEWHERE


def asked(*argv: str, stdin: str = "", **routes: Any) -> tuple[Ran, list[Any]]:
    """A run against these answers, and the bodies that were sent."""
    made = {name: json_reply(value) for name, value in routes.pop("answers").items()}
    with FakeAgent(made) as agent:
        ran = run(*argv, env={"NOMAD_ADDR": agent.address}, stdin=stdin)
    assert agent.asked == list(made), ran
    return ran, [json.loads(seen.body) if seen.body else None for seen in agent.requests]


def test_a_list_of_tokens_says_which_are_over() -> None:
    ran, _ = asked("acl", "token", "list", answers={"GET /v1/acl/tokens": TOKENS})
    recorded = load("v16cli-acl-token-list")["stdout"]
    assert ran.stdout.replace("true\n", "false\n") == recorded or ran.stdout == recorded
    later = [{**TOKENS[2], "ExpirationTime": "2999-01-01T00:00:00Z"}]
    ran, _ = asked("acl", "token", "list", answers={"GET /v1/acl/tokens": later})
    assert ran.stdout.endswith(" false\n")
    over = [{**TOKENS[2], "ExpirationTime": "2020-01-01T00:00:00.5Z"}]
    ran, _ = asked("acl", "token", "list", answers={"GET /v1/acl/tokens": over})
    assert ran.stdout.endswith(" true\n")


def test_create_sends_what_is_given() -> None:
    made = token(Policies=["a", "b"], Roles=None, ExpirationTime="2026-11-29T06:00:00Z")
    ran, (sent,) = asked(
        *("acl", "token", "create", "-name=x", "-policy=a", "-policy=b", "-role-name=ops"),
        *(f"-role-id={ROLE_ID}", "-global", "-ttl=8h"),
        answers={"PUT /v1/acl/token": made},
    )
    assert sent == {
        "Name": "x",
        "Type": "client",
        "Policies": ["a", "b"],
        "Roles": [{"Name": "ops"}, {"ID": ROLE_ID}],
        "Global": True,
        "ExpirationTTL": "8h",
    }
    assert "Policies     = [a b]\n\nRoles\n<none>\n" in ran.stdout
    assert "Expiry Time  = 2026-11-29 06:00:00 +0000 UTC\n" in ran.stdout


def test_update_changes_only_what_is_given() -> None:
    _, (_, sent) = asked(
        *("acl", "token", "update", "-policy=p", ACCESSOR),
        answers={
            f"GET /v1/acl/token/{ACCESSOR}": token(),
            f"PUT /v1/acl/token/{ACCESSOR}": token(),
        },
    )
    assert sent == {
        "AccessorID": ACCESSOR,
        "Name": "r",
        "Type": "client",
        "Policies": ["p"],
        "Roles": [{"ID": ROLE_ID, "Name": "ops"}],
        "Global": False,
    }
    _, (_, sent) = asked(
        *("acl", "token", "update", "-type=management", "-role-name=x", "-global", ACCESSOR),
        answers={
            f"GET /v1/acl/token/{ACCESSOR}": token(),
            f"PUT /v1/acl/token/{ACCESSOR}": token(),
        },
    )
    assert sent["Type"] == "management"
    assert sent["Roles"] == [{"ID": "", "Name": "x"}]
    assert sent["Global"] is True


def test_the_secret_of_bootstrap_comes_from_a_file_or_a_pipe() -> None:
    Path("s").write_text(f"{ZERO}\n")
    for source in ("s", "-"):
        _, (sent,) = asked(
            *("acl", "bootstrap", source),
            answers={"PUT /v1/acl/bootstrap": BOOTSTRAP},
            stdin=f"{ZERO}\n",
        )
        assert sent == {"BootstrapSecret": ZERO}
    assert run("acl", "bootstrap", "-", stdin=" \n").stderr == (
        "Error bootstrapping: the file of the secret is empty\n"
    )


def test_apply_sends_the_text_of_the_file() -> None:
    with FakeAgent({"PUT /v1/acl/policy/a%2Fb": DONE}) as agent:
        ran = run(
            *("acl", "policy", "apply", "-description=d", "a/b", "p.hcl"),
            env={"NOMAD_ADDR": agent.address},
        )
    assert ran.code == 0
    assert json.loads(agent.requests[0].body) == {
        "Name": "a/b",
        "Description": "d",
        "Rules": 'agent { policy = "read" }',
    }


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (".", "Failed to read file: open .: Is a directory"),
        ("long", "Failed to read file: open long: it has more than 65536 bytes"),
        ("latin", "Failed to read file: latin is no text in UTF-8"),
    ],
)
def test_files_that_are_no_policies(source: str, why: str) -> None:
    Path("long").write_text("x" * 65_537)
    Path("latin").write_bytes(b"\xff")
    ran = run("acl", "policy", "apply", "x", source)
    assert ran == (1, "", f"{why}\n")


def test_a_policy_is_shown_with_its_rules_below() -> None:
    rules = 'operator {\n  policy = "read"\n}\n'
    found = {**POLICY, "JobACL": None, "Rules": rules, "RulesJSON": {}}
    answers = {"GET /v1/acl/policy/op": found}
    ran, _ = asked("acl", "policy", "info", "op", answers=answers)
    assert ran.stdout == (
        "Name        = op\nDescription = d\nCreateIndex = 9\nModifyIndex = 9\n\nRules\n\n"
        'operator {\n  policy = "read"\n}\n'
    )
    ran, _ = asked("acl", "policy", "info", "-t", "{{.Rules}}", "op", answers=answers)
    assert ran.stdout.startswith(rules)


def test_policies_of_the_own_token() -> None:
    ran, _ = asked(
        *("acl", "policy", "self"),
        answers={"GET /v1/acl/token/self": token(), "GET /v1/acl/policies": [POLICY]},
    )
    assert ran.stdout == "Name  Description\nop    d\n"
    ran, _ = asked("acl", "policy", "self", answers={"GET /v1/acl/token/self": BOOTSTRAP})
    assert ran.stdout == "This is a management token. No policies assigned.\n"


def test_what_is_not_there() -> None:
    for what, text in (
        ("policy", "No policies found"),
        ("token", "No tokens found"),
        ("role", "No ACL roles found"),
    ):
        plural = "policies" if what == "policy" else f"{what}s"
        ran, _ = asked("acl", what, "list", answers={f"GET /v1/acl/{plural}": []})
        assert ran == (0, f"{text}\n", "")


def test_a_role_is_made_and_replaced_whole() -> None:
    ran, (sent,) = asked(
        *("acl", "role", "create", "-name=ops", "-description=d", "-policy=a", "-policy=b"),
        answers={"PUT /v1/acl/role": {**ROLE, "Policies": [{"Name": "a"}, {"Name": "b"}]}},
    )
    links = [{"Name": "a"}, {"Name": "b"}]
    assert sent == {"Name": "ops", "Description": "d", "Policies": links}
    assert "Policies     = a,b\n" in ran.stdout
    _, (sent,) = asked(
        *("acl", "role", "update", "-no-merge", "-name=n", "-policy=a", ROLE_ID),
        answers={f"PUT /v1/acl/role/{ROLE_ID}": ROLE},
    )
    assert sent == {"ID": ROLE_ID, "Name": "n", "Description": "", "Policies": [{"Name": "a"}]}
    ran = run("acl", "role", "update", "-no-merge", "-name=n", ROLE_ID)
    assert ran.stderr == "At least one policy name must be specified using the -policy flag\n"


def test_a_wide_list_of_roles_is_split_on_a_terminal() -> None:
    role = {**ROLE, "Description": "d" * 40, "Policies": [{"Name": "p" * 20}]}
    with FakeAgent({"GET /v1/acl/roles": json_reply([role])}) as agent:
        env = {"NOMAD_ADDR": agent.address, "NOMAD_CLI_NO_COLOR": "1", "COLUMNS": "80"}
        ran = run("acl", "role", "list", env=env, terminal=True)
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert ran.stdout.count(ROLE_ID) == 3


def test_servers_that_still_know_a_deleted_token_are_named() -> None:
    reply = Reply(200, b"", (("X-Quorate-Behind", "s2.global"),))
    with FakeAgent({f"DELETE /v1/acl/token/{ACCESSOR}": reply}) as agent:
        ran = run("acl", "token", "delete", ACCESSOR, env={"NOMAD_ADDR": agent.address})
    assert ran.code == 0
    assert ran.stdout == f"Token {ACCESSOR} successfully deleted\n"
    assert ran.stderr.startswith("Not applied yet by s2.global: ")


TRANSITION = {
    "Callers": {"anonymous": 3, ACCESSOR: 12},
    "Configured": True,
    "Ended": False,
    "InForce": True,
    "Requests": 15,
}


def test_a_transition_is_shown_ended_and_resumed() -> None:
    ran, _ = asked("acl", "transition", answers={"GET /v1/acl/transition": TRANSITION})
    assert ran.stdout == (
        "Configured = true\nEnded      = false\nIn Force   = true\nRequests   = 15\n\n"
        "Would be refused\nAccessor ID                           Requests\n"
        f"{ACCESSOR}  12\nanonymous                             3\n"
    )
    quiet = {**TRANSITION, "Callers": {}, "Requests": 0}
    ran, _ = asked("acl", "transition", answers={"GET /v1/acl/transition": quiet})
    assert ran.stdout.endswith("Requests   = 0\n")
    for option, ended in (("-end", True), ("-resume", False)):
        with FakeAgent({"PUT /v1/acl/transition": DONE}) as agent:
            ran = run("acl", "transition", option, env={"NOMAD_ADDR": agent.address})
        assert ran.code == 0, ran
        assert json.loads(agent.requests[0].body) == {"Ended": ended}
    ran = run("acl", "transition", "-end", "-resume")
    assert ran == (1, "", "Give either -end or -resume, not both\n")


def test_secrets_are_in_no_list_and_no_error() -> None:
    secret = "53d81155-8572-8e7f-da1b-d3e1ae53428b"
    ran, _ = asked("acl", "token", "list", answers={"GET /v1/acl/tokens": [stub(token())]})
    assert secret not in ran.stdout
    with FakeAgent({f"DELETE /v1/acl/token/{ACCESSOR}": DENIED}) as agent:
        env = {"NOMAD_ADDR": agent.address, "NOMAD_TOKEN": secret}
        ran = run("acl", "token", "delete", ACCESSOR, env=env)
    assert ran.code == 1
    assert secret not in ran.stderr


# -- where the token comes from ------------------------------------------------------------------

SELF = "GET /v1/acl/token/self"


def token_sent(*argv: str, env: dict[str, str] | None = None) -> str | None:
    with FakeAgent({SELF: json_reply(BOOTSTRAP)}) as agent:
        ran = run("acl", "token", "self", *argv, env={**(env or {}), "NOMAD_ADDR": agent.address})
    assert ran.code == 0, ran
    return agent.requests[0].headers.get("x-nomad-token")


def test_a_token_comes_from_an_option_a_variable_or_a_file() -> None:
    Path("f").write_text("of-file\n")
    Path("g").write_text("of-other-file\n")
    assert token_sent() is None
    assert token_sent("-token=of-flag") == "of-flag"
    assert token_sent("-token-file=f") == "of-file"
    assert token_sent(env={"NOMAD_TOKEN_FILE": "f"}) == "of-file"
    assert token_sent(env={"QUORATE_TOKEN_FILE": "f", "NOMAD_TOKEN_FILE": "g"}) == "of-file"
    assert (
        token_sent(env={"NOMAD_TOKEN": "of-variable", "QUORATE_TOKEN_FILE": "f"}) == "of-variable"
    )
    assert token_sent("-token-file=f", env={"NOMAD_TOKEN": "of-variable"}) == "of-file"
    assert token_sent("-token=of-flag", env={"NOMAD_TOKEN_FILE": "f"}) == "of-flag"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none", "cannot read the token file none: No such file or directory"),
        (".", "cannot read the token file .: Is a directory"),
        ("empty", "the token file empty is empty"),
        ("long", "cannot read the token file long: it has more than 1024 bytes"),
        ("latin", "cannot read the token file latin: 'utf-8' codec can't decode byte"),
    ],
)
def test_files_that_are_no_tokens(name: str, why: str) -> None:
    Path("empty").write_text(" \n")
    Path("long").write_text("x" * 1025)
    Path("latin").write_bytes(b"\xff")
    ran = run("acl", "token", "self", f"-token-file={name}")
    assert ran.code == 1
    assert ran.stderr.startswith(f"Error initializing client: {why}")


def test_both_a_token_and_its_file_are_refused() -> None:
    ran = run("acl", "token", "self", "-token=x", "-token-file=f")
    assert ran.code == 1
    assert ran.stderr.startswith("Give either -token or -token-file, not both\n")


def test_a_secret_on_the_command_line_is_warned_of() -> None:
    with FakeAgent({SELF: json_reply(BOOTSTRAP)}) as agent:
        env = {"NOMAD_ADDR": agent.address}
        quiet = run("acl", "token", "self", "-token=x", env=env)
        warned = run("acl", "token", "self", "-token=x", env=env, terminal=True)
        safe = run("acl", "token", "self", env={**env, "NOMAD_TOKEN": "x"}, terminal=True)
    assert quiet.stderr == ""  # as recorded, for scripts
    assert warned.stderr == (
        "Hint: others can see a secret given by -token: give -token-file=<file>\n"
    )
    assert safe.stderr == ""


def test_curl_reads_the_file_itself() -> None:
    Path("a file").write_text("secret-of-file\n")
    ran = run("operator", "api", "-dryrun", "-token-file=a file", "/v1/regions")
    assert '''-H "X-Nomad-Token: $(cat 'a file')"''' in ran.stdout
    assert "secret-of-file" not in ran.stdout


SHOWN_POLICY = {**POLICY, "JobACL": None, "Rules": "", "RulesJSON": None}
FORMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "acl bootstrap": ({"PUT /v1/acl/bootstrap": BOOTSTRAP}, []),
    "acl transition": ({"GET /v1/acl/transition": TRANSITION}, []),
    "acl policy list": ({"GET /v1/acl/policies": [POLICY]}, []),
    "acl policy info": ({"GET /v1/acl/policy/op": SHOWN_POLICY}, ["op"]),
    "acl policy self": ({SELF: token(), "GET /v1/acl/policies": [POLICY]}, []),
    "acl token create": ({"PUT /v1/acl/token": token()}, []),
    "acl token list": ({"GET /v1/acl/tokens": TOKENS}, []),
    "acl token info": ({f"GET /v1/acl/token/{ACCESSOR}": token()}, [ACCESSOR]),
    "acl token self": ({SELF: token()}, []),
    "acl token update": (
        {f"{verb} /v1/acl/token/{ACCESSOR}": token() for verb in ("GET", "PUT")},
        [ACCESSOR],
    ),
    "acl role create": ({"PUT /v1/acl/role": ROLE}, ["-name=ops", "-policy=op"]),
    "acl role list": ({"GET /v1/acl/roles": [ROLE]}, []),
    "acl role info": ({f"GET /v1/acl/role/{ROLE_ID}": ROLE}, [ROLE_ID]),
    "acl role update": (
        {f"{verb} /v1/acl/role/{ROLE_ID}": ROLE for verb in ("GET", "PUT")},
        [ROLE_ID],
    ),
}


@pytest.mark.parametrize("command", FORMS)
def test_json_and_template(command: str) -> None:
    answers, rest = FORMS[command]
    answer = list(answers.values())[-1]
    if isinstance(answer, list):  # as recorded: no hash, and no expiry where there is none
        answer = [
            {k: v for k, v in each.items() if k != "Hash" and (k != "ExpirationTime" or v)}
            for each in answer
        ]
    words = command.split()
    for form in ("-json", "-t={{json .}}"):
        ran, _ = asked(*words, form, *rest, answers=answers)
        assert json.loads(ran.stdout) == answer
    wrong, _ = asked(*words, "-t={{.Nope}}", *rest, answers=answers)
    assert wrong.code == 1
    assert wrong.stderr.startswith("Error formatting the data: template: can't find field Nope")


def test_every_command_with_forms_is_tested() -> None:
    ours = {" ".join(path): command for path, command in BY_PATH.items() if path[0] == "acl"}
    with_forms = {
        name for name, command in ours.items() if "t" in {flag.name for flag in command.flags}
    }
    assert with_forms == FORMS.keys()
    assert all(command.examples for command in ours.values())
