"""`quorate namespace`: recorded command lines of 1.6.3, and what is ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply
from places import GOLDEN

LIST = "GET /v1/namespaces"
WRITE = "PUT /v1/namespace"
EMPTY = Reply(200, b"", ())
MISSING = text_reply(404, "Namespace not found")
SPEC = """
name        = "fromfile"
description = "of a file"
capabilities {
  enabled_task_drivers  = ["docker"]
  disabled_task_drivers = ["exec"]
}
meta {
  Owner_1 = "a"
}
"""


def load(name: str) -> dict[str, Any]:
    name = name if name.startswith("r3-") else f"v16cli-ns-{name}"
    case: dict[str, Any] = json.loads((GOLDEN / "cli" / f"{name}.json").read_text())
    return case


def namespace(name: str = "team", **more: Any) -> dict[str, Any]:
    return {
        "Capabilities": None,
        "CreateIndex": 7,
        "Description": "",
        "Hash": "aGFzaA==",
        "Meta": None,
        "ModifyIndex": 7,
        "Name": name,
        "NodePoolConfiguration": None,
        "Quota": "",
        **more,
    }


DEFAULT = namespace("default", CreateIndex=1, ModifyIndex=1, Description="Default shared namespace")
BAD_NAME = (
    'Invalid namespace "bad name!": 1 error occurred:\n\t* invalid name "bad name!". '
    "Must match regex ^[a-zA-Z0-9-]{1,128}$\n\n"
)


def replay(name: str, routes: dict[str, Reply]) -> tuple[Ran, dict[str, Any]]:
    case = load(name)
    with FakeAgent(routes) as agent:
        ran = run(*case["argv"][1:], env={"NOMAD_ADDR": agent.address})
    assert agent.asked == list(routes)
    return ran, case


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("list", {LIST: json_reply([DEFAULT])}),
        ("status", {f"{LIST}?prefix=team": json_reply([])}),
        ("status-missing", {f"{LIST}?prefix=zz": json_reply([])}),
        ("inspect", {f"{LIST}?prefix=team": json_reply([])}),
        ("delete", {"DELETE /v1/namespace/team": EMPTY}),
        ("delete-missing", {"DELETE /v1/namespace/zz": EMPTY}),
    ],
)
def test_recorded(name: str, routes: dict[str, Reply]) -> None:
    ran, case = replay(name, routes)
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])


TEAM_A = namespace("team-a", CreateIndex=18, ModifyIndex=18, Description="Team A")
FOUR = [
    DEFAULT,
    TEAM_A,
    namespace("team-e", CreateIndex=23, ModifyIndex=23),
    namespace("team-f", CreateIndex=24, ModifyIndex=24, Description="woke"),
]
NOT_DEFAULT = text_reply(500, "rpc error: can not delete default namespace")


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("apply", {"GET /v1/namespace/team-w": MISSING, WRITE: EMPTY}),
        ("delete", {"DELETE /v1/namespace/team-w": EMPTY}),
        ("delete-missing", {"DELETE /v1/namespace/nosuch": EMPTY}),
        ("delete-default", {"DELETE /v1/namespace/default": NOT_DEFAULT}),
        ("list", {LIST: json_reply(FOUR)}),
        ("status-missing", {f"{LIST}?prefix=nosuch": json_reply([])}),
    ],
)
def test_recorded_of_1_0(name: str, routes: dict[str, Reply]) -> None:
    ran, case = replay(f"r3-namespace-{name}", routes)
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])


def test_recorded_of_1_0_with_what_came_later() -> None:
    one = {f"{LIST}?prefix=team-a": json_reply([TEAM_A])}
    ran, case = replay("r3-namespace-status", one)
    assert len(ran.stdout.splitlines()) == 5, "with task drivers"
    theirs = [line.split(" = ") for line in case["stdout"].splitlines()]
    ours = [line.split(" = ") for line in ran.stdout.splitlines()[:3]]
    assert [(a.strip(), b) for a, b in ours] == [(a.strip(), b) for a, b in theirs]
    ran, case = replay("r3-namespace-inspect", one)
    assert json.loads(case["stdout"]).items() <= json.loads(ran.stdout).items()
    ran, case = replay("r3-namespace-list-json", {LIST: json_reply(FOUR)})
    recorded = sorted(json.loads(case["stdout"]), key=lambda each: str(each["Name"]))
    for each, ours_of_it in zip(recorded, json.loads(ran.stdout), strict=True):
        assert each.items() <= ours_of_it.items()


@pytest.mark.parametrize(
    ("name", "word", "prefix"),
    [("apply-bad", "bad name!", ""), ("r3-namespace-apply-bad", "bad name", "rpc error: ")],
)
def test_recorded_with_a_bad_name(name: str, word: str, prefix: str) -> None:
    """The recorded programs differ in the blanks at the end of the server's text."""
    look_up = "GET /v1/namespace/" + quote(word)
    bad = text_reply(500, prefix + BAD_NAME.replace("bad name!", word))
    ran, case = replay(name, {look_up: MISSING, WRITE: bad})
    assert ran.code == case["exit_code"]
    assert "".join(ran.stderr.split()) == "".join(case["stderr"].split())


def test_the_recorded_list_as_json_is_a_part_of_ours() -> None:
    """The recorded program leaves the hash out."""
    ran, case = replay("list-json", {LIST: json_reply([DEFAULT])})
    assert ran.code == case["exit_code"]
    ours, theirs = json.loads(ran.stdout), json.loads(case["stdout"])
    assert [{**each, "Hash": DEFAULT["Hash"]} for each in theirs] == ours
    assert ran.stdout.startswith("[\n    {\n        ")


def test_recorded_with_an_option_that_is_not_there() -> None:
    ran, case = replay("apply", {})
    assert ran.code == case["exit_code"]
    assert ran.stderr == case["stderr"]
    assert ran.stdout.startswith("Usage: quorate namespace apply")


@pytest.mark.parametrize("as_json", [False, True])
def test_recorded_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, as_json: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {
        "Name": "fromfile",
        "Description": "of a file",
        "Capabilities": {"EnabledTaskDrivers": ["docker"], "DisabledTaskDrivers": ["exec"]},
        "Meta": {"Owner_1": "a"},
    }
    Path("ns.hcl").write_text(json.dumps(wanted) if as_json else SPEC)
    case = load("apply-file")
    words = case["argv"][1:]
    if as_json:
        words.insert(2, "-json")
    with FakeAgent({WRITE: EMPTY}) as agent:
        ran = run(*words, env={"NOMAD_ADDR": agent.address})
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])
    body = json.loads(agent.requests[0].body)
    assert {name: body[name] for name in wanted} == wanted


def asked_with(routes: dict[str, Reply], *words: str, stdin: str = "") -> tuple[Ran, FakeAgent]:
    with FakeAgent(routes) as agent:
        ran = run("namespace", *words, env={"NOMAD_ADDR": agent.address}, stdin=stdin)
    return ran, agent


def test_status_of_a_namespace_with_everything() -> None:
    found = namespace(
        Description="d",
        Meta={"b": "2", "a": "1"},
        Capabilities={"EnabledTaskDrivers": ["docker", "exec"], "DisabledTaskDrivers": None},
    )
    ran, _ = asked_with({f"{LIST}?prefix=te": json_reply([found])}, "status", "te")
    assert ran.code == 0
    assert ran.stdout == (
        "Name            = team\n"
        "Description     = d\n"
        "Quota           = <none>\n"
        "EnabledDrivers  = docker,exec\n"
        "DisabledDrivers = <none>\n"
        "\n"
        "Metadata\n"
        "a = 1\n"
        "b = 2\n"
    )


def test_inspect_takes_the_whole_name_before_others_that_begin_so() -> None:
    both = json_reply([namespace("team"), namespace("team-b")])
    ran, _ = asked_with({f"{LIST}?prefix=team": both}, "inspect", "team")
    assert json.loads(ran.stdout) == namespace("team")
    ran, _ = asked_with({f"{LIST}?prefix=tea": both}, "inspect", "tea")
    assert ran.code == 1
    assert ran.stderr.startswith("Prefix matched multiple namespaces\n\nName    Description\n")


def test_apply_by_name_changes_what_is_given_and_keeps_the_rest() -> None:
    found = namespace(Description="old", Meta={"a": "b"}, Quota="q", New=1)
    routes = {"GET /v1/namespace/team": json_reply(found), WRITE: EMPTY}
    ran, agent = asked_with(routes, "apply", "-description=new", "team")
    assert ran.code == 0
    assert json.loads(agent.requests[1].body) == {**found, "Description": "new"}


def test_apply_from_what_is_piped_in() -> None:
    ran, agent = asked_with({WRITE: EMPTY}, "apply", "-quota=q", "-", stdin=SPEC)
    assert ran.code == 0
    assert json.loads(agent.requests[0].body)["Quota"] == "q"


def test_apply_asks_no_more_where_the_look_up_fails() -> None:
    refused = text_reply(403, "Permission denied")
    ran, _ = asked_with({"GET /v1/namespace/team": refused}, "apply", "team")
    assert ran.code == 1
    assert ran.stderr.startswith("Error looking up namespace: Unexpected response code: 403")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name"),
        ("name = 1", "name"),
        ('name = "a"\nname = "b"', "twice"),
        ('name = "a"\nnope = "b"', "nope"),
        ('name = "a"\ncapabilities { nope = ["b"] }', "nope"),
        ('name = "a"\ncapabilities = "b"', "capabilities"),
        ('name = "a"\nmeta { a = 1 }', "meta"),
        ('name = "a"\nmeta { a = b.c }', "meta"),
        ('name = "a', ""),
        ("x" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(text: str, why: str) -> None:
    ran, agent = asked_with({}, "apply", "-", stdin=text)
    assert ran.code == 1
    assert ran.stderr.count("\n") == 1
    assert why in ran.stderr
    assert agent.asked == []


def test_a_namespace_in_use_is_not_deleted() -> None:
    text = 'Cannot delete namespace "team": it holds variables'
    ran, _ = asked_with({"DELETE /v1/namespace/team": text_reply(409, text)}, "delete", "team")
    assert ran.code == 1
    assert ran.stderr == f"Error deleting namespace: Unexpected response code: 409 ({text})\n"


@pytest.mark.parametrize("word", ["status", "inspect", "apply", "delete"])
def test_one_argument(word: str) -> None:
    ran = run("namespace", word)
    assert ran.code == 1
    assert "This command takes one argument" in ran.stderr + ran.stdout
