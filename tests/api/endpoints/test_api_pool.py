"""Joining, leaving, coming back; what each server believes; and what is known of the absent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import IDS, FakeServer, answered, member, peer
from hypothesis import given
from hypothesis import strategies as st

from quorate.api.http.messages import Request, Response
from quorate.errors import ChangeRefused, GossipDisabled, QuorateError
from quorate.server.views.records import Versions
from quorate.shapes.operator import RaftConfiguration

JOIN = "/v1/agent/join"
LEAVE = "/v1/agent/force-leave"
REJOIN = "/v1/agent/rejoin"
VIEWS = "/v1/operator/raft/views"
REFUSED = "Failed to join 127.0.0.9: dial tcp 127.0.0.9:4648: connect: connection refused"


async def ask(service: FakeServer, method: str, target: str, body: bytes = b"") -> Response:
    request = Request(method, target.encode(), (), body)
    return await answered(service.application(), request)


async def asked_json(service: FakeServer, method: str, target: str) -> Any:
    response = await ask(service, method, target)
    assert response.status == 200
    return msgspec.json.decode(response.body)


# -- join ----------------------------------------------------------------------------------------


@asynchronous
async def test_one_that_is_reached_is_enough_and_the_others_are_told() -> None:
    service = FakeServer()
    service.unreachable["127.0.0.9"] = REFUSED
    got = await asked_json(service, "POST", f"{JOIN}?address=127.0.0.9&address=[::1]:4648")
    assert service.joined == ["127.0.0.9", "[::1]:4648"]
    warning = f"1 error occurred:\n\t* {REFUSED}\n\n"
    assert got == {"error": "", "num_joined": 1, "warning": warning}


@asynchronous
async def test_every_address_that_was_not_reached_is_told() -> None:
    service = FakeServer()
    service.unreachable |= {"a": "no a", "b": "no b"}
    got = await asked_json(service, "PUT", f"{JOIN}?address=a&address=b&address=")
    assert got["error"] == "2 errors occurred:\n\t* no a\n\t* no b\n\n"
    assert (got["num_joined"], got["warning"]) == (0, "")


# -- force-leave ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "prune"),
    [("", False), ("&prune=true", True), ("&prune", True), ("&prune=1", True), ("&prune=F", False)],
)
@asynchronous
async def test_force_leave(query: str, prune: bool) -> None:
    service = FakeServer()
    response = await ask(service, "PUT", f"{LEAVE}?node=s1.global{query}")
    assert (response.status, response.body, response.headers) == (200, b"", ())
    assert service.left == [("s1.global", prune)]


# -- rejoin --------------------------------------------------------------------------------------


@asynchronous
async def test_rejoin_says_under_which_id_and_where_the_old_data_are() -> None:
    got = await asked_json(FakeServer(), "PUT", REJOIN)
    assert got == {"ID": IDS["s2"], "MovedAside": "/data/server.removed-812"}


@asynchronous
async def test_rejoin_that_is_refused() -> None:
    service = FakeServer()
    service.pool_error = ChangeRefused("this server is a member", "there is nothing to do")
    response = await ask(service, "PUT", REJOIN)
    assert (response.status, response.body) == (409, b"this server is a member")
    assert response.header(b"x-quorate-next") == b"there is nothing to do"


# -- without gossip ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", f"{JOIN}?address=a"),
        ("PUT", f"{LEAVE}?node=a"),
        ("GET", "/v1/agent/keyring/list"),
        ("PUT", "/v1/agent/keyring/list?details"),
    ],
)
@asynchronous
async def test_a_fixed_list_of_servers_has_no_pool_to_act_on(method: str, target: str) -> None:
    service = FakeServer()
    service.pool_error = GossipDisabled()
    response = await ask(service, method, target)
    assert (response.status, response.body) == (501, b"gossip is not enabled on this server")
    assert b"server.gossip" in response.header(b"x-quorate-next")
    assert response.header(b"x-quorate-error") == b"gossip-disabled"


# -- where it is answered ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", f"{JOIN}?address=a&region=west"),
        ("PUT", f"{LEAVE}?node=a&region=west"),
        ("PUT", f"{REJOIN}?region=west"),
        ("GET", "/v1/agent/members?region=west"),
        ("GET", "/v1/agent/keyring/list?region=west"),
    ],
)
@pytest.mark.parametrize("role", ["leader", "follower", "lost"])
@asynchronous
async def test_the_agent_asked_acts_itself_leader_or_not(
    role: str, method: str, target: str
) -> None:
    service = FakeServer("s1", role=role)
    service.ring = ["k"]
    assert (await ask(service, method, target)).status == 200
    assert (service.forwarded, service.waits) == ([], 0)


# -- members and health --------------------------------------------------------------------------


def test_a_member_of_another_kind_shows_its_own_versions() -> None:
    service = FakeServer()
    other = msgspec.structs.replace(
        member("a", "global", "10.0.0.9", "leaving"),
        protocol=Versions(1, 4, 3),
        delegate=Versions(2, 4, 4),
    )
    service.pool = [other]
    response = service.application().handle(Request("GET", b"/v1/agent/members"))
    assert isinstance(response, Response)
    got = msgspec.json.decode(response.body)["Members"][0]
    assert [got[f"Protocol{end}"] for end in ("Min", "Max", "Cur")] == [1, 4, 3]
    assert [got[f"Delegate{end}"] for end in ("Min", "Max", "Cur")] == [2, 4, 4]
    assert got["Status"] == "leaving"


@pytest.mark.parametrize("role", ["follower", "lost"])
def test_health_says_that_this_server_was_removed(role: str) -> None:
    service = FakeServer("s2", role=role)
    service.problem = "removed from the cluster at index 812; run: quorate server rejoin"
    response = service.application().handle(Request("GET", b"/v1/agent/health"))
    assert isinstance(response, Response)
    assert response.status == 500
    assert msgspec.json.decode(response.body) == {
        "server": {"ok": False, "message": service.problem}
    }


# -- the Raft configuration ----------------------------------------------------------------------


def test_what_is_known_of_an_absent_server_comes_behind_what_clients_know() -> None:
    service = FakeServer()
    service.view = RaftConfiguration(
        index=9,
        servers=(
            peer("s3", "127.0.0.3:4647", leader=True, status="alive"),
            peer(
                "s1",
                "127.0.0.1:4647",
                leader=False,
                node="(unknown)",
                status="unknown",
                last_name="s1.global",
                last_contact="2026-11-23T14:40:00Z",
            ),
        ),
    )
    target = b"/v1/operator/raft/configuration"
    response = service.application().handle(Request("GET", target))
    assert isinstance(response, Response)
    alive, absent = msgspec.json.decode(response.body)["Servers"]
    known = ["Address", "ID", "Leader", "Node", "RaftProtocol", "Voter"]
    assert list(alive) == [*known, "Status"]
    assert list(absent) == [*known, "LastContact", "LastName", "Status"]
    assert (absent["Node"], absent["LastName"]) == ("(unknown)", "s1.global")
    assert (absent["Status"], absent["LastContact"]) == ("unknown", "2026-11-23T14:40:00Z")


# -- views ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["leader", "follower", "lost"])
@asynchronous
async def test_views_need_no_leader_and_name_who_did_not_answer(role: str) -> None:
    service = FakeServer("s2", role=role)
    service.unasked["s1.global"] = "no answer within 2 s"
    got = await asked_json(service, "GET", VIEWS)
    silent, second, third = got["Servers"]
    assert [one["Node"] for one in got["Servers"]] == ["s1.global", "s2.global", "s3.global"]
    assert (silent["Error"], silent["Configuration"]) == ("no answer within 2 s", None)
    assert (silent["ID"], silent["Address"]) == (IDS["s1"], "127.0.0.1:4647")
    assert (second["Error"], second["Role"], third["Role"]) == ("", "follower", "leader")
    assert second["Configuration"]["Index"] == 22
    assert second["Configuration"]["Servers"][0] == {
        "Address": "127.0.0.3:4647",
        "ID": IDS["s3"],
        "Voter": True,
    }
    assert list(second) == sorted(second)
    assert service.forwarded == []


@asynchronous
async def test_views_of_another_region_are_asked_there() -> None:
    west = FakeServer("s2", region="west", role="lost")
    service = FakeServer()
    service.region_applications["west"] = west.application()
    got = await asked_json(service, "GET", f"{VIEWS}?region=west")
    assert got["Servers"][0]["Node"] == "s1.global"
    assert len(service.forwarded) == 1
    unknown = await ask(service, "GET", f"{VIEWS}?region=north")
    assert (unknown.status, unknown.body) == (500, b"No path to region")
    service.region_errors = [QuorateError("EOF")]
    failed = await ask(service, "GET", f"{VIEWS}?region=west")
    assert (failed.status, failed.body) == (500, b"rpc error: EOF")


# -- abuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "text"),
    [
        ("PUT", JOIN, "missing address to join"),
        ("PUT", f"{JOIN}?address=", "missing address to join"),
        ("PUT", f"{JOIN}?Address=a", "missing address to join"),
        ("PUT", f"{JOIN}?address=%zz", "missing address to join"),
        ("PUT", LEAVE, "missing node to force leave"),
        ("PUT", f"{LEAVE}?node=", "missing node to force leave"),
        ("PUT", f"{LEAVE}?node=&node=b", "missing node to force leave"),
        ("PUT", f"{LEAVE}?node=a&prune=maybe", "invalid prune value"),
        ("PUT", f"{LEAVE}?node=a&prune=maybe&prune=true", "invalid prune value"),
        ("GET", f"{VIEWS}?stale=maybe", "Expect `true` or `false` for `stale`"),
        ("GET", f"{VIEWS}?index=x", "Invalid index"),
    ],
)
@asynchronous
async def test_a_bad_parameter_is_named_and_nothing_is_done(
    method: str, target: str, text: str
) -> None:
    service = FakeServer()
    response = await ask(service, method, target, b"{}")
    assert response.status == 400
    assert response.body.decode().startswith(text)
    assert (service.joined, service.left) == ([], [])


@asynchronous
async def test_of_a_repeated_name_the_first_counts() -> None:
    service = FakeServer()
    await ask(service, "PUT", f"{LEAVE}?node=a&node=b&prune=false&prune=true")
    assert service.left == [("a", False)]


@asynchronous
async def test_as_many_addresses_as_a_call_may_have_and_no_longer_target() -> None:
    service = FakeServer()
    many = "&".join(["address=a"] * 32)
    assert (await asked_json(service, "PUT", f"{JOIN}?{many}"))["num_joined"] == 32
    longer = await ask(service, "PUT", f"{JOIN}?address={'a' * 9000}")
    assert longer.status == 414
    assert len(service.joined) == 32


@pytest.mark.parametrize("body", [b"{", b"\x00\xff", b"null", b"[" * 5000, b"x" * 100_000])
@pytest.mark.parametrize("target", [f"{JOIN}?address=a", f"{LEAVE}?node=a", REJOIN])
@asynchronous
async def test_bodies_are_not_looked_at(target: str, body: bytes) -> None:
    assert (await ask(FakeServer(), "PUT", target, body)).status == 200


@given(
    st.sampled_from([JOIN, LEAVE, REJOIN, VIEWS, "/v1/agent/servers"]),
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    st.binary(max_size=60),
    st.binary(max_size=60),
)
def test_nothing_sent_is_a_mistake_of_ours(
    path: str, method: str, query: bytes, body: bytes
) -> None:
    @asynchronous
    async def test() -> None:
        request = Request(method, path.encode() + b"?" + query, (), body)
        response = await answered(FakeServer().application(), request)
        assert response.status in {200, 400, 405, 414, 500, 501}
        assert not response.body.startswith(b"internal error")

    test()
