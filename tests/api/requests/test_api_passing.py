"""A read that a follower passes on without a task gets what it gets with one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import product

import pytest
from api_running import asynchronous, until
from api_server import connected, get, serving
from fake_server import FakeServer, answered, loopback

import quorate.api.consistency
from quorate.api.consistency import Passing
from quorate.api.http.messages import Request, Response
from quorate.errors import LeadershipLost, NoLeader, NotReached, QuorateError
from quorate.metrics import Metrics
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse

CONFIGURATION = b"/v1/operator/raft/configuration"
VARIABLES = b"/v1/vars"

TEXT = (b"content-type", b"text/plain")


def other(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> ForwardResponse:
    return ForwardResponse(status=status, headers=headers, body=body)


OUTCOMES: dict[str, ForwardResponse | QuorateError | None] = {
    "answered": None,
    "an error of the leader": other(500, b"failed", TEXT, (b"x-quorate-error", b"not-ready")),
    "not found": other(404, b"not found", TEXT),
    "leads no more": other(500, b"No cluster leader", (b"x-quorate-error", b"not-leader")),
    "a redirect": other(307, b"", (b"location", b"http://elsewhere/")),
    "a page": other(200, b"<script>", (b"content-type", b"text/html")),
    "no leader": NoLeader(),
    "another leads": LeadershipLost(),
    "not reached": NotReached("failed to get conn", "try again"),
    "cut off": QuorateError("EOF", "try again"),
}


class Follower(FakeServer):
    """What it asks of the leader ends so, one after the other; then the leader answers."""

    def __init__(self, outcomes: Sequence[str], *, connected: bool, forever: bool = False) -> None:
        super().__init__("s2", role="follower")
        self.write_defaults()
        self.leader_application = FakeServer("s3").write_defaults().application()
        self.connected = connected
        self.outcomes = list(outcomes)
        self.forever = forever

    async def to_leader(self, request: ForwardRequest) -> ForwardResponse:
        self.forwarded.append(request)
        await asyncio.sleep(0)
        name = self.outcomes[0] if self.outcomes else "answered"
        if self.outcomes and not self.forever:
            self.outcomes.pop(0)
        outcome = OUTCOMES[name]
        if isinstance(outcome, QuorateError):
            raise outcome
        if outcome is not None:
            return outcome
        assert self.leader_application is not None
        return await loopback(self.leader_application, request)


def shown(response: Response) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]:
    return response.status, response.body, response.headers


async def both(outcomes: Sequence[str], request: Request, *, forever: bool = False) -> None:
    """Ask with and without a connection at hand."""
    short = Follower(outcomes, connected=True, forever=forever)
    long = Follower(outcomes, connected=False, forever=forever)
    answers = await asyncio.gather(
        answered(short.application(), request), answered(long.application(), request)
    )
    assert shown(answers[0]) == shown(answers[1]), outcomes
    if not forever:
        assert len(short.forwarded) == len(long.forwarded), outcomes
    assert {r.headers for r in short.forwarded} == {r.headers for r in long.forwarded}
    assert {r.target for r in short.forwarded} == {r.target for r in long.forwarded}


@asynchronous
async def test_whatever_becomes_of_it() -> None:
    """All that may happen, up to twice in a row."""
    scripts: list[tuple[str, ...]] = [(), *product(OUTCOMES), *product(OUTCOMES, OUTCOMES)]
    origin = (b"origin", b"http://page.example")
    await asyncio.gather(
        *(both(script, Request("GET", CONFIGURATION)) for script in scripts),
        *(both(script, Request("GET", VARIABLES, [origin])) for script in scripts[:11]),
        *(both(script, Request("HEAD", CONFIGURATION)) for script in scripts[:11]),
    )


@asynchronous
async def test_a_trouble_that_stays_is_told_when_the_hold_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quorate.api.consistency, "HOLD_S", 0.1)
    names = ("leads no more", "a redirect", "no leader", "not reached", "cut off")
    await asyncio.gather(
        *(both((name,), Request("GET", CONFIGURATION), forever=True) for name in names)
    )


@asynchronous
async def test_what_was_passed_on_once_is_not_passed_on_again() -> None:
    follower = Follower((), connected=True)
    request = Request("GET", CONFIGURATION, [(b"x-quorate-forwarded", b"leader")])
    response = await answered(follower.application(), request)
    assert (b"X-Quorate-Error", b"not-leader") in response.headers
    assert follower.forwarded == []


@asynchronous
async def test_a_request_of_another_region_is_passed_on_to_the_leader_here() -> None:
    follower = Follower((), connected=True)
    request = Request("GET", CONFIGURATION, [(b"x-quorate-forwarded", b"region")])
    response = await answered(follower.application(control=False), request)
    assert response.status == 200
    (passed,) = follower.forwarded
    assert passed.headers == ((b"x-quorate-forwarded", b"leader"),)


@asynchronous
async def test_a_read_costs_no_task_and_its_time_is_recorded() -> None:
    follower, metrics = Follower((), connected=True), Metrics()
    application = follower.application(metrics)
    request = Request("GET", CONFIGURATION)
    passing = application.begin(request, application.plan("GET", CONFIGURATION), 0.0)
    assert isinstance(passing, Passing)
    await asyncio.wait((passing.sent.answer,))
    assert isinstance(application.passed(request, passing), Response)
    (recorded,) = metrics.totals().histograms.values()
    assert sum(recorded.counts) == 1


class Silent(Follower):
    """Its leader never answers."""

    async def to_leader(self, request: ForwardRequest) -> ForwardResponse:
        self.forwarded.append(request)
        await asyncio.get_running_loop().create_future()
        raise AssertionError


@asynchronous
async def test_a_read_whose_client_has_gone_is_given_up_at_the_leader() -> None:
    follower = Silent((), connected=True)
    async with serving(follower.application()) as served:
        async with connected(served.port) as client:
            client.send(get(CONFIGURATION.decode()))
            await until(lambda: bool(follower.forwarded))
        await until(lambda: bool(follower.abandoned))
    (future,) = follower.abandoned
    assert future.cancelled()


@asynchronous
async def test_clients_are_answered_over_their_connections() -> None:
    follower = Follower(("answered", "cut off", "leads no more"), connected=True)
    async with serving(follower.application()) as served, connected(served.port) as client:
        for _ in range(5):
            client.send(get(CONFIGURATION.decode()))
            assert (await client.answer()).status == 200
    assert len(follower.forwarded) == 7
