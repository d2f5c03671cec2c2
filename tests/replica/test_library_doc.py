"""docs/library.md: its program runs as it stands, with ports and folders of the test."""

from __future__ import annotations

import ast
import asyncio
import re
from inspect import iscoroutine
from pathlib import Path
from typing import Any

import pytest
from replica_cluster import Replicas, until

import quorate
from quorate import NotLeader, Replica, serve

PAGE = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CORE = "from quorate.raft import Node"  # the block of the core alone is a sketch of a loop


async def carry_out(block: str, names: dict[str, Any]) -> None:
    """Run a block of the page, which may await at its top level."""
    code = compile(block, "docs/library.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    done = eval(code, names)
    if iscoroutine(done):
        await done


def at_home(block: str, folder: Path, addresses: dict[str, str]) -> str:
    """The block with this test's folder and free ports in place of the page's."""
    block = block.replace("/var/lib/counter", str(folder))
    return re.sub(r'"127\.0\.0\.1:710(\d)"', lambda found: repr(addresses[found[1]]), block)


def test_the_program_of_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    free = list(Replicas(tmp_path, 4).servers.values())
    addresses = {str(number): address for number, address in enumerate(free, start=1)}
    blocks = [at_home(block, tmp_path, addresses) for block in BLOCKS if CORE not in block]
    names: dict[str, Any] = {}

    def caught_up() -> bool:
        return all(peer.behind == 0 and peer.match_index > 0 for peer in names["replica"].peers())

    async def scenario() -> None:
        machine, start, write, join, promote, *others = blocks
        await carry_out(machine, names)
        founders = {name: addresses[name] for name in "123"}
        rest: list[Replica[Any]] = [
            await serve(name, founders, names["Counter"](), tmp_path / name) for name in "23"
        ]
        await carry_out(start, names)
        replicas = [*rest, names["replica"]]
        try:
            replica = names["replica"]
            await until(lambda: replica.status().leader_id)
            if not replica.is_leader:
                leader = next(each for each in rest if each.is_leader)
                with pytest.raises(NotLeader):
                    await replica.propose(b"5")
                await leader.transfer("1")
                await until(lambda: replica.is_leader)
            await carry_out(write, names)
            assert names["value"] == 5
            await carry_out(join, names)
            replicas.insert(0, names["joiner"])
            await until(caught_up)
            await carry_out(promote, names)
            for block in others:
                await carry_out(block, names)
        finally:
            for each in replicas:
                await each.stop()

    asyncio.run(scenario())
    printed = capsys.readouterr().out
    assert re.search(r"^term \d+, leader 1, committed \d+$", printed, re.MULTILINE)
    assert re.search(r"^4: \d entries behind", printed, re.MULTILINE)


def test_every_call_class_and_field_of_the_page_is_public() -> None:
    calls = set(re.findall(r"`(?:await )?([a-z_]+)\(", PAGE))
    own = {"serve", "apply", "snapshot", "decode_snapshot", "restore", "write", "read", "scaled"}
    assert {name for name in calls - own if not hasattr(Replica, name)} == set()
    classes = set(re.findall(r"`([A-Z][a-z][A-Za-z]+)(?:\([^`]*\))?`", PAGE))
    elsewhere = {"Counter", "Result", "RaftDriver", "Persist", "Tick", "Applied", "TypeError"}
    assert {name for name in classes - elsewhere if not hasattr(quorate, name)} <= {
        "OSError",
        "None",
    }
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert set(quorate.Status.__struct_fields__) <= listed
    assert "replica.node" not in PAGE
