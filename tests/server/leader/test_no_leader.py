"""Why nobody leads, in words."""

from __future__ import annotations

import msgspec
import pytest

from quorate.pool.refusals import Told
from quorate.raft.values.configuration import Configuration, Server
from quorate.server.cluster.directory import ALIVE, FAILED, Known
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.no_leader import KNOWN_S, known_reasons, why_no_leader
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
ENOUGH = (
    "no leader: 2 of 2 voters are here (s1.global, s2.global), which are enough (2 are needed), "
    "and they elect none: "
)
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
            ENOUGH + "nothing is known here of why; an election may be under way, or they do not "
            "reach each other's RPC ports: see quorate operator diagnose",
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


def test_where_enough_are_here_it_says_what_keeps_them_from_electing_one() -> None:
    """As with certificates that the others refuse: gossip sees all, and none is elected."""
    pool = [Known(A, 0.0), Known(B, 0.0, ALIVE)]
    why = "TLS handshake: its certificate is refused: certificate has expired"
    told = [
        Told("10.0.0.2:4647", why, 9, 0.5),
        Told("10.0.0.9", "garbage", 1, KNOWN_S + 1.0),
    ]
    reasons = known_reasons(told, "TLS: the certificate was revoked")
    text = why_no_leader(MEMBERS, A, pool, StateStore(TODAY), reasons)
    assert text == (f"{ENOUGH}TLS: the certificate was revoked; 10.0.0.2:4647: {why}")
    # Where too few are here that is the reason.
    alone = why_no_leader(MEMBERS, A, pool[:1], StateStore(TODAY), reasons)
    assert alone == ALONE + "(b at 10.0.0.2:4647)"
