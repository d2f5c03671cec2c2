"""RFC 9110 and 9112 where strangers probe them; nothing of it ends in a traceback."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_processes import Servers, running, until

pytestmark = pytest.mark.process

PUT = b"PUT /v1/operator/scheduler/configuration HTTP/1.1\r\nHost: x\r\n"
WHOLE = PUT + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
GET = b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n"
BLOCKING = b"GET /v1/namespaces?index=99&wait=1s HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("one"), 1) as servers:
        yield servers


def answer(server: Servers, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.http[0]), timeout=8) as connection:
        connection.sendall(data)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(4096):
                received += piece
    return received


def test_http_1_0_gets_no_interim_answer(server: Servers) -> None:
    old = WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: x", b"Expect: 100-continue")
    assert answer(server, old).startswith(b"HTTP/1.1 200 OK")
    new = WHOLE.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue\r\nConnection: close")
    assert answer(server, new).startswith(b"HTTP/1.1 100 Continue")


@pytest.mark.parametrize("zeros", [31, 5000])
def test_a_length_may_have_zeros(server: Servers, zeros: int) -> None:
    length = b"Connection: close\r\nContent-Length: " + b"0" * zeros + b"2"
    data = WHOLE.replace(b"Content-Length: 2", length)
    assert answer(server, data).startswith(b"HTTP/1.1 200")


def test_a_length_that_is_too_long(server: Servers) -> None:
    data = WHOLE.replace(b"Length: 2", b"Length: 9999999999999999")
    assert answer(server, data).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/status/leader HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /v1/status/leader HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /v1/status/leader HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /v1/status/leader HTTP/1.0\r\n\r\n", 200),
        (b"GET /v1/status/leader HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", 200),
    ],
)
def test_one_host_header(server: Servers, head: bytes, status: int) -> None:
    assert answer(server, head).startswith(b"HTTP/1.1 %d" % status)


def test_requests_sent_ahead_and_a_reset_leave_no_traceback(server: Servers) -> None:
    for data in (GET, (WHOLE + CHUNKED + GET) * 5, BLOCKING + CHUNKED + GET, CHUNKED * 20):
        for pause_s in (0.0, 0.01, 0.05) * 7:
            connection = socket.create_connection(("127.0.0.1", server.http[0]), timeout=8)
            connection.sendall(data)
            connection.settimeout(pause_s or 0.001)
            with contextlib.suppress(TimeoutError):
                connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    until(lambda: server.ask(0, "/v1/status/leader").status == 200, "an answer")
    fds = Path(f"/proc/{server.processes[0].pid}/fd")
    until(lambda: len(list(fds.iterdir())) < 60, "the connections to be gone")
    assert "Traceback" not in server.log(0)
    assert "uvicorn" not in server.log(0)
