"""Pain 8: scheduled backups, once for each interval, although the leaders are killed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from server_processes import Servers, until

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(240)]

BACKUP = "/v1/operator/backup"
EVERY_S = 2
RETAIN = 5


@contextmanager
def backed_up(folder: Path, **keys: Any) -> Iterator[Servers]:
    """Three servers with this block `backup`; all processes are gone afterwards."""
    folder.mkdir(exist_ok=True)
    servers = Servers(folder)
    for number in range(3):
        config = json.loads(servers.config(number).read_text())
        servers.config(number).write_text(json.dumps({**config, "backup": keys}))
    servers.start()
    try:
        servers.leader()
        yield servers
    finally:
        servers.stop_all()
    for number in range(3):
        assert "Traceback" not in servers.log(number), servers.log(number)


def put(servers: Servers, number: int, path: str, value: str) -> bool:
    return servers.ask(number, f"/v1/var/{path}", "PUT", {"Items": {"k": value}}).status == 200


def slot(name: str) -> str:
    return name.split("-")[2]


def listed(servers: Servers) -> Any:
    return servers.ask(next(iter(servers.processes)), BACKUP).json


def test_pain_8_one_file_for_each_interval(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    keys = {"schedule": f"{EVERY_S}s", "target": f"file://{target}", "retain": RETAIN}
    seen: dict[str, int] = {}

    def look() -> list[str]:
        names = [each.name for each in target.glob("*.snap")]
        for name in names:
            seen.setdefault(name, len(seen))
        return names

    with backed_up(tmp_path / "servers", **keys) as servers:
        until(lambda: put(servers, servers.leader(), "a", "v"), "a variable")

        def more(number: int) -> None:
            goal = len(seen) + number
            until(lambda: look() is not None and len(seen) >= goal, f"{number} more backups")

        more(3)
        for _ in range(2):
            gone = servers.leader()
            servers.kill(gone)
            more(2)
            servers.start(gone)
            servers.leader()
        more(RETAIN)

        def settled() -> bool:
            answer = listed(servers)
            names = sorted(row["Name"] for row in answer["Backups"])
            whole = all(row["Status"] == "verified" for row in answer["Backups"])
            return whole and names == sorted(look()) and len(names) == RETAIN

        until(settled, lambda: f"exactly {RETAIN}: {look()}, {listed(servers)}")
        # Nothing half named: each file that ever had a name was whole, and its interval's only one.
        assert max(Counter(slot(name) for name in seen).values()) == 1, seen
        times = sorted(_seconds(slot(name)) for name in seen)
        gaps = [later - before for before, later in pairwise(times)]
        print("seconds between backups:", gaps)
        assert max(gaps) < 3 * EVERY_S, gaps


def _seconds(text: str) -> int:
    hours, minutes, seconds = int(text[9:11]), int(text[11:13]), int(text[13:15])
    return (int(text[6:8]) * 24 + hours) * 3600 + minutes * 60 + seconds


def test_pain_8_nothing_half_named_after_kills_at_any_step(tmp_path: Path) -> None:
    """The leader is killed at moments of a backup that are spread over all its steps."""
    target = tmp_path / "target"
    target.mkdir()
    keys = {"schedule": "1s", "target": f"file://{target}", "retain": RETAIN}
    with backed_up(tmp_path / "servers", **keys) as servers:
        until(lambda: put(servers, servers.leader(), "a", "v"), "a variable")
        until(lambda: list(target.glob("*.snap")), "a first backup")
        for _ in range(6):
            before = listed(servers)["UnderWay"]
            until(lambda: listed(servers)["UnderWay"], f"a backup under way, after {before!r}")
            gone = servers.leader()
            servers.kill(gone)
            for name in target.glob("*.snap"):
                assert name.stat().st_size, "a name before its content"
            servers.start(gone)
            servers.leader()

        def settled() -> bool:
            answer = listed(servers)
            names = {row["Name"] for row in answer["Backups"] if row["Status"] == "verified"}
            return len(names) == RETAIN and names == {each.name for each in target.glob("*.snap")}

        until(settled, lambda: f"only whole files: {listed(servers)}")
