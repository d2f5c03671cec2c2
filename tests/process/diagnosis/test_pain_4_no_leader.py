"""Servers without a leader, each for another reason: `operator diagnose` names it.

See docs/pains.md, 4.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cli_run import run
from gossiping_servers import GossipingServers, cluster, gossiping
from server_processes import Servers, until
from small_disks import fill, on_small_disk

pytestmark = [pytest.mark.process, pytest.mark.long]

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


class Diagnosed:
    """What the command said when these servers were asked, and these folders given."""

    def __init__(self, servers: Servers, *numbers: int, folders: Iterable[Path] = ()) -> None:
        addresses = [f"http://{servers.host(n)}:{servers.http[n]}" for n in numbers]
        words = [*addresses, *map(str, folders)]
        ran = run("operator", "diagnose", "-json", *words)
        self.code = ran.code
        self.text = ran.stdout
        self.json: dict[str, Any] = json.loads(ran.stdout)
        # How slow the disk of a busy machine is, is no matter here.
        named = [each["Cause"] for each in self.json["Findings"]]
        self.causes = [cause for cause in named if cause not in {"disk-slow", "disk-stalled"}]
        shown = run("operator", "diagnose", *words)
        lines = [line.strip() for line in shown.stdout.splitlines() if len(line) > 80]
        wide = [line for line in lines if not line.startswith("quorate ")]
        assert all(len(line.split()) == 1 for line in wide), "commands and paths are not broken"
        print(shown.stdout)

    def finding(self, cause: str) -> str:
        """All that is said of one cause."""
        found = next(each for each in self.json["Findings"] if each["Cause"] == cause)
        return "\n".join([found["Text"], *found["ShownBy"], *found["Next"]])


def test_voters_that_are_lost_one_after_the_other(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        leader = servers.leader()
        killed, hanging = (leader + 1) % 3, leader
        rest = (leader + 2) % 3
        found = Diagnosed(servers, rest)
        assert (found.code, found.json["Leader"], found.causes) == (0, servers.node(leader), [])

        servers.kill(killed)
        until(lambda: servers.members(rest)[servers.node(killed)] == "failed", "it to fail")
        found = Diagnosed(servers, rest)
        assert (found.code, found.causes) == (0, ["no-spare-voter"])
        assert "connections are refused" in found.finding("no-spare-voter")
        assert servers.node(killed) in found.finding("no-spare-voter")

        servers.signal(hanging, signal.SIGSTOP)
        until(lambda: not servers.ask(rest, "/v1/status/leader?stale").json, "no leader")
        until(lambda: servers.members(rest)[servers.node(hanging)] == "failed", "it to fail")
        until(lambda: "last heard" in Diagnosed(servers, rest).text, "the silence to be told")
        found = Diagnosed(servers, rest, hanging)
        assert (found.code, found.causes[0]) == (2, "quorum-unreachable")
        said = found.finding("quorum-unreachable")
        assert "1 of 3 voters" in said
        assert f"{servers.node(hanging)} ({servers.server_id(hanging)}" in said
        assert "its process does not answer" in said
        assert f"kill -CONT {servers.processes[hanging].pid}" in said
        assert "last heard" in said

        servers.signal(hanging, signal.SIGCONT)
        servers.kill(*list(servers.processes))
        found = Diagnosed(servers, rest, folders=[servers.data_dir(n) for n in range(3)])
        assert (found.code, found.causes[0]) == (2, "servers-stopped")


def test_a_gossip_key_that_differs(tmp_path: Path) -> None:
    servers = GossipingServers(tmp_path, 3, server={"encrypt": KEY})
    servers.keys[2]["server"]["encrypt"] = OTHER_KEY
    servers.configure()
    with gossiping(servers):
        until(lambda: len(servers.members(0)) == 2, "two to meet")
        until(lambda: "2 of 3" in servers.own_stats(0)["quorate"]["waiting"], "them to wait")
        found = Diagnosed(servers, 0, 1, 2)
        assert (found.code, found.causes[0]) == (2, "gossip-key-differs")
        assert KEY not in found.text
        assert OTHER_KEY not in found.text
        # One that is asked alone tells it by what it refuses.
        until(
            lambda: Diagnosed(servers, 0).causes[0] == "gossip-key-differs",
            "the refusals to tell of it",
        )


def test_expect_that_differs(tmp_path: Path) -> None:
    servers = GossipingServers(tmp_path, 3)
    servers.keys[2]["server"] = {"bootstrap_expect": 5}
    servers.configure()
    with gossiping(servers):
        until(lambda: len(servers.members(0)) == 3, "all to meet")
        until(lambda: "differs" in servers.own_stats(0)["quorate"]["waiting"], "them to wait")
        found = Diagnosed(servers, 0, 1, 2)
        assert (found.code, found.causes[0]) == (2, "expect-differs")
        assert "s2.global" in found.finding("expect-differs")
        assert Diagnosed(servers, 0).causes[0] == "expect-differs"


def test_a_region_that_differs(tmp_path: Path) -> None:
    servers = GossipingServers(tmp_path, 3)
    servers.keys[2]["region"] = "west"
    servers.configure()
    with gossiping(servers):
        until(lambda: len(servers.members(0)) == 3, "all to meet")
        found = Diagnosed(servers, 0)
        assert (found.code, found.causes[0]) == (2, "region-differs")
        assert "s2.west is of region 'west'" in found.finding("region-differs")


def test_names_that_nobody_resolves(tmp_path: Path) -> None:
    servers = GossipingServers(tmp_path, 1)
    servers.expect = 3
    servers.keys[0]["server"] = {"retry_join": ["no-such-host.invalid:4648"]}
    servers.configure()
    with gossiping(servers):
        until(lambda: servers.own_stats(0), "it to answer")
        found = Diagnosed(servers, 0)
        assert (found.code, found.causes[:2]) == (2, ["address-dns", "expect-unmet"])
        assert "no-such-host.invalid" in found.finding("address-dns")


def test_a_copied_folder(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        leader = servers.leader()
        original, other = (leader + 1) % 3, (leader + 2) % 3
        copy = servers.add("copy")
        servers.kill(original)
        shutil.copytree(
            servers.data_dir(original),
            servers.data_dir(copy),
            ignore=shutil.ignore_patterns("*.sock"),
        )
        folders = [servers.data_dir(original), servers.data_dir(copy)]
        found = Diagnosed(servers, leader, folders=folders)
        assert "id-twice" in found.causes
        servers.start(original, copy)
        until(
            lambda: (
                "old copy" in servers.log(copy) + servers.log(original)
                or "two" in servers.log(copy) + servers.log(original)
            ),
            "one of them to be refused",
        )
        found = Diagnosed(servers, leader, other, original, copy)
        assert {"rolled-back", "id-twice"} & set(found.causes), found.causes


def test_a_folder_that_was_put_back(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        leader = servers.leader()
        number = (leader + 1) % 3
        folder, backup = servers.data_dir(number), tmp_path / "backup"
        servers.kill(number)
        shutil.copytree(folder, backup, ignore=shutil.ignore_patterns("*.sock"))
        for _ in range(2):
            servers.start(number)
            until(lambda: servers.stats(number)["last_contact"] != "never", "it to follow")
            servers.kill(number)
        shutil.rmtree(folder)
        shutil.copytree(backup, folder)
        servers.start(number)
        process = servers.processes[number]
        until(lambda: process.poll() is not None, "it to end")
        del servers.processes[number]
        found = Diagnosed(servers, leader)
        assert (found.code, found.causes[0]) == (2, "rolled-back")
        assert servers.server_id(number) in found.finding("rolled-back")
        found = Diagnosed(servers, leader, folders=[folder])
        assert "is an old copy" in found.text


def test_a_full_disk(tmp_path: Path) -> None:
    with on_small_disk(tmp_path, 3, 1) as servers:
        servers.move_leadership_to(1)
        fill(servers.data_dir(1))
        until(lambda: servers.stats(1)["disk_full"] == "true", "the disk to be full")
        found = Diagnosed(servers, 0)
        assert (found.code, found.causes[0]) == (2, "disk-full")
        assert "s1.global" in found.finding("disk-full")


def test_a_list_of_servers_that_are_not_there(tmp_path: Path) -> None:
    """A fixed list: two of three were never started."""
    servers = Servers(tmp_path, 3)
    servers.start(0)
    try:
        until(lambda: servers.ask(0, "/v1/agent/self").json, "it to answer")
        found = Diagnosed(servers, 0)
        assert (found.code, found.causes[0]) == (2, "expect-unmet")
    finally:
        servers.stop_all()
