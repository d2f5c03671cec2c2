"""A head that comes again with another body or target is not parsed again, nor mistaken."""

from __future__ import annotations

from random import Random

import pytest
from api_running import asynchronous
from api_server import RawClient, connected, get, message, serving
from fake_server import NOW, FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quorate.api.app import HttpApplication, Plan
from quorate.api.http.messages import Request, Response
from quorate.api.http.protocol import QuorateHttpProtocol
from quorate.metrics import Metrics
from quorate.shapes.operator import RaftConfiguration

SCHEDULER = "/v1/operator/scheduler/configuration"
LENGTH = 34

# Of one length, so that their heads are the same bytes. The answer to each names what it holds.
BODIES = tuple(
    body.ljust(LENGTH, b"\n")
    for body in (
        b'{"SchedulerAlgorithm": "binpack"}',
        b'{"SchedulerAlgorithm": "first"}',
        b'{"SchedulerAlgorithm": "second"}',
        b'{"SchedulerAlgorithm": "PUT / H"}',
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
    )
)


def put(body: bytes) -> bytes:
    return message("PUT", SCHEDULER, body=body)


async def answers(client: RawClient, requests: list[bytes]) -> list[bytes]:
    """Status and body of each answer; a request is sent when the one before is answered."""
    found = []
    for request in requests:
        client.send(request)
        answer = await client.answer()
        found.append(b"%d %b" % (answer.status, answer.body))
    return found


@asynchronous
async def test_each_body_behind_the_same_head_is_read() -> None:
    service = FakeServer().write_defaults()
    bodies = [b'{"SchedulerAlgorithm": "%b"}' % name for name in (b"first", b"other", b"third")]
    async with serving(service.application()) as served, connected(served.port) as client:
        found = await answers(client, [put(body) for body in bodies])
    assert found == [
        b"400 invalid scheduler algorithm: first",
        b"400 invalid scheduler algorithm: other",
        b"400 invalid scheduler algorithm: third",
    ]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The targets of the heads that are parsed."""
    found = []
    head_of = QuorateHttpProtocol.on_headers_complete

    def counted(protocol: QuorateHttpProtocol) -> None:
        found.append(protocol.url)
        head_of(protocol)

    monkeypatch.setattr(QuorateHttpProtocol, "on_headers_complete", counted)
    return found


@asynchronous
async def test_a_repeated_head_is_not_parsed_again(parsed: list[bytes]) -> None:
    service = FakeServer().write_defaults()
    async with serving(service.application()) as served, connected(served.port) as client:
        await answers(client, [put(body) for body in BODIES])
        assert len(parsed) == 1
        await answers(client, [get(SCHEDULER), get(SCHEDULER), put(BODIES[0])])
        assert len(parsed) == 3


@asynchronous
async def test_a_head_with_another_plain_target_is_not_parsed_again(parsed: list[bytes]) -> None:
    service = FakeServer().write_defaults()
    paths = ["/v1/var/a", "/v1/var/b/longer?cas=1", "/v1/regions", "/v1/var/%61", "/v1/var/c"]
    async with serving(service.application()) as served, connected(served.port) as client:
        await answers(client, [get(path) for path in paths])
        assert parsed == [b"/v1/var/a", b"/v1/var/%61"]
        await answers(client, [message("PUT", path, body=b"{}") for path in paths])
        assert parsed[2:] == [b"/v1/var/a", b"/v1/var/%61"]


TARGETS = (
    "/",
    "/v1/regions",
    "/v1/regions?pretty",
    "/v1//regions",
    "/v1/var/",
    "/v1/var/a",
    "/v1/var/b/c-d_e.f~g",
    "/v1/var/a?cas=7&namespace=x",
    "/v1/var/a?namespace=%78",
    "/v1/var/%61",
    "/v1/var/HTTP/1.1",
    "/v1/operator/snapshot",
    "http://localhost/v1/regions",
    "/v1/var/" + "x" * 300,
    "/v1/var/" + "x" * 2000,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "PUT", "POST"]),
            st.sampled_from(TARGETS),
            st.sampled_from([(), ("Accept-Encoding: gzip",)]),
            st.sampled_from([b"", b"{}", b"[]", b'{"Items": {"k": "v"}}']),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_requests_behind_one_another_are_those_that_come_alone(
    parts: list[tuple[str, str, tuple[str, ...], bytes]],
) -> None:
    """What is not parsed again is what the parser would have made of it."""
    requests = [message(method, path, *more, body=body) for method, path, more, body in parts]

    @asynchronous
    async def test() -> None:
        application = FakeServer().write_defaults().application()
        asked: list[tuple[object, ...]] = []

        def begin(request: Request, plan: Plan, began: float) -> Response:
            assert began > 0
            body = b"" if request.stream is None else b"streamed"
            same = replace(plan, start=0)  # a long name is planned alone, or as its neighbour was
            asked.append((request.method, request.target, [*request.headers], request.body, same))
            return Response(200, body)

        application.begin = begin  # type: ignore[method-assign]
        async with serving(application) as served:
            async with connected(served.port) as client:
                found = await answers(client, requests)
            behind, asked[:] = [*asked], []
            alone = []
            for request in requests:
                async with connected(served.port) as client:
                    alone += await answers(client, [request])
        assert (found, behind) == (alone, asked)

    test()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(BODIES),
            st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]),
            st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_line_ends_around_a_request_do_not_shift_its_body(
    parts: list[tuple[bytes, bytes, bytes]],
) -> None:
    """RFC 9112 (2.2) has a server pass over empty lines before a request."""

    @asynchronous
    async def test() -> None:
        requests = [before + put(body) + behind for body, before, behind in parts]
        service = FakeServer().write_defaults()
        async with serving(service.application()) as served:
            async with connected(served.port) as client:
                found = await answers(client, requests)
            alone = []
            for request in requests:  # nothing can repeat on a connection of its own
                async with connected(served.port) as client:
                    alone += await answers(client, [request])
        assert [line.split(b"Index")[0] for line in found] == [
            line.split(b"Index")[0] for line in alone
        ]

    test()


FORMS = tuple(
    message(method, "/v1/operator/raft/configuration?stale" + pretty, *headers)
    for method in ("GET", "HEAD")
    for pretty in ("", "&pretty")
    for headers in ((), ("Accept-Encoding: gzip",), ("Connection: close",))
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(FORMS), st.sampled_from((0, 0, 0, 1)), st.integers(21, 22)),
        min_size=2,
        max_size=10,
    )
)
def test_the_bytes_of_an_answer_are_those_of_its_request_and_second(
    steps: list[tuple[bytes, int, int]],
) -> None:
    """An answer that is sent once more is not put together again; what it is of may change.

    Each step: the request, the seconds that have passed, the index of the configuration.
    """

    @asynchronous
    async def test() -> None:
        service, now = FakeServer(), [NOW]
        application = HttpApplication(service.parts(), Metrics(), lambda: now[0], Random(1))
        async with serving(application) as served, connected(served.port) as client:
            for request, seconds, index in [step for step in steps for _ in range(2)]:
                now[0] += seconds
                service.view = RaftConfiguration(index=index, servers=service.view.servers)
                head = request.startswith(b"HEAD")
                client.send(request)
                answer = await client.answer(head=head)
                async with connected(served.port) as other:
                    other.send(request)
                    assert answer == await other.answer(head=head)
                if "connection" in answer.headers:
                    return

    test()
