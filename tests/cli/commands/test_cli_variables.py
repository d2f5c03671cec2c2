"""`quorate var`: recorded command lines of 1.6.3, and what is ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply
from hypothesis import example, given, settings
from hypothesis import strategies as st
from places import GOLDEN

from quorate.cli.commands.var.spec import parsed

PUT = "PUT /v1/var/app/db?cas=0"
GET = "GET /v1/var/app/db"
MISSING = text_reply(404, "variable not found")


def load(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((GOLDEN / "cli" / f"v16cli-var-{name}.json").read_text())
    return case


def variable(path: str = "app/db", **more: Any) -> dict[str, Any]:
    return {
        "CreateIndex": 8,
        "CreateTime": 1795903763941938457,
        "Items": {"user": "v"},
        "ModifyIndex": 12,
        "ModifyTime": 1795903764040945803,
        "Namespace": "default",
        "Path": path,
        **more,
    }


def rows(*paths: str) -> Reply:
    captured = json.loads(load("list-json")["stdout"])
    return json_reply([row for row in captured if not paths or row["Path"] in paths])


def fresh(path: str, index: int, time: int, items: dict[str, str]) -> Reply:
    return json_reply(
        variable(
            path,
            CreateIndex=index,
            ModifyIndex=index,
            CreateTime=time,
            ModifyTime=time,
            Items=items,
        )
    )


CONFLICT = Reply(
    409, json.dumps(variable()).encode(), (("Content-Type", "text/plain; charset=utf-8"),)
)
LIST = "GET /v1/vars"
CASES: dict[str, dict[str, Reply]] = {
    "get-bad-out": {},
    "get-default": {GET: json_reply(variable())},
    "get-hcl": {GET: json_reply(variable())},
    "get-item": {GET: json_reply(variable())},
    "get-json": {GET: json_reply(variable())},
    "get-missing": {"GET /v1/var/none": MISSING},
    "get-no-args": {},
    "get-template": {GET: json_reply(variable())},
    "init": {},
    "list": {LIST: rows()},
    "list-empty": {LIST: json_reply([])},
    "list-json": {LIST: rows()},
    "list-none": {f"{LIST}?prefix=zzz": json_reply([])},
    "list-ns-wild": {f"{LIST}?namespace=%2A": rows()},
    "list-prefix": {f"{LIST}?prefix=app%2Fd": rows("app/db", "app/db2", "app/db3")},
    "list-terse": {LIST: rows()},
    "purge": {"DELETE /v1/var/app/db3": Reply(204, b"", ())},
    "purge-again": {"DELETE /v1/var/app/db3": Reply(204, b"", ())},
    "put": {PUT: fresh("app/db", 8, 1795903763941938457, {"pw": "p", "user": "u"})},
    "put-bad-item": {},
    "put-check-index-bad": {"PUT /v1/var/app/db?cas=1": CONFLICT},
    "put-file": {
        "PUT /v1/var/app/file?cas=0": fresh("app/file", 15, 1795903764204519949, {"k": "v"})
    },
    "put-file-missing": {},
    "put-force": {"PUT /v1/var/app/db": json_reply(variable())},
    "put-no-args": {},
    "put-no-items": {},
    "put-out-json": {
        "PUT /v1/var/app/db2?cas=0": fresh("app/db2", 9, 1795903763968932920, {"user": "u"})
    },
    "put-stdin": {"PUT /v1/var/app/js?cas=0": fresh("app/js", 14, 1795903764180784289, {"a": "b"})},
}
BETTER = {
    "init-json": "the same with other words before the last line",
    "purge-check-index": "advises no -force, which the command does not have",
    "put-bad-path": "400 in place of 500, as the server answers",
    "put-file-bad": "the reader of HCL says in its own words where the text ends",
}


def folded(text: str) -> str:
    """The program's own name in place of the recorded one's."""
    return text.replace("nomad var", "quorate var")


@pytest.mark.parametrize("name", CASES)
def test_recorded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.nv.hcl").write_text('path = "app/file"\nitems {\n  k = "v"\n}\n')
    case, routes = load(name), CASES[name]
    with FakeAgent(routes) as agent:
        env = {"NOMAD_ADDR": agent.address}
        ran = run(*case["argv"][1:], env=env, stdin=case.get("stdin", ""))
    assert agent.asked == list(routes)
    wanted = (case["exit_code"], folded(case["stdout"]), folded(case["stderr"]))
    assert ran == wanted


def test_a_token_that_is_not_known_finds_nothing_as_recorded() -> None:
    case = json.loads((GOLDEN / "cli-1.6" / "v16cli-acl-bad-var-get.json").read_text())
    with FakeAgent({"GET /v1/var/x": MISSING}) as agent:
        ran = run(*case["argv"][1:], env={**case["env"], "NOMAD_ADDR": agent.address})
    assert ran == (case["exit_code"], case["stdout"], case["stderr"])


def test_each_recording_has_a_test() -> None:
    names = {
        path.stem.removeprefix("v16cli-var-") for path in (GOLDEN / "cli").glob("v16cli-var-*")
    }
    assert {*CASES, *BETTER} == names


def asked(*argv: str, routes: dict[str, Reply], terminal: bool = False, stdin: str = "") -> Ran:
    with FakeAgent(routes) as agent:
        env = {"NOMAD_ADDR": agent.address}
        return run("var", *argv, env=env, terminal=terminal, stdin=stdin)


def test_a_bad_path_is_told_as_the_server_tells_it() -> None:
    routes = {"PUT /v1/var/app/x%20y?cas=0": text_reply(400, 'invalid path "app/x y"')}
    ran = asked("put", "app/x y", "a=b", routes=routes)
    text = 'Error creating variable: Unexpected response code: 400 (invalid path "app/x y")\n'
    assert ran == (1, "", text)


@pytest.mark.parametrize(("form", "name"), [("json", "spec.nv.json"), ("hcl", "spec.nv.hcl")])
def test_the_example_file_can_be_written(
    form: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("var", "init", f"-out={form}").code == 0
    again = run("var", "init", f"-out={form}")
    assert (again.code, again.stderr) == (1, f'File "{name}" already exists\n')
    for path in ((), ("app/db",)):
        ran = asked("put", *path, f"@{name}", routes={PUT: json_reply(variable())})
        assert ran.code == 0, ran.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("items { k = 1 }", "Expected `str`, got `int` - at `$.items[...]`"),
        ("itmes { k = 1 }", "unknown field `itmes`"),
        ("items {", "error parsing hcl: "),
        ('items { k = "v" }\nItems { k = "v" }', "line 2: Items is there twice"),
        ("", "Must supply data"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "bad.hcl").write_text(text)
    ran = asked("put", "app/db", f"@{tmp_path}/bad.hcl", routes={})
    assert ran.code == 1
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    with FakeAgent({PUT: json_reply(variable())}) as agent:
        env = {"NOMAD_ADDR": agent.address}
        ran = run("var", "put", "app/db", f"key=@{tmp_path}/key", "at=\\@x", env=env)
    assert ran.code == 0
    assert json.loads(agent.requests[0].body) == {"Items": {"key": "secret\n", "at": "@x"}}


def test_a_terminal_is_told_what_was_done() -> None:
    ran = asked("put", "app/db", "user=v", routes={PUT: json_reply(variable())}, terminal=True)
    assert ran.stdout == 'Updated variable "app/db" with modify index 12\n'
    ran = asked("get", "app/db", routes={GET: json_reply(variable())}, terminal=True)
    assert "Check Index = 12" in ran.stdout
    assert "user = v" in ran.stdout


def test_the_next_page_is_named() -> None:
    reply = Reply(200, b"[]", (("X-Nomad-NextToken", "default.b"),))
    ran = asked("list", "-per-page=1", routes={f"{LIST}?per_page=1": reply})
    assert ran == (0, "[]\n", "Next page token: default.b\n")


def test_a_missing_item_and_a_lost_race_without_a_variable() -> None:
    ran = asked("get", "-item=x", "app/db", routes={GET: json_reply(variable())})
    assert ran == (1, "", 'Variable does not contain "x" item\n')
    gone = Reply(409, json.dumps(variable(ModifyIndex=0, Items=None)).encode())
    ran = asked("put", "-check-index=7", "app/db", "a=b", routes={PUT.replace("=0", "=7"): gone})
    assert ran.code == 1
    assert "there is no such variable" in ran.stderr


def test_the_wildcard_namespace_is_not_written() -> None:
    for argv in (("put", "app/db", "a=b"), ("purge", "app/db")):
        ran = asked(argv[0], "-namespace=*", *argv[1:], routes={})
        assert ran == (1, "", 'The wildcard namespace ("*") is not valid for this command.\n')


LOCK = {"Fence": 3, "ID": "an-id", "LockDelay": "15s", "TTL": "20s"}


@pytest.mark.parametrize(
    ("argv", "route"),
    [
        (("put", "-check-index=12", "app/db", "a=b"), "PUT /v1/var/app/db?cas=12"),
        (("put", "-force", "app/db", "a=b"), "PUT /v1/var/app/db"),
        (("purge", "app/db"), "DELETE /v1/var/app/db"),
    ],
)
def test_a_locked_variable_is_told_as_locked(argv: tuple[str, ...], route: str) -> None:
    body = json.dumps(variable(Lock=LOCK)).encode()
    ran = asked(*argv, routes={route: Reply(409, body, (("X-Quorate-Conflict", "locked"),))})
    assert ran.code == 1
    assert ran.stderr.startswith("\nThe variable is locked\n")
    assert "fencing number 3, TTL 20s" in ran.stderr
    assert "20s after the last renewal" in ran.stderr
    assert "-force" not in ran.stderr
    assert "an-id" not in ran.stderr


def test_a_table_shows_the_lock() -> None:
    ran = asked("get", "-out=table", "app/db", routes={GET: json_reply(variable(Lock=LOCK))})
    assert "= held, fencing number 3, TTL 20s, delay 15s" in ran.stdout
    ran = asked("get", "-out=table", "app/db", routes={GET: json_reply(variable())})
    assert "Lock" not in ran.stdout


@pytest.mark.parametrize("index", [0, 12])
def test_purge_advises_only_options_that_it_has(index: int) -> None:
    lost = Reply(409, json.dumps(variable(ModifyIndex=index)).encode())
    ran = asked("purge", "-check-index=2", "app/db", routes={"DELETE /v1/var/app/db?cas=2": lost})
    assert ran.code == 1
    assert "-force" not in ran.stderr
    assert f"leave it out or add the -check-index={index} flag" in ran.stderr


@pytest.mark.parametrize("late", ["-namespace=nosuch", "-force"])
def test_an_option_behind_the_path_is_no_item(late: str) -> None:
    ran = asked("put", "app/ns", "a=b", late, routes={})
    assert ran.code == 1
    assert f'"{late}" begins with "-": options come before the path' in ran.stderr


TEXTS = ("100 %{y}", "${y}", "a${", "$${y}", "%%{", '"quoted"\n', "\\u0024{")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(TEXTS)


# Each example starts the process that reads HCL.
@settings(max_examples=5, deadline=None)
@example({f"key{number}": text for number, text in enumerate(TEXTS)})
@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]*", fullmatch=True), TEXT, min_size=1, max_size=9
    )
)
def test_what_is_shown_as_hcl_can_be_written_back(items: dict[str, str]) -> None:
    shown = {**variable(), "Items": items}
    ran = asked("get", "-out=hcl", "app/db", routes={GET: json_reply(shown)})
    assert parsed(ran.stdout, as_json=False)["items"] == items


def test_force_and_check_index_contradict_each_other() -> None:
    ran = asked("put", "-force", "-check-index=1", "a", "k=v", routes={})
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Give either -force or -check-index, not both")
