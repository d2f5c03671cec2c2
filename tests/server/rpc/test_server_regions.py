"""The way to another region: one server gets the request, and only those that were not reached
are passed over."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from quorate.errors import NoPathToRegion, NotReached, QuorateError
from quorate.server.cluster.directory import Directory
from quorate.server.cluster.identity import Identity
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse
from quorate.server.rpc.regions import forward_to_region

ME = Identity(
    id="me",
    name="s1",
    region="global",
    datacenter="dc1",
    address="10.0.0.1:4647",
    serf_port=4648,
    version="0",
)
WEST = tuple(
    msgspec.structs.replace(ME, id=f"w{n}", name=f"w{n}", region="west", address=f"10.1.0.{n}:4647")
    for n in range(1, 5)
)
REQUEST = ForwardRequest(method="PUT", target="/", headers=(), body=b"{}", timeout_s=1.0)


class Network:
    """Answers from the servers of `up`; those of `broken` end the connection under the request."""

    def __init__(self, *, up: set[str], broken: set[str]) -> None:
        self.up, self.broken = up, broken
        self.got: list[str] = []
        self.tried: list[str] = []

    async def request(
        self, address: str, request: ForwardRequest, server_id: str = ""
    ) -> ForwardResponse:
        assert request is REQUEST
        self.tried.append(address)
        if address in self.broken:
            self.got.append(address)
            raise QuorateError("EOF")
        if address not in self.up:
            raise NotReached("connection refused")
        self.got.append(address)
        return ForwardResponse(status=200, headers=(), body=address.encode())


def ask(network: Network, servers: tuple[Identity, ...] = WEST) -> ForwardResponse:
    directory = Directory(ME, fail_after_s=5.0)
    for server in servers:
        directory.heard(server, 1.0)
    return asyncio.run(forward_to_region("west", REQUEST, directory=directory, http=network))


@pytest.mark.parametrize("_", range(20))
def test_who_is_not_reached_is_passed_over(_: int) -> None:
    network = Network(up={WEST[0].address, WEST[3].address}, broken=set())
    assert ask(network).body.decode() == network.got[0]
    assert len(network.got) == 1
    assert len(network.tried) == len(set(network.tried)) <= 3


@pytest.mark.parametrize("_", range(20))
def test_who_may_have_got_it_is_the_last_one_asked(_: int) -> None:
    everywhere = {server.address for server in WEST}
    network = Network(up=set(), broken=everywhere)
    with pytest.raises(QuorateError, match="EOF"):
        ask(network)
    assert len(network.got) == 1


def test_when_nobody_is_reached_the_asker_is_told_why_after_three_tries() -> None:
    network = Network(up=set(), broken=set())
    with pytest.raises(NotReached, match="connection refused"):
        ask(network)
    assert len(set(network.tried)) == len(network.tried) == 3


def test_no_path() -> None:
    network = Network(up=set(), broken=set())
    with pytest.raises(NoPathToRegion, match=r"^No path to region$"):
        ask(network, ())
    foreign = msgspec.structs.replace(WEST[0], is_ours=False)
    with pytest.raises(NoPathToRegion, match=r"its servers are Nomad's: ask w1\.west itself"):
        ask(network, (foreign,))
    assert not network.tried


def test_servers_of_ours_answer_for_a_region_that_has_others_too() -> None:
    foreign = tuple(msgspec.structs.replace(server, is_ours=False) for server in WEST[1:])
    network = Network(up={server.address for server in WEST}, broken=set())
    ask(network, (WEST[0], *foreign))
    assert network.got == [WEST[0].address]
