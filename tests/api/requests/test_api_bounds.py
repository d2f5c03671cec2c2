"""What one request can cost: durations, echoes, addresses."""

from __future__ import annotations

import time

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered

from quorate.api.codec.go_text import ECHO_MAX, parse_uint64
from quorate.api.endpoint import ANY
from quorate.api.endpoints.pool import ADDRESSES_MAX
from quorate.api.endpoints.table import TABLE
from quorate.api.http.messages import Request
from quorate.wire.go.duration import LENGTH_MAX, parse_short_duration


@pytest.mark.parametrize("text", ["1h" * 8000, "1" * 64_000 + "s", "0." + "1" * 64_000 + "s"])
def test_a_long_duration_is_refused_at_once(text: str) -> None:
    began = time.thread_time()
    with pytest.raises(ValueError, match=f"more than {LENGTH_MAX} characters") as caught:
        parse_short_duration(text)
    assert time.thread_time() - began < 0.1
    assert len(str(caught.value)) < 100


def test_an_error_repeats_no_more_than_a_line() -> None:
    with pytest.raises(ValueError, match="invalid syntax") as caught:
        parse_uint64("x" * 8000)
    assert len(str(caught.value)) < ECHO_MAX + 100


@asynchronous
async def test_join_takes_no_more_addresses_than_one_dials() -> None:
    target = "/v1/agent/join?" + "&".join(f"address=10.0.0.{n}" for n in range(ADDRESSES_MAX + 1))
    service = FakeServer()
    response = await answered(service.application(), Request("PUT", target.encode()))
    assert response.status == 400
    assert f"{ADDRESSES_MAX} are the limit" in response.body.decode()


def hostile_bodies(size: int) -> dict[str, bytes]:
    """JSON and none, as long as a body may be."""

    def filled(before: bytes, unit: bytes, after: bytes) -> bytes:
        count = (size - len(before) - len(after)) // len(unit)
        return before + unit * count + after

    different = b'{"Items":{' + b"".join(b'"%x":"",' % n for n in range(size // 8))
    return {
        "escapes": filled(b'{"SchedulerAlgorithm":"', b"\\u0041", b'"}'),
        "digits": filled(b'{"MinQuorum":', b"9", b"}"),
        "fraction": filled(b'{"MinQuorum":0.', b"7", b"}"),
        "exponent": filled(b'{"MinQuorum":1e', b"9", b"}"),
        "digits of a string": filled(b'{"LastContactThreshold":"', b"9", b's"}'),
        "units": filled(b'{"LastContactThreshold":"', b"1h", b'"}'),
        "nested": filled(b'{"x":', b"[", b"}"),
        "nested objects": filled(b"", b'{"a":', b"1"),
        "keys": filled(b"{", b'"a":1,', b'"b":1}'),
        "known keys": filled(b"{", b'"minquorum":1,', b'"b":1}'),
        "blanks": filled(b"", b" ", b"{}"),
        "letters": filled(b'{"Key":"', b"A", b'"}'),
        "not UTF-8": filled(b'{"Key":"', b"\xff", b'"}'),
        "garbage": filled(b"", b"\x00", b""),
        "items": filled(b'{"Items":{', b'"a":"b",', b'"a":"b"}}'),
        "different items": different[: size - 9] + b'"a":"b"}}',
        "items that end in backslashes": filled(b'{"Items":{', b'"a\\\\":"b\\\\",', b'"a":"b"}}'),
        "lists in items": filled(b'{"Items":{"a":[', b"[],", b"1]}}"),
        "fields in other letters": filled(b'{"items":{', b'"a":"b",', b'"a":"b"}}'),
        "operations": filled(
            b'{"Operations":[', b'{"Op":"check","Path":"p","CAS":1},', b'{"Op":"check"}]}'
        ),
        "items of operations": filled(
            b'{"Operations":[{"Op":"set","Path":"p","Items":{', b'"a":"b",', b'"a":"b"}}]}'
        ),
        "roles": filled(b'{"Roles":[', b'{"ID":"a"},', b'{"Name":"b"}]}'),
        "policies of a role": filled(b'{"policies":[', b'{"name":"a"},', b"{}]}"),
        "names of policies": filled(b'{"Policies":[', b'"a",', b'"b"]}'),
        "empty operations": filled(b'{"Operations":[', b"{},", b"{}]}"),
    }


WRITES = [
    (method, row.shown_path.replace("<", "").replace(">", ""), row.body_max)
    for row in TABLE
    if not row.streams  # its body passes in pieces, and is never held
    for method in ("PUT", "POST", "DELETE")
    if method in row.methods or row.methods == ANY
]


@pytest.mark.parametrize(("method", "path", "size"), WRITES)
@asynchronous
async def test_no_body_holds_the_loop(method: str, path: str, size: int) -> None:
    """A hundredth of a second for any of them, on the slowest machine that tests run on."""
    # A value of 64 KiB may be six times as long in JSON; all others make no sense beyond that.
    assert size <= 64 * 1024 or path.startswith(("/v1/var/", "/v1/vars/", "/v1/acl/policy/"))
    server = FakeServer().write_defaults()
    server.access.turn_on()
    application = server.application()
    for name, body in hostile_bodies(size).items():
        took = []
        for _ in range(3):
            began = time.thread_time()
            await answered(application, Request(method, path.encode(), (), body))
            took.append(time.thread_time() - began)
        assert min(took) < 0.01, name


@pytest.mark.parametrize(
    "query",
    [
        "index=" + "9" * 8000,
        "wait=" + "1h" * 4000,
        "wait=" + "9" * 8000 + "s",
        "stale=" + "%41" * 2600,
        "&".join(f"a{number}=1" for number in range(1100)),
        "&" * 8000,
        "prefix=" + "%" * 8000,
        "region=" + "x" * 8000,
        "cas=" + "9" * 8000,
    ],
)
@asynchronous
async def test_no_query_holds_the_loop(query: str) -> None:
    application = FakeServer().write_defaults().application()
    for path in ("/v1/namespaces", "/v1/operator/raft/configuration", "/v1/search"):
        took = []
        for _ in range(3):
            began = time.thread_time()
            await answered(application, Request("GET", f"{path}?{query}".encode()))
            took.append(time.thread_time() - began)
        assert min(took) < 0.01, path
