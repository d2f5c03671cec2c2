"""Strangers at the RPC port cost members no connection, and the process no descriptor."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from net_servers import End, members, until
from patience import PATIENCE_S

from quorate.net.admission import FEWEST_STRANGERS, Admission
from quorate.net.port import RpcPort

TOTAL = 64


class Held:
    """A connection that does what it is told, a moment later."""

    def __init__(self) -> None:
        self.ended = False

    def make_room(self) -> None:
        self.ended = True


def test_strangers_hold_their_part_and_the_first_goes() -> None:
    admission = Admission(total=TOTAL)
    crowd = [Held() for _ in range(200)]
    for number, each in enumerate(crowd):
        assert admission.admit(f"10.0.0.{number}", each) == ""
    assert [each.ended for each in crowd] == [True] * (200 - TOTAL // 2) + [False] * (TOTAL // 2)
    for each in crowd[: 200 - TOTAL // 2]:
        admission.gone(each)
    assert admission.count == TOTAL // 2


def test_members_are_bounded_too_and_never_end_for_a_stranger() -> None:
    admission = Admission(total=TOTAL)
    known = [Held() for _ in range(TOTAL)]
    for each in known:
        assert admission.admit("10.0.0.1", each) == ""
        admission.is_member(each)
    newcomer = Held()
    assert "as many connections of members" in admission.admit("10.0.0.2", newcomer)
    assert not any(each.ended for each in known)
    admission.gone(known[0])
    assert admission.admit("10.0.0.2", newcomer) == ""


def test_the_bound_of_one_address_and_no_bounds() -> None:
    admission = Admission(per_host=2, total=0)
    crowd = [Held() for _ in range(3)]
    assert [bool(admission.admit("10.0.0.1", each)) for each in crowd] == [False, False, True]
    assert admission.admit("10.0.0.2", crowd[2]) == ""
    free = Admission()
    assert not any(free.admit("10.0.0.1", Held()) for _ in range(5 * FEWEST_STRANGERS))


def test_what_a_member_passes_on_keeps_nothing_else_of_it_out() -> None:
    """Requests that wait hold a connection each; Raft needs one more, from the same address."""
    admission = Admission(per_host=2)
    passed_on = [Held() for _ in range(50)]
    for each in passed_on:
        assert admission.admit("10.0.0.1", each) == ""
        admission.is_member(each)
    strangers = [Held() for _ in range(3)]
    assert [bool(admission.admit("10.0.0.1", each)) for each in strangers] == [False, False, True]
    admission.gone(strangers[0])
    assert admission.admit("10.0.0.1", strangers[2]) == ""
    for each in (*passed_on, *strangers[1:]):
        admission.gone(each)
    assert admission.count == 0
    assert not any(admission.admit("10.0.0.1", each) for each in strangers[:2])


def test_a_member_gets_in_while_strangers_hold_all_there_is() -> None:
    async def scenario() -> None:
        a, b = End("a"), End("b")
        port = a.port
        a.port = RpcPort(
            trust=a.trust,
            raft=port.raft,
            http=port.http,
            refused=port.refused,
            handshake_timeout_s=60.0,
            connections_max=0,
            connections_total=TOTAL,
        )
        for end in (a, b):
            await end.listen()
        members(a, b)
        host, _, number = a.address.rpartition(":")
        strangers = [await asyncio.open_connection(host, int(number)) for _ in range(3 * TOTAL)]
        await until(lambda: a.port.admission.count <= TOTAL)
        for _ in range(3):
            connection, peer = await b.dial(a.address, "a")
            assert peer is not None
            connection.transport.write(b"\x02hello")
            await until(lambda c=connection: c.got == b"HELLO")
        # Later ones take nothing from a member.
        strangers += [await asyncio.open_connection(host, int(number)) for _ in range(TOTAL)]
        await until(lambda: a.port.admission.count <= TOTAL)
        for each in b.dialed:
            each.got = b""
            each.transport.write(b"still")
            await until(lambda c=each: c.got == b"STILL")
        assert any("too many of no members" in line for line in a.said)
        for _, writer in strangers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        for end in (a, b):
            await end.close()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))
