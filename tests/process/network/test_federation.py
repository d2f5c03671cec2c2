"""Five regions in one pool: any of them asked through any other, with regions that die, hang on
without a leader, or end under a request."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from server_processes import Answer, Servers, until

pytestmark = pytest.mark.process

REGIONS = ("north", "north", "north", "east", "south", "west", "centre")
"""Of server s0, s1, ...: one region of three, four of one."""
FIRST = {region: REGIONS.index(region) for region in reversed(REGIONS)}
NAMES = sorted(FIRST)


class Federation(Servers):
    """Servers of several regions. Each looks for its predecessor only; the pool tells the rest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, len(REGIONS))
        for number, region in enumerate(REGIONS):
            config = json.loads(self.config(number).read_text())
            before = f"127.0.0.1:{self.serf[number - 1]}"
            config["region"] = region
            config["server"] = {
                "enabled": True,
                "bootstrap_expect": REGIONS.count(region),
                "authoritative_region": "north",
                "server_join": {"retry_join": [before] if number else [], "retry_interval": "1s"},
            }
            self.config(number).write_text(json.dumps(config))

    def get(self, number: int, path: str, region: str, timeout_s: float = 30.0) -> Answer:
        mark = "&" if "?" in path else "?"
        return self.ask(number, f"/v1/{path}{mark}region={region}", timeout_s=timeout_s)

    def regions(self, number: int) -> list[str]:
        found: list[str] = self.ask(number, "/v1/regions").json
        return found

    def knows(self, number: int, regions: list[str]) -> bool:
        return self.regions(number) == regions

    def knows_all(self, number: int) -> bool:
        """A server takes requests of another region from members that it knows."""
        members = self.ask(number, "/v1/agent/members").json["Members"]
        return [member["Status"] for member in members] == ["alive"] * self.count

    def is_led(self, region: str) -> bool:
        return self.get(0, "status/leader", region).status == 200

    def addresses(self, region: str) -> set[str]:
        return {f"127.0.0.1:{self.rpc[n]}" for n, theirs in enumerate(REGIONS) if theirs == region}

    def cli(self, number: int, *words: str) -> subprocess.CompletedProcess[str]:
        address = f"-address=http://127.0.0.1:{self.http[number]}"
        return subprocess.run(
            [sys.executable, "-m", "quorate", *words, address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    servers = Federation(tmp_path)
    servers.start()
    try:
        for number in servers.processes:
            until(partial(servers.knows_all, number), f"s{number} to know all members")
        for region in NAMES:
            until(partial(servers.is_led, region), f"a leader of {region}")
        until(lambda: servers.voters() == 3, "three voters in the north")
        yield servers
    finally:
        servers.stop_all()
    for number in range(len(REGIONS)):
        assert "Traceback" not in servers.log(number), servers.log(number)


def test_parts_of_a_pool_meet_although_others_came_first(tmp_path: Path) -> None:
    """Who looks for a server that is not there yet goes on, whoever joins it meanwhile."""
    servers = Federation(tmp_path)
    try:
        servers.start(3, 4)  # s3 looks for s2 alone, s4 for s3
        until(partial(servers.knows, 3, ["east", "south"]), "s3 to be joined by s4")
        servers.start(2)
        for number in (2, 3, 4):
            three = ["east", "north", "south"]
            until(partial(servers.knows, number, three), f"s{number} to know s2, s3 and s4")
    finally:
        servers.stop_all()


def test_any_region_through_any_other_while_regions_are_lost(federation: Federation) -> None:
    servers = federation
    any_through_any(servers)
    a_write_changes_its_region_only(servers)
    namespaces_are_written_in_the_authoritative_region(servers, "north")
    a_forwarded_request_goes_no_further(servers)
    a_region_that_ends_under_a_request(servers, "centre")
    a_region_without_a_leader(servers, "north", asked=FIRST["east"])


def any_through_any(servers: Federation) -> None:
    for asked in range(len(REGIONS)):
        for region in NAMES:
            answer = servers.get(asked, "operator/raft/configuration", region)
            assert answer.status == 200, answer
            listed = {row["Address"] for row in answer.json["Servers"]}
            assert listed == servers.addresses(region)
            assert servers.get(asked, "status/leader", region).json in listed
    table = servers.cli(FIRST["south"], "server", "members")
    assert (table.returncode, table.stderr) == (0, "")
    assert len(table.stdout.splitlines()) == 1 + len(REGIONS)
    assert table.stdout.count(" true ") == len(NAMES)
    unknown = servers.get(0, "operator/raft/configuration", "nowhere")
    assert (unknown.status, unknown.text) == (500, "No path to region")


def a_write_changes_its_region_only(servers: Federation) -> None:
    path = "operator/scheduler/configuration"
    body = {"SchedulerAlgorithm": "spread"}
    answer = servers.ask(FIRST["west"], f"/v1/{path}?region=north", "PUT", body)
    assert answer.status == 200, answer
    algorithms = {
        region: servers.get(FIRST["east"], path, region).json["SchedulerConfig"][
            "SchedulerAlgorithm"
        ]
        for region in NAMES
    }
    assert algorithms == {**dict.fromkeys(NAMES, "binpack"), "north": "spread"}


def namespaces_are_written_in_the_authoritative_region(servers: Federation, region: str) -> None:
    """Whichever server is asked, and whichever region is named; they are not copied."""
    ways = {"one": (FIRST["west"], ""), "two": (FIRST["east"], "?region=south"), "three": (2, "")}
    for name, (asked, query) in ways.items():
        answer = servers.ask(asked, f"/v1/namespace{query}", "PUT", {"Name": name})
        assert answer.status == 200, answer

    def names(of: str) -> list[str]:
        return [row["Name"] for row in servers.get(FIRST["centre"], "namespaces", of).json]

    assert {of: names(of) for of in NAMES} == {
        **{other: ["default"] for other in NAMES},
        region: ["default", "one", "three", "two"],
    }
    assert servers.ask(FIRST["south"], "/v1/namespace/one", "DELETE").status == 200
    assert names(region) == ["default", "three", "two"]


def a_forwarded_request_goes_no_further(servers: Federation) -> None:
    command = ["curl", "-sS", "-H", "X-Quorate-Forwarded: region"]
    url = f"http://127.0.0.1:{servers.http[0]}/v1/status/leader?region=west"
    said = subprocess.run([*command, url], capture_output=True, text=True, timeout=20, check=True)
    assert said.stdout == "No path to region"


def a_region_that_ends_under_a_request(servers: Federation, region: str) -> None:
    """A waiting request is told in time; so are those that come before and after the pool knows."""
    asked, victim = FIRST["east"], FIRST[region]
    waiting = http.client.HTTPConnection("127.0.0.1", servers.http[asked], timeout=30)
    waiting.request("GET", f"/v1/namespaces?index=1000000&wait=60s&region={region}")
    # It went out before this one, on the same way; so it is there when this one is answered.
    assert servers.get(asked, "namespaces", region).status == 200
    servers.kill(victim)
    watch = servers.stopwatch()
    told = waiting.getresponse()
    assert (told.status, told.read().startswith(b"rpc error: ")) == (500, True)
    assert watch.seconds() < 5
    waiting.close()
    answer = servers.get(asked, "operator/raft/configuration", region)
    assert answer.status == 500
    assert answer.text.startswith(("rpc error: failed to get conn: dial tcp", "No path to region"))
    left = [name for name in NAMES if name != region]
    for number in servers.processes:
        until(partial(servers.knows, number, left), f"s{number} to miss {region}")
        gone = servers.get(number, "status/leader", region)
        assert (gone.status, gone.text) == (500, "No path to region")
    members = servers.cli(asked, "server", "members")
    assert members.returncode == 1
    assert len(members.stdout.splitlines()) == 1 + len(REGIONS) + 1
    assert members.stderr.rstrip("\n") == (
        "Error determining leaders: 1 error occurred:\n"
        f'\t* Region "{region}": Unexpected response code: 500 (No path to region)'
    )


def a_region_without_a_leader(servers: Federation, region: str, *, asked: int) -> None:
    """Its last server answers for itself, through the others too; the lists of the others go on."""
    last, *others = [n for n in servers.processes if REGIONS[n] == region]
    servers.kill(*others)

    def without() -> bool:
        answer = servers.get(asked, "status/leader", region)
        return (answer.status, answer.text) == (500, "rpc error: No cluster leader")

    until(without, f"{region} to have no leader", 40)
    assert region in servers.regions(asked)
    stale = servers.get(asked, "operator/raft/configuration?stale", region)
    assert stale.status == 200
    assert {row["Address"] for row in stale.json["Servers"]} == servers.addresses(region)
    assert servers.get(last, "operator/raft/configuration", "west").status == 200
    watch = servers.stopwatch()
    members = servers.cli(asked, "server", "members")
    assert watch.seconds() < 10
    assert members.returncode == 1
    assert len(members.stdout.splitlines()) == 1 + len(REGIONS) + 1
    assert f'* Region "{region}": Unexpected response code: 500 (rpc error: No cluster' in (
        members.stderr
    )
    list_peers = ("operator", "raft", "list-peers")
    assert servers.cli(asked, *list_peers, f"-region={region}", "-stale").returncode == 0
    for name in ("east", "south", "west"):
        assert servers.cli(last, *list_peers, f"-region={name}").returncode == 0
