"""CORS: pages of other sites may read variables, as of today's servers, and nothing more."""

from __future__ import annotations

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered

from quorate.acl.rights import EVERYTHING
from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import Header, Request
from quorate.server.options import AclOptions
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel

ORIGIN = (b"origin", b"http://example.com")


def server(**http_headers: str) -> FakeServer:
    fake = FakeServer("s3").write_defaults()
    fake.commit(encode(RaiseLevel(level=3)))
    fake.options.http_headers = http_headers
    fake.access.turn_on()
    fake.access.anonymous = EVERYTHING
    return fake


async def asked(
    fake: FakeServer, method: str, path: str, *headers: Header
) -> tuple[int, list[tuple[str, str]]]:
    """The status, and the headers of CORS."""
    application = fake.application(control=False)
    answer = await answered(application, Request(method, path.encode(), headers))
    rendered = application.renderer.render(answer, compressed=False)
    found = [(name.decode(), value.decode()) for name, value in rendered.headers]
    return answer.status, [each for each in found if each[0].startswith("Access-Control-")]


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/vars", 200), ("/v1/var/a", 404), ("/v1/vars?wait=x", 400)]
)
@pytest.mark.parametrize("role", ["leader", "follower"])
@asynchronous
async def test_answers_may_be_read_by_the_page_that_asks(path: str, status: int, role: str) -> None:
    fake = server()
    if role == "follower":
        leader, fake = fake, FakeServer("s2", role="follower")
        fake.access.turn_on()
        fake.leader_application = leader.application(control=False)
    assert await asked(fake, "GET", path, ORIGIN) == (
        status,
        [("Access-Control-Allow-Origin", "*")],
    )
    assert await asked(fake, "GET", path) == (status, [])


@asynchronous
async def test_no_other_endpoint_lets_pages_read() -> None:
    assert {row.path for row in TABLE if row.cors} == {"/v1/vars", "/v1/var/<path>"}
    assert all(row.methods == ("GET",) for row in TABLE if row.cors)
    assert await asked(server(), "GET", "/v1/status/leader", ORIGIN) == (200, [])


@pytest.mark.parametrize("path", ["/v1/vars", "/v1/var/a/b"])
@asynchronous
async def test_a_preflight_allows_to_read_and_nothing_else(path: str) -> None:
    for method in ("PUT", "DELETE", "POST", "get"):
        wanted = (b"access-control-request-method", method.encode())
        assert await asked(server(), "OPTIONS", path, ORIGIN, wanted) == (204, [])
    get = (b"access-control-request-method", b"GET")
    token = (b"access-control-request-headers", b"x-nomad-token")
    assert await asked(server(), "OPTIONS", path, ORIGIN, get, token) == (
        204,
        [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Methods", "GET"),
            ("Access-Control-Allow-Headers", "X-Nomad-Token"),
        ],
    )


@pytest.mark.parametrize(("path", "status"), [("/v1/vars", 405), ("/v1/var/a", 400)])
@asynchronous
async def test_options_without_a_question_is_a_wrong_method(path: str, status: int) -> None:
    assert await asked(server(), "OPTIONS", path, ORIGIN) == (status, [])


@asynchronous
async def test_the_origin_that_the_agent_is_configured_to_allow_counts() -> None:
    ours = ("Access-Control-Allow-Origin", "https://ours.example")
    fake = server(**dict([ours]))
    get = (b"access-control-request-method", b"GET")
    for method in ("GET", "OPTIONS"):
        _, found = await asked(fake, method, "/v1/vars", ORIGIN, get)
        assert [each for each in found if each[0] == ours[0]] == [ours]


@asynchronous
async def test_without_tokens_no_page_reads_anything() -> None:
    """Else each page would read what the browser of its visitor can reach."""
    get = (b"access-control-request-method", b"GET")
    off, passing = server(), server()
    off.access.enabled = False
    passing.options.acl = AclOptions(enabled=True, transition=True)
    for fake in (off, passing):
        assert await asked(fake, "GET", "/v1/vars", ORIGIN) == (200, [])
        assert await asked(fake, "GET", "/v1/vars?wait=x", ORIGIN) == (400, [])
        assert await asked(fake, "OPTIONS", "/v1/vars", ORIGIN, get) == (405, [])
        assert await asked(fake, "OPTIONS", "/v1/var/a", ORIGIN, get) == (400, [])
