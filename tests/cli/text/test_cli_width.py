"""Every help text and every table of ours fits a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from cli_run import run
from client_fake_agent import FakeAgent, Reply, golden_http, json_reply

from quorate.cli.registry.index import BY_PATH, GROUP_BY_PATH
from quorate.cli.text.tables import format_noted, format_split

WIDTH = 80
IDS = [f"{number}3ab2eb1-3900-055b-76fa-4d364900687d" for number in (1, 2, 3)]
NAMES = [f"server-{number}.eu-west-1" for number in (1, 2, 3)]
ADDRESSES = [f"10.100.100.{number}:4647" for number in (1, 2, 3)]
WHY = "no answer within 2 s: dial tcp 10.100.100.3:4647: connect: no route to host"


def view(number: int, **more: Any) -> dict[str, Any]:
    peers = [{"ID": i, "Address": a, "Voter": True} for i, a in zip(IDS, ADDRESSES, strict=True)]
    return {
        "Address": ADDRESSES[number],
        "CommitIndex": 3_145_811,
        "Configuration": {"Index": 2_097_153, "Servers": peers},
        "ID": IDS[number],
        "Leader": ADDRESSES[0],
        "LeaderID": IDS[0],
        "Node": NAMES[number],
        "Role": "follower" if number else "leader",
        "Term": 1204,
        **more,
    }


VIEWS = {"Servers": [view(0), view(1), view(2, Error=WHY)]}
UPGRADE = {
    "Level": 2,
    "Goal": 3,
    "MayMix": "0.1.0 to 0.3.0",
    "Servers": [
        {
            "ID": IDS[number],
            "Node": NAMES[number],
            "Version": "0.1.0+dirty",
            "Level": 2,
            "Voter": True,
            "Error": WHY,
        }
        for number in range(3)
    ],
}
EVENT = (
    b'{"Index":3145811,"Events":[{"Index":3145811,"Key":"%s","Namespace":"","Topic":"Operator",'
    b'"Type":"LeaderElected","Payload":{"Operator":{"Cause":"the leader was lost","Details":'
    b'{"term":"1204","former":"%s"},"Name":"%s","Time":"2026-11-28T21:00:29.773Z","What":"elected"}'
    b"}}]}\n"
) % (IDS[0].encode(), IDS[1].encode(), NAMES[0].encode())

TABLES = {
    "operator raft views": ("GET /v1/operator/raft/views", json_reply(VIEWS)),
    "operator upgrade check": ("GET /v1/operator/upgrade", json_reply(UPGRADE)),
    "operator autopilot health": (
        "GET /v1/operator/autopilot/health",
        golden_http("r3-health-one-dead"),
    ),
    "operator events": ("GET /v1/event/stream", Reply(200, EVENT)),
}


def wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > WIDTH]


@pytest.mark.parametrize("path", [(), *GROUP_BY_PATH, *BY_PATH], ids=" ".join)
def test_help(path: tuple[str, ...]) -> None:
    ran = run(*path, "-help")
    assert ran.code == 0
    assert not wide(ran.stdout)


@pytest.mark.parametrize("command", TABLES)
def test_tables_at_a_terminal(command: str) -> None:
    """Of `server members` and `operator raft list-peers` today's program fixes the form."""
    route, reply = TABLES[command]
    with FakeAgent({route: reply}) as agent:
        env = {"NOMAD_ADDR": agent.address, "COLUMNS": str(WIDTH), "NO_COLOR": "1"}
        shown = run(*command.split(), env=env, terminal=True).stdout
        piped = run(*command.split(), env=env).stdout
    assert not wide(shown)
    assert wide(piped), "a program has each row on one line"
    words = sorted(set(piped.split()) - {"Note"})
    assert [word for word in words if word.rstrip(":,") not in shown] == []


def test_what_fits_stays_one_table() -> None:
    rows = [("Node", "Note"), ("a", "-"), ("b", "is lost")]
    assert format_noted(rows, 80, key=0, none="-") == "Node  Note\na     -\nb     is lost"
    assert format_noted(rows, 12, key=0, none="-") == "Node\na\nb\n\nb: is lost"
    assert format_split(rows, 80, key=0) == "Node  Note\na     -\nb     is lost"
    three = [("A", "Name", "B"), ("11", "x", "22")]
    assert format_split(three, 10, key=1) == "Name  A\nx     11\n\nName  B\nx     22"
