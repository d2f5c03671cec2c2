"""When and where a request is admitted: tokens, forwarding, silence, damage, the transition."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from api_running import asynchronous
from api_server import connected, serving
from fake_access import MANAGEMENT, UNKNOWN, rights_of
from fake_server import NOW, FakeServer, answered

from quorate.acl.capability import Capability
from quorate.acl.rights import NOTHING
from quorate.api.app import HttpApplication, Plan
from quorate.api.gate.admission import SECRET_BYTES_MAX, secret_of
from quorate.api.http.messages import Request, Response
from quorate.api.internal import RpcApplication
from quorate.errors import NotReady, QuorateError, StateDamaged
from quorate.metrics import Metrics
from quorate.net.peer import Peer
from quorate.server.options import AclOptions

RAFT = b"/v1/operator/raft/configuration"
AUTOPILOT = b"/v1/operator/autopilot/configuration"
SELF = b"/v1/agent/self"
HEALTH = b"/v1/agent/health"
REMOVE = b"/v1/operator/raft/peer?id=13ab2eb1-3900-055b-76fa-4d364900687d"


def guarded(role: str = "leader") -> tuple[FakeServer, HttpApplication]:
    """A server with access control, and what answers at its port."""
    server = FakeServer("s3" if role == "leader" else "s2", role=role).write_defaults()
    server.access.turn_on()
    return server, server.application(control=False)


def get(target: bytes, token: str = "", *headers: tuple[bytes, bytes]) -> Request:
    return asking("GET", target, token, *headers)


def asking(method: str, target: bytes, token: str, *headers: tuple[bytes, bytes]) -> Request:
    given = ((b"x-nomad-token", token.encode()),) if token else ()
    return Request(method, target, (*given, *headers))


def told(answer: Response) -> tuple[int, str]:
    return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ((), ""),
        (((b"x-nomad-token", b" a-b "),), "a-b"),
        (((b"authorization", b"Bearer a-b"),), "a-b"),
        (((b"authorization", b"bEARER  a-b c"),), "a-b"),
        (((b"authorization", b"Basic a-b"),), ""),
        (((b"authorization", b"Bearer"),), ""),
        (((b"authorization", b"Bearer x"), (b"x-nomad-token", b"y")), "y"),
        (((b"authorization", b"Bearer x"), (b"x-nomad-token", b"  ")), "x"),
        (((b"x-nomad-token", b"\xff\x00"),), "\xff\x00"),
        (((b"x-nomad-token", b"z" * 10_000),), "z" * SECRET_BYTES_MAX),
    ],
)
def test_the_secret_of_a_request(headers: tuple[tuple[bytes, bytes], ...], secret: str) -> None:
    assert secret_of(headers) == secret


@asynchronous
async def test_what_is_wrong_with_parameters_comes_first() -> None:
    _, app = guarded()
    answer = await answered(app, asking("DELETE", b"/v1/operator/raft/peer", ""))
    assert answer.status == 400
    assert told(await answered(app, asking("DELETE", REMOVE, ""))) == (403, "Permission denied")


@asynchronous
async def test_a_token_that_is_gone_opens_nothing_any_more() -> None:
    server, app = guarded()
    token = server.access.give("t", rights_of(Capability.PEER_REMOVE))
    del server.access.tokens[token]
    assert told(await answered(app, asking("DELETE", REMOVE, token))) == (
        403,
        "ACL token not found",
    )
    late = server.access.give("late", rights_of(Capability.RAFT_READ), int(NOW * 1000))
    assert told(await answered(app, get(RAFT, late))) == (403, "ACL token expired")
    assert not server.removed


@asynchronous
async def test_a_write_waits_until_the_leader_knows_all_tokens() -> None:
    """One that has just been elected may lack what the leader before has written of them."""
    server, app = guarded()
    begun = iter((False, False, True))
    server.has_begun = lambda: next(begun, True)  # type: ignore[method-assign]  # of this leader
    for method, target in ((b"DELETE", REMOVE), (b"DELETE", b"/v1/namespace/team")):
        answer = await answered(app, asking(method.decode(), target, MANAGEMENT))
        assert answer.status == 200, answer.body
    assert server.removed


@pytest.mark.parametrize("role", ["follower", "leader"])
@asynchronous
async def test_a_token_that_was_just_made_is_soon_known(role: str) -> None:
    """At a follower, and at a leader that has not applied all that the one before has written."""
    server, app = guarded(role)
    server.has_begun = lambda: False  # type: ignore[method-assign]  # of this server
    rights = rights_of(Capability.MANAGEMENT)
    for target in (SELF, RAFT + b"?stale", b"/v1/operator/state"):
        loop = asyncio.get_running_loop()
        token = f"of-{target.decode()}"
        loop.call_later(0.03, server.access.give, token, rights)
        assert (await answered(app, get(target, token))).status == 200, target
    assert not server.forwarded
    began = asyncio.get_running_loop().time()
    assert told(await answered(app, get(SELF, UNKNOWN))) == (403, "ACL token not found")
    assert asyncio.get_running_loop().time() - began < 2


@asynchronous
async def test_without_a_word_of_the_leader_nothing_is_answered_by_token() -> None:
    server, app = guarded("follower")
    server.leader_application = guarded()[1]
    server.contact_ms = 30_001
    for target in (SELF, RAFT + b"?stale", b"/v1/operator/state"):
        answer = await answered(app, get(target, MANAGEMENT))
        assert answer.status == 503
        assert answer.body.startswith(b"this server has not heard the leader for 30 s")
        assert b"control.sock" in answer.header(b"x-quorate-next")
    for target in (HEALTH, b"/v1/status/leader?stale", RAFT):
        assert (await answered(app, get(target, MANAGEMENT))).status == 200
    server.contact_ms = 30_000
    assert (await answered(app, get(SELF, MANAGEMENT))).status == 200


@asynchronous
async def test_with_a_damaged_state_only_health_answers_at_the_port() -> None:
    server, app = guarded()
    server.access.problem = StateDamaged("the state here is not that of the others", "see it")
    targets = (SELF, RAFT, b"/v1/status/leader", b"/v1/regions", b"/v1/metrics", b"/v1/vars")
    for target in targets:
        assert (await answered(app, get(target, MANAGEMENT))).status == 503, target
    assert (await answered(app, get(HEALTH))).status == 200
    control = server.application()
    for target in (*targets, b"/v1/operator/raft/views"):
        assert (await answered(control, get(target))).status == 200, target


@asynchronous
async def test_the_control_socket_needs_no_token() -> None:
    server, app = guarded("follower")
    leader, _ = guarded()

    class Members:
        """Servers that have proven to be members."""

        member = True

        def door(self, peer: Peer | None) -> Members:
            del peer
            return self

        def problem(self) -> str:
            return ""

        def is_member(self, peer: Peer | None) -> bool:
            del peer
            return self.member

        def call_bytes_max(self, peer: Peer | None) -> int:
            del peer
            return 1024

        async def answer(self, verb: str, body: bytes, peer: Peer | None) -> bytes:
            raise AssertionError(verb, body, peer)

    members = Members()
    inner = RpcApplication(leader.parts(), Metrics(), lambda: NOW, Random(1), members)
    server.leader_application = inner
    assert (await answered(server.application(), get(RAFT))).status == 200
    assert (b"x-quorate-vouched", b"control") in server.forwarded[-1].headers
    # What a client says of itself is not passed on, nor believed.
    lie = (b"x-quorate-vouched", b"control")
    assert (await answered(app, get(RAFT, "", lie))).status == 403
    assert lie not in server.forwarded[-1].headers
    assert (await answered(leader.application(control=False), get(RAFT, "", lie))).status == 403
    members.member = False
    answer = await answered(inner, get(RAFT, "", lie))
    assert told(answer) == (
        403,
        "refused: only members of the cluster say how a request came to them",
    )


@pytest.mark.parametrize(
    ("near", "remote", "header", "vouched"),
    [
        (True, "127.0.0.1:5", (), b"host"),
        (True, "[::1]:5", (), b"host"),
        (True, "10.0.0.9:5", (), b""),
        (True, "127.0.0.1:5", ((b"x-forwarded-for", b"10.0.0.9"),), b""),
        (True, "127.0.0.1:5", ((b"x-forwarded-for", b""),), b""),
        (True, "127.0.0.1:5", ((b"forwarded", b"for=10.0.0.9"),), b""),
        (True, "127.0.0.1:5", ((b"via", b"1.1 proxy"),), b""),
        (True, "127.0.0.1:5", ((b"x-real-ip", b"10.0.0.9"),), b""),
        (True, "", (), b""),
        (False, "127.0.0.1:5", (), b""),
    ],
)
@asynchronous
async def test_a_request_of_this_machine_is_known_as_one(
    near: bool, remote: str, header: tuple[tuple[bytes, bytes], ...], vouched: bytes
) -> None:
    """Where all clients come by loopback, as behind a proxy, it says nothing."""
    server, _ = guarded("follower")
    server.options.acl = AclOptions(enabled=True, host_is_near=near)
    server.leader_application = guarded()[1]
    app = server.application(control=False)
    await answered(app, Request("GET", RAFT, header, remote=remote))
    assert dict(server.forwarded[0].headers).get(b"x-quorate-vouched", b"") == vouched


@asynchronous
async def test_requests_without_a_header_have_nothing_in_common() -> None:
    """They came over two connections, one of them from this machine."""
    server, _ = guarded("follower")
    server.options.acl = AclOptions(enabled=True, host_is_near=True)
    server.leader_application = guarded()[1]
    app = server.application(control=False)
    for remote in ("127.0.0.1:5", "10.0.0.9:5"):
        await answered(app, Request("GET", RAFT, (), remote=remote))
    vouched = [dict(each.headers).get(b"x-quorate-vouched", b"") for each in server.forwarded]
    assert vouched == [b"host", b""]


@asynchronous
async def test_a_token_goes_to_servers_that_have_proven_which_ones_they_are() -> None:
    server, _ = guarded("follower")
    west = FakeServer("s1", "west").write_defaults()
    west.access.turn_on()
    server.region_applications["west"] = west.application(control=False)
    bearer = (b"authorization", b"Bearer " + MANAGEMENT.encode())
    for proves, status in ((False, 403), (True, 200)):
        server.options.regions_prove = proves
        app = server.application(control=False)
        answer = await answered(app, get(RAFT + b"?region=west", "", bearer))
        assert answer.status == status
        sent = dict(server.forwarded[-1].headers)
        assert (sent.get(b"x-nomad-token") == MANAGEMENT.encode()) is proves
        assert b"authorization" not in sent


@asynchronous
async def test_in_the_transition_all_is_allowed_and_counted() -> None:
    server, app = guarded()
    access = server.access
    access.transition = True
    weak = access.give("weak", NOTHING)
    for token in ("", weak, weak, UNKNOWN, MANAGEMENT):
        assert (await answered(app, get(AUTOPILOT, token))).status == 200
    assert access.refusals.by_caller == {
        "anonymous": 1,
        "accessor-of-weak": 2,
        "unknown token": 1,
    }
    names = await answered(app, get(b"/v1/namespaces", UNKNOWN))
    assert b"default" in names.body
    assert "5 requests of 3 callers would have been refused" in access.refusals.warning()
    access.transition = False
    assert (await answered(app, get(AUTOPILOT, weak))).status == 403
    assert access.refusals.count == 5


@asynchronous
async def test_in_the_transition_the_whole_state_is_for_those_that_may() -> None:
    """It has the secrets of all tokens, and another one could bring a stranger's."""
    server, app = guarded()
    server.access.transition = True
    for method in ("GET", "PUT"):
        for token in ("", UNKNOWN, server.access.give("weak", NOTHING)):
            answer = await answered(app, asking(method, b"/v1/operator/snapshot", token))
            assert answer.status == 403, (method, token)
    saved = await answered(app, get(b"/v1/operator/snapshot", MANAGEMENT))
    assert saved.status == 200


@asynchronous
async def test_what_cannot_be_judged_is_not_taken_for_a_refusal() -> None:
    server, app = guarded()
    server.access.transition = True
    problems: list[QuorateError] = [NotReady(), StateDamaged("x", "y")]
    for problem in problems:
        server.access.problem = problem
        assert (await answered(app, get(SELF, MANAGEMENT))).status in {500, 503}
    assert server.access.refusals.count == 0


@asynchronous
async def test_tokens_are_not_looked_at_while_access_control_is_off() -> None:
    server = FakeServer().write_defaults()
    app = server.application(control=False)
    for target in (RAFT, SELF, b"/v1/vars"):
        assert (await answered(app, get(target, UNKNOWN))).status == 200
    assert server.access.asked == 0


@asynchronous
async def test_a_request_has_the_other_end_of_its_connection() -> None:
    server, app = guarded()
    server.options.acl = AclOptions(enabled=True, host_is_near=True)
    app = server.application(control=False)
    seen: list[str] = []
    begin = app.begin

    def noted(request: Request, plan: Plan, began: float) -> object:
        seen.append(request.remote)
        return begin(request, plan, began)

    app.begin = noted  # type: ignore[method-assign,assignment]  # to see what it is given
    async with serving(app) as served, connected(served.port) as client:
        port = client.writer.get_extra_info("sockname")[1]
        for target in ("/v1/regions", "/v1/regions", "/v1/var/a", "/v1/var/b", "/v1/agent/monitor"):
            await client.get(target)
    assert seen == [f"127.0.0.1:{port}"] * 5
