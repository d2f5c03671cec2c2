"""`operator raft compact`: what it shows, and how it ends."""

from __future__ import annotations

import json
from typing import Any

from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply

COMPACT = "PUT /v1/operator/raft/compact"
MIB = 1 << 20


def server(node: str, **more: Any) -> dict[str, Any]:
    sizes = {"LogBytesBefore": 512 * MIB, "LogBytesAfter": MIB, "DiskFreeBytes": 900 * MIB}
    snapshots = {"SnapshotBytesBefore": 20 * MIB, "SnapshotBytesAfter": 10 * MIB, "Index": 9}
    return {"ID": f"id-{node}", "Node": node, **sizes, **snapshots, **more}


def compact(reply: Reply, *words: str, query: str = "") -> Ran:
    with FakeAgent({COMPACT + query: reply}) as agent:
        ran = run("operator", "raft", "compact", *words, env={"NOMAD_ADDR": agent.address})
        assert agent.asked == [COMPACT + query]
    return ran


def test_sizes_before_and_after() -> None:
    reply = json_reply(
        {"Servers": [server("s1.global"), server("s2.global", Stays="entry 9 stays")]}
    )
    ran = compact(reply, "-all", query="?all=true")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        "Node       Log                   Snapshots             Disk Free  Note\n"
        "s1.global  512.0 MiB -> 1.0 MiB  20.0 MiB -> 10.0 MiB  900.0 MiB  -\n"
        "s2.global  512.0 MiB -> 1.0 MiB  20.0 MiB -> 10.0 MiB  900.0 MiB  entry 9 stays\n"
    )
    ran = compact(reply, "-json")
    assert json.loads(ran.stdout)["Servers"][0]["LogBytesAfter"] == MIB


def test_what_could_not_be_done_is_an_error_with_its_next_step() -> None:
    full = server("s1.global", Error="no room for a snapshot", Next="free 9 bytes")
    gone = {"ID": "id-2", "Node": "s2.global", "Error": "connection refused"}
    ran = compact(json_reply({"Servers": [full, gone]}), "-server=x", query="?server=x")
    assert ran.code == 1
    assert "900.0 MiB  no room for a snapshot\n" in ran.stdout
    assert ran.stdout.endswith("s2.global  -                     -                     -          "
                               "connection refused\n")  # fmt: skip
    assert ran.stderr == (
        "s1.global (id-s1.global) could not be compacted: no room for a snapshot\n"
    )


def test_mistakes_and_servers_that_cannot() -> None:
    unknown = text_reply(404, 'no server with the ID or name "x" is known here')
    ran = compact(unknown, "-server=x", query="?server=x")
    assert (ran.code, "Error compacting: " in ran.stderr, '"x" is known' in ran.stderr) == (
        *(1, True, True),
    )
    assert "only Quorate" not in ran.stderr
    ran = compact(text_reply(404, "Invalid method"))
    assert (ran.code, "Invalid method" in ran.stderr) == (1, True)
    ran = run("operator", "raft", "compact", "-all", "-server=x")
    assert (ran.code, "cannot give both" in ran.stderr) == (1, True)
    ran = run("operator", "raft", "compact", "/var/lib/quorate")
    assert (ran.code, "it asks servers that run" in ran.stderr) == (1, True)
