"""The events of real servers: a follower tells of a change and of an election, and resumes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from server_processes import Servers, running, until

from quorate.client import Client, ClientError, Event, Namespace

pytestmark = pytest.mark.process


class Reading(threading.Thread):
    """Reads the events of one server; after a lost connection it goes on where it was."""

    def __init__(self, address: str, index: int = 0) -> None:
        super().__init__(daemon=True)
        self.events: list[Event] = []
        self.ended = False
        self._client = Client(address)
        self._index = index

    def run(self) -> None:
        try:
            for event in self._client.events(index=self._index):
                self.events.append(event)
        except ClientError:
            self.ended = True

    def named(self, kind: str, key: str = "") -> list[Event]:
        """Those of that type, and key if one is given."""
        return [each for each in tuple(self.events) if each.type == kind and key in {"", each.key}]


def address(servers: Servers, number: int) -> str:
    return f"http://{servers.host(number)}:{servers.http[number]}"


def write(servers: Servers, number: int, *names: str) -> None:
    with Client(address(servers, number)) as client:
        for name in names:
            client.put_namespace(Namespace(name=name))


def at_level_three(servers: Servers, number: int) -> bool:
    with Client(address(servers, number)) as client:
        return client.upgrade_check().level >= 3


def test_a_follower_tells_of_a_change_and_of_an_election_and_resumes(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        leader = servers.leader()
        follower, other = (leader + 1) % 3, (leader + 2) % 3
        until(lambda: at_level_three(servers, leader), "feature level 3")
        reading = Reading(address(servers, follower))
        reading.start()
        write(servers, other, "before")
        until(lambda: reading.named("NamespaceUpserted", "before"), "the change at a follower")
        elections = len(reading.named("LeaderElected"))

        servers.kill(leader)
        until(lambda: len(reading.named("LeaderElected")) > elections, "the election")
        last = reading.named("LeaderElected")[-1].payload["Operator"]
        assert last["Cause"]
        assert last["Name"] in {f"s{follower}.global", f"s{other}.global"}
        write(servers, follower, "after")
        until(lambda: reading.named("NamespaceUpserted", "after"), "a change of the new leader")

        # The reader moves to the other server, and misses nothing.
        seen = tuple(reading.events)
        middle = seen[len(seen) // 2].index
        again = Reading(address(servers, other), middle + 1)
        again.start()
        wanted = [each for each in seen if each.index > middle]
        until(lambda: len(again.events) >= len(wanted), "the rest at the other server")
        assert [each.raw for each in again.events[: len(wanted)]] == [each.raw for each in wanted]
        assert not again.named("EventsMissed")

        # A restarted server tells what it still holds of the log; the killed one catches up.
        servers.start(leader)
        back = Reading(address(servers, leader), middle + 1)
        until(lambda: servers.ask(leader, "/v1/agent/health").status == 200, "the one restarted")
        back.start()
        until(lambda: back.named("NamespaceUpserted", "after"), "what it missed, told there too")
        found = [each.raw for each in back.events if each.type != "EventsMissed"]
        if not back.named("EventsMissed"):
            assert found[: len(wanted)] == [each.raw for each in wanted]
