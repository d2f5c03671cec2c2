"""`quorate dev -drill`: its list, its mistakes, and what the page says of it."""

from __future__ import annotations

import json

import pytest
from cli_run import run
from places import DOCS

from quorate.cli.drills.kinds import DRILLS

NAMES = [
    *("dead-peer", "lost-quorum", "split", "full-disk"),
    *("wrong-peers-json", "cloned-server", "rolled-back-disk"),
]


def test_the_list_gives_nothing_away() -> None:
    ran = run("dev", "-drill=list")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.stdout.splitlines()] == NAMES
    assert "recover" not in ran.stdout.replace("A recovery was tried", "")
    rows = json.loads(run("dev", "-drill=list", "-json").stdout)
    assert [row["name"] for row in rows] == NAMES


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-drill=fire"], "there is no drill 'fire'"),
        (["-drill=split", "-servers=5"], "-servers does not go with -drill"),
        (["-drill=split", "-data-dir=/tmp/x"], "-data-dir does not go with -drill"),
        (["-drill=split", "-regions=2"], "-regions does not go with -drill"),
        (["-drill=split", "-http-port=0"], "-http-port must be between"),
        (["-json"], "-json goes with -drill"),
    ],
)
def test_mistakes(options: list[str], text: str) -> None:
    ran = run("dev", *options)
    assert ran.code == 1
    assert text in ran.stderr


def test_the_runbook_names_each() -> None:
    page = (DOCS / "outage.md").read_text()
    assert [drill.name for drill in DRILLS] == NAMES
    assert all(f"`{name}`" in page for name in NAMES)
