"""Which changes make a server a member, and when a newcomer is fit to vote."""

from __future__ import annotations

import pytest

from quorate.errors import ChangeRefused
from quorate.raft.configuration import (
    Change,
    ChangeKind,
    Configuration,
    Server,
    Suffrage,
    next_configuration,
)
from quorate.server.cluster.identity import Identity
from quorate.server.cluster.joining import changes_for

A = Server("a", "10.0.0.1:4647")
B = Server("b", "10.0.0.2:4647")
C = Server("c", "10.0.0.3:4647", Suffrage.NONVOTER)


def identity(server_id: str, address: str) -> Identity:
    return Identity(
        id=server_id,
        name=server_id,
        region="global",
        datacenter="dc1",
        address=address,
        serf_port=4648,
        version="0",
    )


@pytest.mark.parametrize(
    ("joiner", "expected"),
    [
        pytest.param(("a", A.address), [], id="a voter where it was: nothing"),
        pytest.param(("c", C.address), [], id="a non-voter where it was: nothing"),
        pytest.param(
            ("d", "10.0.0.4:4647"),
            [Change(ChangeKind.ADD_NONVOTER, "d", "10.0.0.4:4647")],
            id="a new server: a non-voter first",
        ),
        pytest.param(
            ("b", "10.0.0.9:4647"),
            [Change(ChangeKind.ADD_NONVOTER, "b", "10.0.0.9:4647")],
            id="a changed address under the same id",
        ),
        pytest.param(
            ("d", B.address),
            [
                Change(ChangeKind.REMOVE_SERVER, "b"),
                Change(ChangeKind.ADD_NONVOTER, "d", B.address),
            ],
            id="another id at the address of a member: that one is gone",
        ),
    ],
)
def test_changes_for_a_joiner(joiner: tuple[str, str], expected: list[Change]) -> None:
    assert changes_for(Configuration((A, B, C)), identity(*joiner), {}) == expected


def test_servers_that_have_traded_places_keep_their_votes() -> None:
    live = {"a": C.address, "b": A.address, "c": B.address}
    (change,) = changes_for(Configuration((A, B, C)), identity("a", C.address), live)
    result = next_configuration(Configuration((A, B, C)), change)
    assert {s.id: s.address for s in result.servers} == live
    assert [(s.id, s.suffrage) for s in result.servers] == [(s.id, s.suffrage) for s in (A, B, C)]


@pytest.mark.parametrize("live", [{}, {"b": B.address}, {"b": C.address}])
def test_a_member_takes_no_place_of_which_nobody_knows_who_has_it(live: dict[str, str]) -> None:
    with pytest.raises(ChangeRefused, match=r"is still the address of [bc]"):
        changes_for(Configuration((A, B, C)), identity("a", B.address), live)


def test_a_newcomer_makes_a_member_that_has_moved_move() -> None:
    (change,) = changes_for(
        Configuration((A, B, C)), identity("d", B.address), {"b": "10.0.0.9:4647"}
    )
    result = next_configuration(Configuration((A, B, C)), change)
    assert result.by_address(B.address) == Server("d", B.address, Suffrage.NONVOTER)
    assert result.get("b") == Server("b", "10.0.0.9:4647")
