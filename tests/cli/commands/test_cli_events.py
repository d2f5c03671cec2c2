"""`quorate operator events`, and the client's iterator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_run import run
from client_fake_agent import FakeAgent, Reply, text_reply

from quorate.client import AnswerError, Client, ClientError, Event
from quorate.client.calls.events import EventReader

TIME = "2026-11-28T21:00:29.773Z"
STREAM = "GET /v1/event/stream"


def event(index: int, topic: str, kind: str, key: str, **payload: Any) -> dict[str, Any]:
    return {
        "FilterKeys": None,
        "Index": index,
        "Key": key,
        "Namespace": "",
        "Payload": payload,
        "Topic": topic,
        "Type": kind,
    }


TEAM = event(41, "Namespace", "NamespaceUpserted", "team", Namespace={"Description": "d"})
ELECTED = event(
    44,
    "Operator",
    "LeaderElected",
    "id-2",
    Operator={
        "Cause": "timeout",
        "Details": {"term": "3"},
        "Force": False,
        "Kind": "election",
        "Name": "s2.global",
        "Time": TIME,
        "What": "elected",
    },
)
MISSED = event(
    80,
    "Operator",
    "EventsMissed",
    "",
    Missed={"First": 45, "Last": 80, "Reason": "the reader was too slow"},
)
PATH = {**event(81, "Variable", "VariableDeleted", "app/db"), "Namespace": "default"}
EVENTS = [TEAM, ELECTED, MISSED, PATH]


def stream() -> str:
    lines = [{"Events": [each], "Index": each["Index"]} for each in EVENTS]
    return "".join(json.dumps(each) + "\n" for each in ({}, *lines, {}))


def test_lines_for_people() -> None:
    query = "index=41&topic=Namespace&topic=Operator%3Aid-2"
    with FakeAgent({f"{STREAM}?{query}": Reply(200, stream().encode())}) as agent:
        done = run(
            *("operator", "events", "-topic=Namespace", "-topic=Operator:id-2", "-index=41"),
            env={"NOMAD_ADDR": agent.address},
        )
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "      41  NamespaceUpserted   team  d",
        f"      44  LeaderElected       id-2  {TIME}  elected  s2.global  timeout  term=3",
        "      80  EventsMissed        -  45 to 80: the reader was too slow",
        "      81  VariableDeleted     default/app/db",
    ]


def test_lines_for_programs() -> None:
    with FakeAgent({STREAM: Reply(200, stream().encode())}) as agent:
        done = run("operator", "events", "-json", env={"NOMAD_ADDR": agent.address})
    assert [json.loads(line) for line in done.stdout.splitlines()] == EVENTS


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (stream(), "go on at another server: -address=<another> -index=82"),
        ("{}\n", "the agent ended in the middle of its answer: ask another one"),
    ],
)
def test_a_server_that_dies_is_told_as_that(text: str, step: str) -> None:
    cut = Reply(200, text.encode(), (("Content-Length", "9999"),))
    with FakeAgent({STREAM: cut}) as agent:
        env = {"NOMAD_ADDR": agent.address, "NOMAD_CLI_SHOW_HINTS": "1"}
        done = run("operator", "events", env=env)
    assert done.code == 1
    assert "https" not in done.stderr
    assert done.stderr.endswith(f": unexpected EOF\nHint: {step}\n")


def test_a_refusal_is_one_line() -> None:
    text = "Invalid key value pair for topic, topic: a:b:c"
    with FakeAgent({f"{STREAM}?topic=a%3Ab%3Ac": text_reply(400, text)}) as agent:
        done = run("operator", "events", "-topic=a:b:c", env={"NOMAD_ADDR": agent.address})
    assert done.code == 1
    assert done.stderr == f"Error reading events: Unexpected response code: 400 ({text})\n"


def test_a_text_of_the_network_breaks_no_line() -> None:
    bad = {**TEAM, "Key": "a\nb\x1b[31m"}
    line = json.dumps({"Events": [bad], "Index": 1}) + "\n"
    with FakeAgent({STREAM: Reply(200, line.encode())}) as agent:
        done = run("operator", "events", env={"NOMAD_ADDR": agent.address})
    assert len(done.stdout.splitlines()) == 1
    assert "\x1b" not in done.stdout


def test_region_and_namespace_of_the_client_are_asked_for() -> None:
    route = f"{STREAM}?namespace=team&region=west&topic=Variable"
    with (
        FakeAgent({route: Reply(200, stream().encode())}) as agent,
        Client(agent.address, region="west", namespace="team") as client,
    ):
        found = list(client.events(["Variable"]))
    assert [each.index for each in found] == [41, 44, 80, 81]
    assert [each.raw for each in found] == EVENTS
    assert found[0].payload["Namespace"] == {"Description": "d"}


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_events_in_pieces(size: int) -> None:
    text = stream()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert [each.raw for each in events_of(pieces)] == EVENTS


def events_of(pieces: list[str]) -> list[Event]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.read(piece)]


@pytest.mark.parametrize(
    "line",
    ["x", "[]", '{"Events": 1}', '{"Events": [1]}', '{"Events": [{"Index": "x"}]}', "[" * 9999],
)
def test_a_line_that_is_no_event(line: str) -> None:
    with pytest.raises(AnswerError):
        events_of([line + "\n"])


def test_what_the_server_did_not_end_is_no_event() -> None:
    assert events_of(['{"Events": [{"Index": 4}], "Ind']) == []


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.client.calls.events.LINE_MAX", 1000)
    with pytest.raises(ClientError, match="more than 1000"):
        events_of(["x" * 100] * 100)
