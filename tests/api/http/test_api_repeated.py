"""A head that comes again with another body is not parsed again: each body gets its own answer."""

from __future__ import annotations

import pytest
from api_running import asynchronous
from api_server import RawClient, connected, get, message, serving
from fake_server import FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.api.http.protocol import QuorateHttpProtocol

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


@asynchronous
async def test_a_repeated_head_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    head_of = QuorateHttpProtocol.on_headers_complete

    def counted(protocol: QuorateHttpProtocol) -> None:
        parsed.append(1)
        head_of(protocol)

    monkeypatch.setattr(QuorateHttpProtocol, "on_headers_complete", counted)
    service = FakeServer().write_defaults()
    async with serving(service.application()) as served, connected(served.port) as client:
        await answers(client, [put(body) for body in BODIES])
        assert len(parsed) == 1
        await answers(client, [get(SCHEDULER), get(SCHEDULER), put(BODIES[0])])
        assert len(parsed) == 3


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
