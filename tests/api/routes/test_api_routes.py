"""Paths, methods, redirects, heads: everything about an answer but its data."""

from __future__ import annotations

import re
from html import escape

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered
from hypothesis import given
from hypothesis import strategies as st

from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import TARGET_BYTES_MAX, Request, Response
from quorate.api.routes import cleaned, path_of

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")

INVALID = b"Invalid method"

ALLOWED: dict[bytes, tuple[set[str], int, bytes]] = {
    b"/v1/agent/force-leave": ({"PUT", "POST"}, 405, INVALID),
    b"/v1/agent/health": ({"GET"}, 405, INVALID),
    b"/v1/agent/join": ({"PUT", "POST"}, 405, INVALID),
    b"/v1/agent/keyring/list": (set(METHODS), 405, INVALID),  # any method will do
    **{
        b"/v1/agent/keyring/" + name: ({"PUT", "POST"}, 405, INVALID)
        for name in (b"install", b"use", b"remove")
    },
    b"/v1/agent/members": ({"GET"}, 405, INVALID),
    b"/v1/agent/rejoin": ({"PUT", "POST"}, 405, INVALID),
    b"/v1/agent/self": ({"GET"}, 405, INVALID),
    b"/v1/metrics": ({"GET"}, 405, INVALID),
    b"/v1/namespace": ({"PUT", "POST"}, 405, INVALID),
    b"/v1/namespace/default": ({"GET", "PUT", "POST", "DELETE"}, 405, INVALID),
    b"/v1/namespaces": ({"GET"}, 405, INVALID),
    b"/v1/operator/autopilot/configuration": ({"GET", "PUT"}, 404, INVALID),
    b"/v1/operator/license": ({"GET", "PUT"}, 405, INVALID),
    b"/v1/operator/raft/configuration": ({"GET"}, 405, b""),
    b"/v1/operator/audit": ({"GET"}, 405, INVALID),
    b"/v1/operator/raft/compact": ({"PUT", "POST"}, 405, INVALID),
    b"/v1/operator/raft/facts": ({"GET"}, 405, INVALID),
    b"/v1/operator/raft/peer": ({"DELETE"}, 404, INVALID),
    b"/v1/operator/raft/transfer-leadership": ({"PUT", "POST"}, 405, INVALID),
    b"/v1/operator/raft/views": ({"GET"}, 405, INVALID),
    b"/v1/operator/raft/": (set(), 404, INVALID),
    b"/v1/operator/raft/nosuch": (set(), 404, INVALID),
    **{
        b"/v1/operator/recovery/" + name: ({"PUT", "POST"}, 405, INVALID)
        for name in (b"prepare", b"commit", b"abort")
    },
    b"/v1/operator/recovery": ({"GET"}, 405, INVALID),
    b"/v1/operator/scheduler/configuration": ({"GET", "PUT", "POST"}, 405, INVALID),
    b"/v1/operator/upgrade": ({"GET"}, 405, INVALID),
    b"/v1/regions": ({"GET"}, 405, INVALID),
    b"/v1/status/leader": ({"GET"}, 405, INVALID),
    b"/v1/status/peers": ({"GET"}, 405, INVALID),
    b"/ui/": ({"GET"}, 405, INVALID),
}


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("method", METHODS)
@asynchronous
async def test_every_method_of_every_path(path: bytes, method: str) -> None:
    allowed, status, text = ALLOWED[path]
    application = FakeServer().write_defaults().application()
    response = await answered(application, Request(method, path, (), b"{}"))
    if method in allowed:
        assert response.body != INVALID
        assert response.status in {200, 204, 400, 500, 501}
    else:
        assert (response.status, response.body) == (status, text)
        assert response.header(b"content-type") == (b"text/plain; charset=utf-8" if text else b"")
        assert response.header(b"allow") == b""


def test_the_page_lists_what_is_there() -> None:
    response = FakeServer().application().handle(Request("GET", b"/ui/anything/below"))
    assert isinstance(response, Response)
    assert response.status == 200
    for row in TABLE:
        assert (escape(row.does).encode() in response.body) is row.listed


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        (b"/", 307, b"/ui/"),
        (b"/?a=b", 307, b"/ui/?a=b"),
        (b"/ui", 301, b"/ui/"),
        (b"/v1/operator/raft?stale", 301, b"/v1/operator/raft/?stale"),
        (b"/v1/operator/raft/../raft", 301, b"/v1/operator/raft/"),
        (b"/v1//status/leader?x=%20", 301, b"/v1/status/leader?x=%20"),
        (b"//v1/status/leader", 301, b"/v1/status/leader"),
        (b"//evil.example/..", 301, b"/"),
        (b"/v1/./status/../status/leader", 301, b"/v1/status/leader"),
        (b"/v1/status/leader/.", 301, b"/v1/status/leader"),
        (b"/..", 301, b"/"),
        (b"/v1/%2e%2e/x%20y/../z%0d%0a", 301, b"/z%0D%0A"),
        (b"http://host:4646//v1/regions", 301, b"/v1/regions"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_redirects(target: bytes, status: int, location: bytes, method: str) -> None:
    response = FakeServer().application().handle(Request(method, target))
    assert isinstance(response, Response)
    assert (response.status, response.header(b"location")) == (status, location)
    assert bool(response.body) is (method == "GET")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1/status/%6ceader", 200),
        (b"/v1/Status/leader", 404),
        (b"/v1", 404),
        (b"/v1/", 404),
        (b"/v1/jobs/", 404),
        (b"/v1/operator/autopilot/health", 200),
        (b"/v1/agent/join/", 404),
        (b"/v1/agent/keyring/", 404),
        (b"/v1/agent/keyring/list/", 404),
        (b"/v1/agent/keyring/LIST", 404),
        (b"/v1/namespaces/", 404),
        (b"/favicon.ico", 404),
        (b"/v1/operator/raft/configuration/", 200),
        (b"/v1/operator/raft/peers?x", 404),
        (b"http://host:4646/v1/regions", 200),
        (b"HTTPS://host", 307),
        (b"/v1/%zz", 400),
        (b"/v1/status/leader%", 400),
        (b"*", 400),
        (b"host:443", 400),
        (b"v1/regions", 400),
        (b"ftp://host/v1/regions", 400),
        (b"", 400),
    ],
)
def test_targets(target: bytes, status: int) -> None:
    response = FakeServer().application().handle(Request("GET", target))
    assert isinstance(response, Response)
    assert response.status == status


def test_the_answer_to_an_unknown_path_has_neither_body_nor_type_nor_configured_headers() -> None:
    service = FakeServer()
    service.options.http_headers = {"X-Test": "yes"}
    application = service.application()
    response = application.handle(Request("GET", b"/v1/nosuch"))
    assert isinstance(response, Response)
    rendered = application.renderer.render(response, compressed=False)
    assert rendered.headers == ((b"Vary", b"Accept-Encoding"), (b"Content-Length", b"0"))


@pytest.mark.parametrize("size", [TARGET_BYTES_MAX, TARGET_BYTES_MAX + 1])
def test_long_targets(size: int) -> None:
    start = b"/v1/status/leader?x="
    response = FakeServer().application().handle(Request("GET", start.ljust(size, b"y")))
    assert isinstance(response, Response)
    assert response.status == (200 if size <= TARGET_BYTES_MAX else 414)
    assert b"\n" not in response.body


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", "/"),
        ("", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("//a", "/a"),
        ("/a/./b", "/a/b"),
        ("/a/../b/", "/b/"),
        ("/../../a", "/a"),
        ("/.a", "/.a"),
        ("/a/..b", "/a/..b"),
        ("/..", "/"),
        ("a", "/a"),
    ],
)
def test_clean_paths(path: str, clean: str) -> None:
    assert cleaned(path) == clean


@given(st.text(alphabet="/.a%", max_size=12))
def test_cleaning_ends(path: str) -> None:
    clean = cleaned(path)
    assert cleaned(clean) == clean
    assert clean.startswith("/")
    assert not re.search(r"//|/\.\.?(/|$)", clean)


@given(st.sampled_from(METHODS), st.binary(max_size=60).map(lambda rest: b"/v1/" + rest))
def test_no_target_is_our_mistake(method: str, target: bytes) -> None:
    response = FakeServer().application().handle(Request(method, target))
    assert isinstance(response, Response)
    assert response.status < 500


@given(
    st.sampled_from(METHODS),
    st.sampled_from(sorted({row.start for row in TABLE if row.start})),
    st.text(alphabet="aZ9_-~./", min_size=1, max_size=12).filter(lambda tail: tail[0] != "/"),
)
def test_a_plain_path_leads_where_the_same_path_in_escapes_does(
    method: str, start: str, tail: str
) -> None:
    application = FakeServer().application()
    plain = application.plan(method, (start + tail).encode())
    escaped = application.plan(method, f"{start}%{ord(tail[0]):02x}{tail[1:]}".encode())
    assert (plain.handler, plain.tail, plain.body_max) == (
        escaped.handler,
        escaped.tail,
        escaped.body_max,
    )
    answers = [plan.answer and (plan.answer.status, plan.answer.body) for plan in (plain, escaped)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("raw", "path"),
    [(b"/a", b"/a"), (b"http://h", b"/"), (b"http://h/a", b"/a"), (b"x", None), (b"", None)],
)
def test_paths_of_targets(raw: bytes, path: bytes | None) -> None:
    assert path_of(raw) == path


# -- plans, and mistakes of our own --------------------------------------------------------------


def test_what_is_remembered_of_targets_is_bounded() -> None:
    application = FakeServer().application()
    for number in range(3000):
        application.handle(Request("GET", f"/v1/regions?x={number}".encode()))
    application.handle(Request("GET", b"/v1/regions?" + b"x" * 1000))
    assert len(application._plans) <= 512
    assert max(len(target) for _, target in application._plans) <= 256


class Broken(FakeServer):
    """A service with a mistake in it."""

    def regions(self) -> list[str]:
        raise ZeroDivisionError

    async def _apply(self, command: bytes) -> tuple[int, object]:
        raise KeyError(command)


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", b"/v1/regions"),
        Request("PUT", b"/v1/operator/autopilot/configuration", (), b"{}"),
    ],
    ids=["at once", "later"],
)
@asynchronous
async def test_a_mistake_of_our_own_is_logged_and_named_by_an_id(request_: Request) -> None:
    response = await answered(Broken().application(), request_)
    assert response.status == 500
    assert re.fullmatch(rb"internal error \(id [0-9a-f]{8}\)", response.body)


def test_the_id_is_in_the_log_once_with_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    response = Broken().application().handle(Request("GET", b"/v1/regions"))
    assert isinstance(response, Response)
    (record,) = caplog.records
    assert response.body.decode()[-9:-1] in record.getMessage()
    assert record.exc_info
