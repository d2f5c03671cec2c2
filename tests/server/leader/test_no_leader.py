"""Why nobody leads, in words."""

from __future__ import annotations

import msgspec
import pytest

from quorate.raft.values.configuration import Configuration, Server
from quorate.server.cluster.directory import ALIVE, FAILED, Known
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.no_leader import why_no_leader
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.servers import RecordServer

A = Identity(
    id="a",
    name="s1",
    region="global",
    datacenter="dc1",
    address="10.0.0.1:4647",
    serf_port=4648,
    version="0",
    cluster_id="ours",
    initialised=True,
)
B = msgspec.structs.replace(A, id="b", name="s2", address="10.0.0.2:4647")
NEW = msgspec.structs.replace(B, id="n", cluster_id="", initialised=False)
STRANGER = msgspec.structs.replace(B, cluster_id="theirs")
MEMBERS = Configuration((Server("a", A.address), Server("b", B.address)))
ALONE = "no leader: 1 of 2 voters are here (s1.global), and 2 are needed; missing: "

WITHOUT_DATA = (
    "(b at 10.0.0.2:4647); without data, and so no help: s2.global "
    "(a server with an empty data folder is a new one)"
)
OF_ANOTHER = "(b at 10.0.0.2:4647); of another cluster than ours: s2.global (cluster theirs)"


@pytest.mark.parametrize(
    ("other", "status", "named", "expected"),
    [
        (
            B,
            ALIVE,
            False,
            "no leader: 2 of 2 voters are here (s1.global, s2.global), and 2 are needed",
        ),
        (B, FAILED, False, ALONE + "(b at 10.0.0.2:4647)"),
        (B, FAILED, True, ALONE + "s2.global (b at 10.0.0.2:4647)"),
        (
            NEW,
            ALIVE,
            False,
            ALONE + WITHOUT_DATA,
        ),
        (
            STRANGER,
            ALIVE,
            False,
            ALONE + OF_ANOTHER,
        ),
        (msgspec.structs.replace(NEW, region="west"), ALIVE, False, ALONE + "(b at 10.0.0.2:4647)"),
    ],
)
def test_in_words(other: Identity, status: str, named: bool, expected: str) -> None:
    store = StateStore(TODAY)
    if named:
        command = RecordServer(server_id="b", name="s2.global", address=B.address)
        store.apply(1, encode(command))
    pool = [Known(A, 0.0), Known(other, 0.0, status)]
    assert why_no_leader(MEMBERS, A, pool, store) == expected
