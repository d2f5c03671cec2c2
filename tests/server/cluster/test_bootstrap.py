"""A cluster is founded by unanimous promise, and by one proposal only."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from quorate.errors import QuorateError
from quorate.server.cluster.founding import Bootstrap, Promise, Proposal
from quorate.server.cluster.identity import Identity


class Founder:
    """One server that holds no data yet, reachable under its address."""

    def __init__(self, world: World, name: str, expect: int) -> None:
        self.identity = Identity(
            id=name,
            name=name,
            region="global",
            datacenter="dc1",
            address=f"{name}:4647",
            serf_port=4648,
            version="0",
            expect=expect,
        )
        self.founded: Proposal | None = None
        self.met: list[Identity] = []
        self.bootstrap = Bootstrap(
            me=lambda: self.identity,
            found=self._found,
            met=lambda: self.met,
            key_of=lambda founder: world.keys[founder.id],
        )
        self.world = world

    async def _found(self, proposal: Proposal) -> None:
        self.founded = proposal
        self.identity = msgspec.structs.replace(
            self.identity, initialised=True, cluster_id=proposal.cluster_id
        )

    async def lead(self, *names: str) -> None:
        founders = [self.world.servers[name].identity for name in names]
        await self.bootstrap.lead(founders, self.world)  # type: ignore[arg-type]  # the fake


class World:
    """Stands for the network: calls reach the server of that address, unless it is down."""

    def __init__(self, expect: int, *names: str) -> None:
        self.servers = {name: Founder(self, name, expect) for name in names}
        self.down: set[str] = set()
        self.keys = {name: name.encode() * 32 for name in names}

    async def call(
        self, address: str, verb: str, argument: Any, _: type, *, server_id: str = ""
    ) -> Promise:
        name = address.partition(":")[0]
        assert server_id == self.servers[name].identity.id
        if name in self.down:
            raise QuorateError("connection refused")
        bootstrap = self.servers[name].bootstrap
        if verb == "bootstrap-promise":
            return bootstrap.promise(argument)
        return await bootstrap.commit(argument)

    def founded(self) -> dict[str, str]:
        return {n: s.founded.cluster_id for n, s in self.servers.items() if s.founded}


def test_all_founders_write_the_same() -> None:
    world = World(3, "a", "b", "c")
    asyncio.run(world.servers["a"].lead("a", "b", "c"))
    proposals = {s.founded for s in world.servers.values()}
    assert len(proposals) == 1
    founded = proposals.pop()
    assert founded is not None
    servers = founded.configuration().servers
    assert [server.id for server in servers] == ["a", "b", "c"]
    assert [server.key for server in servers] == [b"a" * 32, b"b" * 32, b"c" * 32]


def test_a_founder_of_the_first_version_has_no_key() -> None:
    world = World(2, "a", "b")
    world.keys["b"] = b""
    asyncio.run(world.servers["a"].lead("a", "b"))
    founded = world.servers["b"].founded
    assert founded is not None
    assert [server.key for server in founded.configuration().servers] == [b"a" * 32, b""]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"keys": (("b", b"x" * 32),)}, "is not in the proposal with its key"),
        ({"keys": (("b", b"short"),)}, "keys that are none"),
        ({"servers": (("a", "nonsense"), ("b", "b:4647"))}, "is not host:port"),
        ({"servers": (("b", "b:4647"), ("b", "c:4647"))}, "found duplicate id"),
    ],
)
def test_a_proposal_that_must_not_be_written_is_refused(changes: dict[str, Any], why: str) -> None:
    world = World(2, "a", "b")
    good = Proposal(
        proposer="a",
        cluster_id="c",
        region="global",
        servers=(("a", "a:4647"), ("b", "b:4647")),
    )
    asked = world.servers["b"].bootstrap
    bad = msgspec.structs.replace(good, **changes)
    try:
        said = asked.promise(bad).why
    except QuorateError as error:
        said = error.text
    assert why in said
    assert asked.promise(good) == Promise()


@pytest.mark.parametrize("order", list(itertools.permutations("ab")))
def test_overlapping_proposals_found_one_cluster(order: tuple[str, ...]) -> None:
    world = World(3, "a", "b", "c", "d")
    sets = {"a": ("a", "b", "c"), "b": ("b", "c", "d")}
    for proposer in order:
        try:
            asyncio.run(world.servers[proposer].lead(*sets[proposer]))
        except QuorateError:
            continue
    assert len(set(world.founded().values())) == 1


def test_nothing_is_founded_while_one_founder_is_silent() -> None:
    world = World(3, "a", "b", "c")
    world.down.add("c")
    with pytest.raises(QuorateError, match="refused"):
        asyncio.run(world.servers["a"].lead("a", "b", "c"))
    assert world.founded() == {}
    world.down.clear()
    asyncio.run(world.servers["a"].lead("a", "b", "c"))
    assert set(world.founded()) == {"a", "b", "c"}


def test_whoever_holds_data_promises_nothing() -> None:
    world = World(3, "a", "b", "c", "d", "e")
    asyncio.run(world.servers["a"].lead("a", "b", "c"))
    with pytest.raises(QuorateError, match="belongs to cluster"):
        asyncio.run(world.servers["d"].lead("d", "e", "c"))
    assert "d" not in world.founded()


def test_whoever_has_met_a_cluster_promises_nothing() -> None:
    world = World(2, "a", "b", "old")
    world.servers["b"].met.append(world.servers["old"].identity)
    with pytest.raises(QuorateError, match=r"b\.global has met old\.global"):
        asyncio.run(world.servers["a"].lead("a", "b"))
    assert world.founded() == {}


def test_a_differing_expectation_is_refused_with_both_numbers() -> None:
    world = World(3, "a", "b", "c")
    world.servers["c"].identity = msgspec.structs.replace(world.servers["c"].identity, expect=5)
    with pytest.raises(QuorateError, match="expects 5 servers, not 3"):
        asyncio.run(world.servers["a"].lead("a", "b", "c"))


def test_a_commit_that_was_not_promised_changes_nothing() -> None:
    world = World(1, "a")
    proposal = Proposal(proposer="z", cluster_id="x", region="global", servers=(("a", "a:4647"),))
    answer = asyncio.run(world.servers["a"].bootstrap.commit(proposal))
    assert "has not promised" in answer.why
    assert world.founded() == {}
