"""Who may ask what of a server over its RPC port: every call, for every kind of sender."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from net_servers import CLUSTER, End, members

from quorate.errors import QuorateError
from quorate.net.peer import Peer
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import Epoch, Start
from quorate.server.rpc.answers import Answers
from quorate.server.rpc.gate import Gate

VERBS = sorted(Answers.verbs())
ALL = set(VERBS)
JOIN = {"greet", "join", "rejoin"}
FOUND = JOIN | {"bootstrap-promise", "bootstrap-commit"}
BUT_FOUND = ALL - {"bootstrap-promise", "bootstrap-commit"}


class Regions:
    """Server w of region west is alive in the pool."""

    def lives(self, server_id: str, region: str) -> bool:
        return (server_id, region) == ("w", "west")


class Senders:
    """Server a of a, b and c, which b leads, as it sees others."""

    def __init__(self, *, founded: bool = True, lenient: bool = False) -> None:
        self.a, self.b, self.c = (End(name, lenient=lenient) for name in "abc")
        for number, end in enumerate((self.a, self.b, self.c), start=1):
            end.address = f"10.0.0.{number}:4647"
        members(self.a, self.b, self.c)
        if not founded:
            self.a.configuration = Configuration()
        self.gate = Gate(
            trust=self.a.trust,
            region="global",
            me=lambda: SimpleNamespace(id="a", initialised=founded),  # type: ignore[arg-type, return-value]
            leader_id=lambda: "b" if founded else "",
            regions=Regions(),
        )

    def sender(self, kind: str) -> Peer | None:
        """One of that kind, which has proven its key."""
        match kind:
            case "leader":
                return self.b.trust.myself()
            case "member":
                return self.c.trust.myself()
            case "another key":
                thief = End("c")
                thief.address = self.c.address
                return thief.trust.myself()
            case "another epoch" | "old copy":
                peer = self.c.trust.myself()
                self.a.starts.note_starts({"c": self.c.record.start})
                change: dict[str, Any] = {"epoch": Epoch(1, bytes(16))}
                if kind == "old copy":
                    change = {"start": End("c", number=0).record.start}
                record = msgspec.structs.replace(peer.record, **change)
                return msgspec.structs.replace(peer, record=record)
            case "of west" | "of west, not in the pool":
                end = End("w" if kind == "of west" else "x", cluster_id=CLUSTER[:-1] + "b")
                end.address = "10.1.0.1:4647"
                return msgspec.structs.replace(end.trust.myself(), region="west")
            case "stranger":
                end = End("stranger", cluster_id="")
                end.address = "10.2.0.1:4647"
                return end.trust.myself()
        assert kind == "without proof"
        return None


async def may(senders: Senders, kind: str) -> tuple[set[str], bool]:
    """The calls that this sender may make, and whether the public API is for it."""
    peer, allowed = senders.sender(kind), set()
    for verb in VERBS:
        with suppress(QuorateError):
            senders.gate.check(verb, peer)
            allowed.add(verb)
    return allowed, not senders.gate.public_problem(peer)


@pytest.mark.parametrize(
    ("kind", "calls", "public"),
    [
        ("leader", BUT_FOUND, True),
        ("member", BUT_FOUND - {"state-verdict"}, True),
        ("another key", JOIN, False),
        ("another epoch", JOIN, False),
        ("old copy", JOIN, False),
        ("of west", {"greet"}, True),
        ("of west, not in the pool", {"greet"}, False),
        ("stranger", JOIN, False),
        ("without proof", {"greet"}, False),
    ],
)
def test_a_server_of_a_cluster(kind: str, calls: set[str], *, public: bool) -> None:
    async def ask() -> tuple[set[str], bool]:
        return await may(Senders(), kind)

    assert asyncio.run(ask()) == (calls, public)


@pytest.mark.parametrize(
    ("kind", "calls"),
    [("stranger", FOUND), ("of west", {"greet"}), ("without proof", {"greet"})],
)
def test_a_server_without_a_configuration(kind: str, calls: set[str]) -> None:
    async def ask() -> tuple[set[str], bool]:
        return await may(Senders(founded=False), kind)

    assert asyncio.run(ask())[0] == calls


CHANGES = ("start", "older start", "leave", "join", "key", "epoch", "former epoch", "no record")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(CHANGES), max_size=8),
    st.sampled_from(("member", "member", "member", "of west", "stranger", "without proof")),
    st.booleans(),
)
@example(["start"], "member", False)
@example(["leave"], "member", False)
@example(["epoch"], "member", False)
def test_a_connection_is_judged_as_if_it_were_asked_for_each_request(
    changes: list[str], kind: str, lenient: bool
) -> None:
    async def ask() -> None:
        senders = Senders(lenient=lenient)
        a, peer = senders.a, senders.sender(kind)
        door, before = senders.gate.door(peer), a.configuration
        for change in ("", *changes):
            match change:
                case "start":
                    a.starts.note_starts({"c": Start(peer.record.start.number + 1 if peer else 1)})
                case "older start":
                    a.starts.note_starts({"c": Start(0, b"older")})
                case "leave":
                    others = tuple(each for each in before.servers if each.id != "c")
                    a.configuration = Configuration(others)
                case "join":
                    a.configuration = Configuration(before.servers)
                case "key" | "no record":
                    key = b"other" if change == "key" else b""
                    servers = (msgspec.structs.replace(each, key=key) for each in before.servers)
                    a.configuration = Configuration(tuple(servers))
                case "epoch" | "former epoch":
                    epoch = Epoch(1, bytes(16)) if change == "epoch" else Epoch()
                    a.record = msgspec.structs.replace(a.record, epoch=epoch)
            for _ in range(2):
                assert door.problem() == senders.gate.public_problem(peer), (change, changes)

    asyncio.run(ask())


def test_at_level_0_a_server_that_proves_nothing_may_all() -> None:
    async def ask() -> tuple[set[str], bool]:
        return await may(Senders(lenient=True), "without proof")

    assert asyncio.run(ask()) == (ALL, True)
