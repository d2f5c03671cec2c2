"""Who answers: the lease, the barrier, the leader, another region; and what is never repeated."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from api_running import asynchronous, until
from fake_server import FakeServer, answered, peer
from stopwatch import Stopwatch

import quorate.api.consistency
from quorate.api.codec.params import Query
from quorate.api.consistency import (
    FORWARDED_HEADER,
    TO_LEADER,
    TO_REGION,
    ForwardError,
    forward_request,
    passed_back,
)
from quorate.api.http.messages import Call, Request, Response
from quorate.api.http.streams import BodyStream, Message
from quorate.errors import (
    ApplyTimeout,
    ChangeRefused,
    LeadershipLost,
    NotBegun,
    NotLeader,
    NotReached,
    NotReady,
    QuorateError,
    StateDamaged,
    StorageFull,
)
from quorate.server.rpc.forwarding import ForwardResponse
from quorate.shapes.operator import RaftConfiguration
from quorate.state.tables import autopilot

CONFIGURATION = b"/v1/operator/raft/configuration"
AUTOPILOT = b"/v1/operator/autopilot/configuration"
LEADER = b"/v1/status/leader"


@pytest.fixture(autouse=True)
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorate.api.consistency, "HOLD_S", 0.25)


def get(target: bytes, *headers: tuple[bytes, bytes]) -> Request:
    return Request("GET", target, headers)


def put(body: bytes = b'{"MinQuorum":3}', target: bytes = AUTOPILOT) -> Request:
    return Request("PUT", target, (), body)


def pair() -> tuple[FakeServer, FakeServer]:
    """A follower, and the leader it forwards to."""
    leader = FakeServer("s3").write_defaults()
    follower = FakeServer("s2", role="follower").write_defaults()
    follower.leader_application = leader.application()
    return follower, leader


# -- on the leader -------------------------------------------------------------------------------


def test_with_a_valid_lease_a_read_is_answered_without_an_await() -> None:
    service = FakeServer()
    assert isinstance(service.application().handle(get(CONFIGURATION)), Response)
    assert service.barriers == 0


@asynchronous
async def test_without_a_lease_a_read_passes_the_barrier() -> None:
    service = FakeServer()
    service.lease = False
    response = await answered(service.application(), get(CONFIGURATION))
    assert (response.status, service.barriers) == (200, 1)


@asynchronous
async def test_the_answer_is_of_the_moment_after_the_barrier() -> None:
    """What was applied while the barrier was waited for must be in the answer."""

    class Slow(FakeServer):
        async def read_barrier(self) -> None:
            await super().read_barrier()
            self.view = RaftConfiguration(index=99, servers=())

    service = Slow()
    service.lease = False
    response = await answered(service.application(), get(CONFIGURATION))
    assert msgspec.json.decode(response.body)["Index"] == 99


@pytest.mark.parametrize(
    "error", [NotLeader(), NotReady(), LeadershipLost(), StateDamaged("its state")], ids=type
)
@asynchronous
async def test_a_read_whose_barrier_fails_is_tried_again(error: QuorateError) -> None:
    service = FakeServer()
    service.lease = False
    service.barrier_errors = [error]
    response = await answered(service.application(), get(CONFIGURATION))
    assert (response.status, service.barriers) == (200, 2)


@asynchronous
async def test_a_leader_that_never_gets_ready_says_so_after_the_hold() -> None:
    service = FakeServer()
    service.lease = False
    service.barrier_errors = [NotReady() for _ in range(1000)]
    response = await answered(service.application(), get(CONFIGURATION))
    assert (response.status, response.body) == (500, b"Not ready to serve consistent reads")


class LosesItsLead(FakeServer):
    """Leads until the barrier."""

    async def read_barrier(self) -> None:
        self.role = "follower"
        await super().read_barrier()


@asynchronous
async def test_a_leader_that_lost_its_lead_asks_the_new_one() -> None:
    service = LosesItsLead("s2")
    service.lease = False
    service.leader_application = FakeServer("s3").application()
    response = await answered(service.application(), get(LEADER))
    assert response.body == b'"127.0.0.3:4647"'
    assert len(service.forwarded) == 1


# -- stale ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "=", "=1", "=t", "=T", "=TRUE", "=true", "=True"])
def test_a_stale_read_is_answered_by_a_server_without_a_leader(value: str) -> None:
    service = FakeServer("s1", role="lost")
    response = service.application().handle(get(LEADER + b"?stale" + value.encode()))
    assert isinstance(response, Response)
    assert (response.status, response.body) == (200, b'""')


@pytest.mark.parametrize("value", ["=0", "=f", "=F", "=FALSE", "=false", "=False"])
@asynchronous
async def test_a_read_that_is_not_stale_needs_a_leader(value: str) -> None:
    application = FakeServer("s1", role="lost").application()
    response = await answered(application, get(LEADER + b"?stale" + value.encode()))
    assert (response.status, response.body) == (500, b"No cluster leader")


@pytest.mark.parametrize("value", ["maybe", "2", "tRue", "yes", " true", "%00"])
def test_stale_with_any_other_value_is_refused(value: str) -> None:
    response = FakeServer().application().handle(get(LEADER + b"?stale=" + value.encode()))
    assert isinstance(response, Response)
    assert response.status == 400
    assert response.body == b"Expect `true` or `false` for `stale` query string parameter"


@asynchronous
async def test_stale_is_ignored_on_writes() -> None:
    service = FakeServer("s1", role="lost")
    request = Request("DELETE", b"/v1/operator/raft/peer?id=x&stale=maybe")
    response = await answered(service.application(), request)
    assert (response.status, response.body) == (500, b"No cluster leader")
    assert service.removed == []


def test_a_stale_answer_says_how_old_it_may_be() -> None:
    service = FakeServer("s1", role="lost").write_defaults()
    service.contact_ms = 1234
    response = service.application().handle(get(b"/v1/namespaces?stale"))
    assert isinstance(response, Response)
    assert response.header(b"x-nomad-knownleader") == b"false"
    assert response.header(b"x-nomad-lastcontact") == b"1234"


# -- forwarding ----------------------------------------------------------------------------------


@asynchronous
async def test_a_follower_passes_the_request_on_once_and_as_it_was() -> None:
    follower, _ = pair()
    await answered(
        follower.application(control=False),
        get(
            CONFIGURATION + b"?pretty&x=%20y",
            (b"x-nomad-token", b"secret"),
            (b"accept-encoding", b"gzip"),
            (b"host", b"a"),
            (b"connection", b"keep-alive"),
        ),
    )
    (request,) = follower.forwarded
    assert request.method == "GET"
    assert request.target == "/v1/operator/raft/configuration?pretty&x=%20y"
    assert request.headers == ((b"x-nomad-token", b"secret"), (FORWARDED_HEADER, b"leader"))
    assert request.timeout_s == pytest.approx(20)


@asynchronous
async def test_a_forwarded_blocking_query_may_take_as_long_as_it_waits() -> None:
    follower, _ = pair()
    for query in (b"index=0&wait=60s", b"index=9&wait=100ms"):
        await answered(follower.application(), get(b"/v1/namespaces?" + query))
    assert [request.timeout_s for request in follower.forwarded] == pytest.approx([20, 20.10625])


@pytest.mark.parametrize("request_", [get(LEADER), put()], ids=["read", "write"])
@asynchronous
async def test_a_forwarded_request_is_not_forwarded_again(request_: Request) -> None:
    follower, _ = pair()
    marked = msgspec.structs.replace(request_, headers=((FORWARDED_HEADER, b"leader"),))
    response = await answered(follower.application(), marked)
    assert (response.status, response.body) == (500, b"No cluster leader")
    assert response.header(b"x-quorate-error") == b"not-leader"
    assert follower.forwarded == []


@pytest.mark.parametrize("request_", [get(LEADER), put()], ids=["read", "write"])
@asynchronous
async def test_a_server_that_no_longer_leads_is_not_taken_at_its_word(request_: Request) -> None:
    """It did nothing and said so, so the request is passed on again when somebody leads."""
    follower, leader = pair()
    leader.role = "follower"
    task = asyncio.ensure_future(answered(follower.application(), request_))
    await until(lambda: bool(follower.forwarded))
    leader.role = "leader"
    assert (await task).status == 200


@asynchronous
async def test_an_error_of_status_500_gets_a_prefix_for_each_hop() -> None:
    """Asked of east, passed to a follower in west, passed to the leader of west."""
    west_leader = FakeServer("w6", region="west")
    west_follower = FakeServer("w5", region="west", role="follower")
    west_follower.leader_application = west_leader.application()
    east = FakeServer("e1", region="east")
    east.region_applications["west"] = west_follower.application()
    target = b"/v1/operator/raft/peer?region=west&id=x"
    response = await answered(east.application(), Request("DELETE", target))
    assert response.status == 500
    assert response.body == b'rpc error: rpc error: id "x" was not found in the Raft configuration'
    assert response.header(b"x-quorate-error") == b"peer-not-found"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, b"No cluster leader", b"rpc error: No cluster leader"),
        (403, b"Permission denied", b"Permission denied"),
        (400, b"must be", b"must be"),
        (404, b"Namespace not found", b"Namespace not found"),
        (409, b"refused", b"refused"),
        (429, b"{}", b"{}"),
        (200, b"[]", b"[]"),
    ],
)
def test_only_status_500_gets_the_prefix(status: int, body: bytes, expected: bytes) -> None:
    headers = (
        (b"content-type", b"text/plain"),
        (b"content-length", b"9"),
        (b"connection", b"close"),
        (b"x-nomad-index", b"7"),
        (b"x-test", b"theirs"),
        (b"date", b"then"),
    )
    response = passed_back(ForwardResponse(status=status, headers=headers, body=body))
    assert (response.status, response.body) == (status, expected)
    assert response.headers == ((b"Content-Type", b"text/plain"), (b"X-Nomad-Index", b"7"))


@pytest.mark.parametrize(
    ("status", "kind"), [(302, b"text/plain"), (200, b"text/html"), (200, b"image/svg+xml")]
)
def test_no_redirect_and_no_page_is_passed_back(status: int, kind: bytes) -> None:
    headers = ((b"content-type", kind), (b"location", b"http://evil.test/"))
    with pytest.raises(ForwardError, match=f"answered with status {status}"):
        passed_back(ForwardResponse(status=status, headers=headers, body=b"<script>"))


def test_no_credentials_leave_the_cluster() -> None:
    secrets = ((b"authorization", b"Basic x"), (b"cookie", b"x"), (b"x-nomad-token", b"x"))
    call = Call(Request("GET", LEADER, ((b"accept", b"*/*"), *secrets)), Query({}))
    sent = dict(forward_request(call, TO_REGION).headers)
    assert sent == {b"accept": b"*/*", FORWARDED_HEADER: TO_REGION}
    assert set(dict(forward_request(call, TO_LEADER).headers)) == {*sent, b"x-nomad-token"}


@asynchronous
async def test_a_write_is_not_repeated_when_the_connection_to_the_leader_breaks() -> None:
    follower, leader = pair()
    follower.leader_errors = [QuorateError("EOF")]
    response = await answered(follower.application(), put())
    assert (response.status, response.body) == (500, b"rpc error: EOF")
    assert b"may have been carried out: read before" in response.header(b"x-quorate-next")
    assert len(follower.forwarded) == 1
    assert leader.log_index == 5


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        (False, 500, "rpc error: EOF: the leader was lost during the restore, which is carried"),
        (True, 409, "lost before all of the archive had come; nothing was changed"),
    ],
)
@asynchronous
async def test_a_leader_that_is_lost_in_a_restore_leaves_it_unknown(
    more: bool, status: int, told: str
) -> None:
    follower, _ = pair()
    follower.leader_errors = [QuorateError("EOF")]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"archive", "more_body": more}

    stream = BodyStream(receive, 1000)
    assert await anext(stream) == b"archive"  # passed on to the leader, which dies
    request = Request("PUT", b"/v1/operator/snapshot", (), stream=stream)
    response = await answered(follower.application(), request)
    assert (response.status, told in response.body.decode()) == (status, True), response.body
    assert (b"-dry-run" in response.header(b"X-Quorate-Next")) is not more


@pytest.mark.parametrize(
    ("error", "dry_run", "told"),
    [
        (QuorateError("EOF"), "", "EOF: the leader was lost during the restore, which is carried"),
        (LeadershipLost(), "", "the leader was lost during the restore, which is carried out"),
        (QuorateError("EOF"), "&dry-run", "rpc error: EOF"),
    ],
)
@asynchronous
async def test_a_leader_that_is_lost_in_a_restore_of_a_backup_leaves_it_unknown(
    error: QuorateError, dry_run: str, told: str
) -> None:
    follower, _ = pair()
    follower.leader_errors = [error]
    path = f"/v1/operator/backup/restore?name=a.snap{dry_run}"
    request = Request("PUT", path.encode())
    response = await answered(follower.application(), request)
    assert (response.status, told in response.body.decode()) == (500, True), response.body
    unknown = b"still change" in response.header(b"X-Quorate-Next")
    assert unknown is not bool(dry_run)


@pytest.mark.parametrize("request_", [get(LEADER), put()], ids=["read", "write"])
@asynchronous
async def test_a_leader_that_is_not_reached_has_begun_nothing(request_: Request) -> None:
    """It died a moment ago: the request is held until another one leads."""
    follower, leader = pair()
    refused = NotReached("failed to get conn: dial tcp 127.0.0.3:4647: connect: connection refused")
    follower.leader_errors = [refused, refused]
    before = leader.log_index
    response = await answered(follower.application(), request_)
    assert response.status == 200
    assert len(follower.forwarded) == 3
    assert leader.log_index == before + (request_.method == "PUT")


@asynchronous
async def test_a_leader_that_stays_away_is_named_after_the_hold() -> None:
    follower, _ = pair()
    text = "failed to get conn: dial tcp 127.0.0.3:4647: connect: connection refused"
    follower.leader_errors = [NotReached(text)] * 1000
    for request in (get(LEADER), put()):
        response = await answered(follower.application(), request)
        assert (response.status, response.body) == (500, f"rpc error: {text}".encode())


@asynchronous
async def test_a_read_is_asked_again_when_the_connection_to_the_leader_breaks() -> None:
    follower, _ = pair()
    follower.leader_errors = [QuorateError("EOF")]
    response = await answered(follower.application(), get(LEADER))
    assert response.status == 200


@pytest.mark.parametrize("target", [AUTOPILOT, b"/v1/operator/scheduler/configuration"])
@pytest.mark.parametrize("lease", [True, False])
@asynchronous
async def test_a_read_waits_for_what_a_new_leader_writes_first(target: bytes, lease: bool) -> None:
    service = FakeServer()
    service.lease = lease
    application = service.application()
    task = asyncio.ensure_future(answered(application, get(target)))
    await asyncio.sleep(0)
    service.write_defaults()
    assert (await task).status == 200
    late = await answered(FakeServer().application(), get(target))
    assert late.status == 500
    assert late.body.endswith(b" config not initialized yet")


# -- nobody leads --------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [get(LEADER), put()], ids=["read", "write"])
@asynchronous
async def test_without_a_leader_a_request_is_held(request_: Request) -> None:
    application = FakeServer("s1", role="lost").application()
    started, watch = time.monotonic(), Stopwatch()
    response = await answered(application, request_)
    assert (response.status, response.body) == (500, b"No cluster leader")
    assert response.header(b"x-quorate-error") == b"no-leader"
    assert response.header(b"x-quorate-next")
    assert time.monotonic() - started > 0.2
    assert watch.seconds() < 2


@pytest.mark.parametrize("request_", [get(LEADER), put()], ids=["read", "write"])
@asynchronous
async def test_a_held_request_is_answered_when_somebody_is_elected(request_: Request) -> None:
    service, _ = pair()
    service.role, service.leader_at = "lost", ""

    def elect() -> None:
        service.leader_at = "127.0.0.3:4647"

    service.on_wait = elect
    response = await answered(service.application(), request_)
    assert response.status == 200
    assert len(service.forwarded) == 1


@asynchronous
async def test_a_held_request_is_answered_here_when_this_server_is_elected() -> None:
    service = FakeServer("s1", role="lost").write_defaults()

    def elect() -> None:
        service.role = "leader"

    service.on_wait = elect
    response = await answered(service.application(), put())
    assert (response.status, response.body) == (200, b"true")
    configuration = autopilot.current(service.store)
    assert configuration is not None
    assert configuration.min_quorum == 3


# -- writes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NotLeader(), NotBegun("its state")], ids=type)
@asynchronous
async def test_a_write_refused_before_it_began_is_tried_again(error: QuorateError) -> None:
    service = FakeServer().write_defaults()
    service.apply_errors = [error]
    response = await answered(service.application(), put())
    assert (response.status, response.body) == (200, b"true")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (LeadershipLost(), 500, b"leadership lost while committing log"),
        (ApplyTimeout(), 500, b"timed out waiting for the log to commit"),
        (StateDamaged("its state", "read first"), 503, b"its state"),
        (StorageFull("no room", "make room"), 507, b"no room"),
        (ChangeRefused("would end the cluster", "add ?force"), 409, b"would end the cluster"),
    ],
    ids=["leadership lost", "timeout", "damaged meanwhile", "disk full", "refused"],
)
@asynchronous
async def test_a_write_that_may_stand_or_was_refused_is_not_repeated(
    error: QuorateError, status: int, text: bytes
) -> None:
    service = FakeServer()
    service.apply_errors = [error]
    request = Request("DELETE", b"/v1/operator/raft/peer?id=x")
    response = await answered(service.application(), request)
    assert (response.status, response.body) == (status, text)
    assert response.header(b"x-quorate-next") == error.next_step.encode()
    assert service.removed == []


@pytest.mark.parametrize(
    "request_",
    [
        Request("DELETE", b"/v1/operator/raft/peer"),
        Request("PUT", AUTOPILOT, (), b"{"),
        Request("PUT", AUTOPILOT + b"?cas=x", (), b"{}"),
        Request("GET", AUTOPILOT + b"?wait=x"),
        Request("PUT", b"/v1/operator/raft/transfer-leadership"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_before_anybody_is_asked(request_: Request) -> None:
    target = request_.target + (b"&" if b"?" in request_.target else b"?") + b"region=nowhere"
    service = FakeServer("s1", role="lost")
    response = service.application().handle(msgspec.structs.replace(request_, target=target))
    assert isinstance(response, Response)
    assert response.status == 400
    assert service.waits == 0


# -- regions -------------------------------------------------------------------------------------


@asynchronous
async def test_another_region_is_asked_before_a_leader_is_looked_for() -> None:
    west = FakeServer("w6", region="west").write_defaults()
    east = FakeServer("e1", region="east", role="lost")
    east.region_applications["west"] = west.application()
    response = await answered(east.application(), get(AUTOPILOT + b"?region=west&stale"))
    assert response.status == 200
    assert east.waits == 0
    assert east.forwarded[0].headers == ((FORWARDED_HEADER, b"region"),)


@pytest.mark.parametrize("mark", [b"region", b"leader", b"nonsense"])
@asynchronous
async def test_a_forwarded_request_never_goes_to_a_region(mark: bytes) -> None:
    service = FakeServer()
    service.region_applications["west"] = FakeServer("w6", region="west").application()
    request = get(LEADER + b"?region=west", (FORWARDED_HEADER, mark))
    response = await answered(service.application(), request)
    assert (response.status, response.body) == (500, b"No path to region")
    assert service.forwarded == []


@asynchronous
async def test_a_region_that_breaks_off_is_an_rpc_error() -> None:
    service = FakeServer()
    service.region_errors = [QuorateError("stream closed")]
    response = await answered(service.application(), get(LEADER + b"?region=west"))
    assert (response.status, response.body) == (500, b"rpc error: stream closed")


@pytest.mark.parametrize("target", [LEADER, LEADER + b"?region=", LEADER + b"?region=global"])
def test_the_own_region_is_not_another(target: bytes) -> None:
    assert isinstance(FakeServer().application().handle(get(target)), Response)


def test_a_configuration_that_changed_is_encoded_anew() -> None:
    service = FakeServer()
    application = service.application()
    first = application.handle(get(CONFIGURATION))
    assert application.handle(get(CONFIGURATION)) is first
    service.view = RaftConfiguration(index=22, servers=service.view.servers)
    assert application.handle(get(CONFIGURATION)) is first, "an equal configuration"
    servers = (*service.view.servers[:2], peer("s1", "127.0.0.1:4647", leader=False, voter=False))
    service.view = RaftConfiguration(index=23, servers=servers)
    second = application.handle(get(CONFIGURATION))
    assert isinstance(second, Response)
    assert msgspec.json.decode(second.body)["Servers"][2]["Voter"] is False


# -- a leader that was asked and does not answer -------------------------------------------------


@asynchronous
async def test_a_read_is_asked_again_when_another_leads_before_the_answer() -> None:
    follower, _ = pair()
    follower.leader_errors = [LeadershipLost()]
    response = await answered(follower.application(), get(AUTOPILOT))
    assert response.status == 200
    assert len(follower.forwarded) == 2


@asynchronous
async def test_a_write_is_not_asked_again_when_another_leads_before_the_answer() -> None:
    follower, leader = pair()
    follower.leader_errors = [LeadershipLost()]
    before = autopilot.current(leader.store)
    response = await answered(follower.application(), put())
    assert response.status == 500
    assert (b"X-Quorate-Error", b"leadership-lost") in response.headers
    assert len(follower.forwarded) == 1
    assert autopilot.current(leader.store) == before
