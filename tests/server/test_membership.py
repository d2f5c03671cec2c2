"""Whom a leader takes in: nobody who is on the way out, and nobody who could belong elsewhere."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from quorate.raft.configuration import Configuration, Server
from quorate.server.cluster.directory import ALIVE, Directory
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.cluster.membership import Membership
from quorate.state.store import StateStore

ME = Identity(
    id="a",
    name="s1",
    region="global",
    datacenter="dc1",
    address="10.0.0.1:4647",
    serf_port=4648,
    version="0",
    cluster_id="ours",
)
NEW = msgspec.structs.replace(ME, id="n", name="s9", address="10.0.0.9:4647", cluster_id="")
STRANGER = msgspec.structs.replace(ME, id="t", name="t1", address="10.1.0.1:4647", cluster_id="t")


def asked(joiner: Identity, *pool: Identity) -> JoinAnswer:
    """What the leader of a cluster of one answers, that has these in its pool."""
    directory = Directory(ME, fail_after_s=None)
    for other in pool:
        directory.seen(other, ALIVE, 0.0)
    node = SimpleNamespace(
        configuration=Configuration((Server("a", ME.address),)), cluster_id="ours"
    )
    replica = SimpleNamespace(is_leader=True, node=node)

    async def apply(command: bytes) -> tuple[int, Any]:
        raise AssertionError(command)

    membership = Membership(
        replica=cast("Any", replica), state=StateStore(), directory=directory, apply=apply
    )
    return asyncio.run(membership.take_in(joiner))


@pytest.mark.parametrize(
    ("joiner", "pool", "why"),
    [
        (msgspec.structs.replace(NEW, leaving=True), (), "it is leaving"),
        (NEW, (STRANGER,), "servers of another cluster in this pool (t1.global)"),
        (STRANGER, (), "belongs to cluster t, not ours"),
        (msgspec.structs.replace(NEW, region="west"), (), "of region 'west'"),
    ],
)
def test_who_is_not_taken_in(joiner: Identity, pool: tuple[Identity, ...], why: str) -> None:
    answer = asked(joiner, *pool)
    assert not answer.member
    assert why in answer.why
