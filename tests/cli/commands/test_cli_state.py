"""`operator state`: how large it is, and its bounds."""

from __future__ import annotations

import json

import pytest
from cli_run import run
from client_fake_agent import FakeAgent, Reply, json_reply

from quorate.client import Client, StateFull

SIZE = {
    "Bytes": 900,
    "BytesMax": 1000,
    "Limit": 0,
    "SmallestServer": "s1",
    "SmallestMemory": 4000,
    "Warning": "",
    "Variables": 3,
    "Namespaces": [{"Namespace": "default", "Bytes": 900, "BytesMax": 0}],
    "NamespacesNotShown": 2,
    "Prefixes": [
        {"Namespace": "default", "Prefix": "app/", "Bytes": 800, "Variables": 2},
        {"Namespace": "default", "Prefix": "", "Bytes": 100, "Variables": 1},
    ],
}


def test_size() -> None:
    with FakeAgent({"GET /v1/operator/state": json_reply(SIZE)}) as agent:
        ran = run("operator", "state", "size", env={"NOMAD_ADDR": agent.address})
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "Bytes     = 900",
        "Bytes Max = 1000 (a quarter of the smallest memory)",
        "Memory    = 4000 (server s1)",
        "Used      = 90.0%",
        "Variables = 3",
        "",
        "Namespace  Bytes  Bytes Max  Used",
        "default    900    -          -",
        "2 smaller ones are not shown",
        "",
        "Largest Prefix     Namespace  Bytes  Variables",
        "app/               default    800    2",
        "(without a slash)  default    100    1",
    ]


def test_a_state_that_is_nearly_full_is_exit_code_2() -> None:
    size = {**SIZE, "Warning": "the state takes 90 % of its bound"}
    with FakeAgent({"GET /v1/operator/state": json_reply(size)}) as agent:
        ran = run("operator", "state", "size", "-json", env={"NOMAD_ADDR": agent.address})
    assert ran.code == 2
    assert json.loads(ran.stdout) == size
    assert "the state takes 90 % of its bound" in ran.stderr


@pytest.mark.parametrize(
    ("words", "body", "said"),
    [
        (("2GiB",), {"BytesMax": 2 << 30, "Namespace": ""}, "The state may take 2147483648 bytes"),
        (
            ("-of=web", "64mib"),
            {"BytesMax": 64 << 20, "Namespace": "web"},
            'Namespace "web" may take 67108864 bytes',
        ),
        (("0",), {"BytesMax": 0, "Namespace": ""}, "The state has no bound of its own now"),
    ],
)
def test_limit(words: tuple[str, ...], body: dict[str, object], said: str) -> None:
    route = "PUT /v1/operator/state/limit"
    with FakeAgent({route: Reply(200, b"")}) as agent:
        ran = run("operator", "state", "limit", *words, env={"NOMAD_ADDR": agent.address})
        assert json.loads(agent.requests[0].body) == body
    assert ran == (0, said + "\n", "")


@pytest.mark.parametrize("text", ["", "x", "5GB", "-1", "1.5GiB", "٣", "9" * 40])
def test_no_size(text: str) -> None:
    ran = run("operator", "state", "limit", "--", text)
    assert ran.code == 1
    assert "Traceback" not in ran.stderr


def test_the_client_tells_a_full_state() -> None:
    reply = Reply(507, b"the state takes 5 bytes", (("X-Quorate-Error", "state-full"),))
    with (
        FakeAgent({"PUT /v1/var/a": reply}) as agent,
        Client(agent.address) as client,
        pytest.raises(StateFull, match="the state takes 5 bytes") as caught,
    ):
        client.variables.put("a", {"k": "v"})
    assert caught.value.status == 507
