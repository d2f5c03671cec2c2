"""An agent made of recorded answers, in a thread of this process.

A route is "METHOD target" with the target exactly as it travels; what is not a route is answered
404 with the target in the body, so a wrong request shows itself in the test's output.
"""

import json
import socket
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from places import GOLDEN

TLS = Path(__file__).parent / "tls"


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


class Seen(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def golden_http(name: str) -> Reply:
    """The recorded answer of a case; headers that the server writes by itself are left out."""
    response = json.loads((GOLDEN / "http" / f"{name}.json").read_text())["response"]
    skipped = {"content-length", "transfer-encoding", "connection"}
    headers = tuple((k, v) for k, v in response["headers"].items() if k.lower() not in skipped)
    return Reply(response["status"], response["body"].encode(), headers)


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


def text_reply(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), (("Content-Type", "text/plain; charset=utf-8"),))


def server_context() -> ssl.SSLContext:
    """TLS as a server that wants a certificate of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    context.load_verify_locations(TLS / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _QuietHttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no concern of a test."""


class FakeAgent:
    def __init__(
        self,
        routes: dict[str, Reply],
        *,
        tls: ssl.SSLContext | None = None,
        unix: Path | None = None,
    ) -> None:
        self.routes = routes
        self.requests: list[Seen] = []
        handler = _handler_for(self)
        if unix:
            self._server: socketserver.BaseServer = _UnixServer(str(unix), handler)
            self.address = f"unix://{unix}"
        else:
            http = _QuietHttpServer(("127.0.0.1", 0), handler)
            if tls:
                http.socket = tls.wrap_socket(http.socket, server_side=True)
            self._server = http
            self.address = f"{'https' if tls else 'http'}://127.0.0.1:{http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def asked(self) -> list[str]:
        """The routes that were asked for, in order."""
        return [f"{seen.method} {seen.target}" for seen in self.requests]


def _handler_for(agent: FakeAgent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {k.lower(): v for k, v in self.headers.items()}
            agent.requests.append(Seen(self.command, self.path, headers, body))
            route = f"{self.command} {self.path}"
            reply = agent.routes.get(route) or text_reply(404, f"no route: {route}")
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            if "Content-Length" in dict(reply.headers):  # another one: the answer is cut short
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - names of the library

        def address_string(self) -> str:
            return "fake"  # a Unix socket's client has no address to print

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's
            """Say nothing."""

    return Handler


class AlertServer:
    """A TLS server that answers every hello with one fatal alert."""

    BAD_CERTIFICATE = 42

    def __init__(self, alert: int) -> None:
        self._record = bytes((0x15, 3, 3, 0, 2, 2, alert))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        self._socket.settimeout(10)
        connection, _ = self._socket.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(self._record)


def closed_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
