"""docs/cli.md says what the table of commands says, and its hand-written part is true."""

import re
import shlex

import pytest
from cli_run import run
from client_fake_agent import FakeAgent, golden_http
from places import DOCS

from quorate.cli.reference import MARK, rewritten
from quorate.cli.text.gotemplate import render
from quorate.client.transport.environment import VARIABLES

PAGE = (DOCS / "cli.md").read_text()
HEAD = PAGE.partition(MARK)[0]


def test_the_reference_is_that_of_the_table() -> None:
    assert rewritten(PAGE) == PAGE, "run: python -m quorate.cli.reference docs/cli.md"


def test_a_page_without_the_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="no mark"):
        rewritten("# a page")


def test_the_examples_with_output_give_that_output() -> None:
    shown = re.findall(r"```\n\$ (quorate .*)\n((?:.*\n)+?)```", HEAD)
    assert len(shown) == 2
    routes = {"GET /v1/operator/raft/configuration": golden_http("r3-raft-config-leader")}
    for line, output in shown:
        with FakeAgent(routes) as agent:
            assert run(*shlex.split(line)[1:], env={"NOMAD_ADDR": agent.address}).stdout == output


def test_every_variable_is_named() -> None:
    section = HEAD.partition("## Variables")[2]
    for option, name in VARIABLES.items():
        assert re.search(rf"`{name}`", section)
        assert f"`-{option}`" in section


def test_the_forms_of_templates_are_understood() -> None:
    server = {"Leader": False, "Voter": True, "Status": "alive", "Tags": {"build": "1"}}
    data = {"Index": 1, "Servers": [server], "SchedulerConfig": {"ModifyIndex": 3}, **server}
    rows = re.findall(r"^\| (`\{\{.*`) \| ", HEAD, flags=re.MULTILINE)
    forms = [form for row in rows for form in re.findall(r"`([^`]+)`", row)]
    assert len(forms) == 14
    for form in forms:
        closed = form + "{{end}}" if form.startswith("{{if") and "{{end}}" not in form else form
        assert render(closed.replace("{{- ... -}}", "{{- . -}}"), data) != closed
