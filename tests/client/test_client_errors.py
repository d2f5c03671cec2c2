"""When there is no answer: the words of the Go client, and what to do next (docs/cli.md#rules)."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from client_both import BOTH, use
from client_fake_agent import TLS, AlertServer, FakeAgent, closed_port, server_context

from quorate.client import (
    AddressError,
    Client,
    RequestError,
    StatusError,
    TlsError,
    TlsOptions,
)
from quorate.client.transport.address import Address, parse_address
from quorate.client.transport.wire import Reaching, Wire

GOOD = TlsOptions(
    ca_cert=str(TLS / "ca.pem"),
    client_cert=str(TLS / "client.pem"),
    client_key=str(TLS / "client.key"),
)


@pytest.fixture(autouse=True, params=BOTH)
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, sys.modules[__name__], request.param)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (":bad:", 'parse ":bad:": missing protocol scheme'),
        ("127.0.0.1:4646", 'parse "127.0.0.1:4646": first path segment in URL cannot contain'),
        ("localhost:4646", "the protocol scheme is missing"),
        ("localhost", "the protocol scheme is missing"),
        ("ftp://x", 'unsupported protocol scheme "ftp"'),
        ("http://", "the host is missing"),
        ("http://x:port", "Port could not be cast"),
        ("http://x:99999", "Port out of range"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://a b", "has blanks"),
        ("unix://", "the path of the socket is missing"),
        ("", "the protocol scheme is missing"),
    ],
)
def test_addresses_that_are_none(text: str, reason: str) -> None:
    with pytest.raises(AddressError) as caught:
        Client(text)
    assert str(caught.value).startswith(f"invalid address '{text}': ")
    assert reason in str(caught.value)
    assert "http://127.0.0.1:4646" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://a:1/", Address("http://a:1", "a", 1, tls=False)),
        ("HTTP://a", Address("http://a", "a", 80, tls=False)),
        ("https://a/proxy/", Address("https://a/proxy", "a", 443, tls=True)),
        ("http://[::1]:4646", Address("http://[::1]:4646", "::1", 4646, tls=False)),
        (
            "unix:///run/a.sock",
            Address("http://127.0.0.1", "127.0.0.1", 80, tls=False, socket="/run/a.sock"),
        ),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


def test_ipv6_is_dialled_in_brackets() -> None:
    assert parse_address("http://[::1]:4646").dialled == "[::1]:4646"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.9", True),
        ("http://[::1]", True),
        ("unix:///x", True),
        ("http://10.0.0.1", False),
        ("http://nomad.example", False),
    ],
)
def test_proxies_are_only_for_what_is_far(text: str, near: bool) -> None:
    assert parse_address(text).is_loopback is near


def failing(address: str, tls: TlsOptions | None = None, timeout_s: float = 10.0) -> RequestError:
    with (
        Client(address, tls=tls, timeout_s=timeout_s) as client,
        pytest.raises(RequestError) as caught,
    ):
        client.leader()
    return caught.value


def test_refused() -> None:
    port = closed_port()
    error = failing(f"http://127.0.0.1:{port}")
    assert str(error) == (
        f'Get "http://127.0.0.1:{port}/v1/status/leader": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )
    assert "NOMAD_ADDR" in error.next_step


def test_the_method_is_named_as_go_names_it() -> None:
    port = closed_port()
    with (
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(RequestError, match=r'^Delete "http'),
    ):
        client.remove_raft_peer(server_id="x")


def test_no_such_name() -> None:
    error = failing("http://no-such-host.invalid:4646")
    assert "dial tcp: lookup no-such-host.invalid: no such host" in str(error)


# In a process of its own: httpcore leaves a Unix socket whose connect failed to the collector, and
# here a ResourceWarning is an error.
def test_no_such_socket(tmp_path: Path) -> None:
    code = "import sys; from quorate.client import Client; Client(sys.argv[1]).leader()"
    address = f"unix://{tmp_path}/none.sock"
    done = subprocess.run(
        [sys.executable, "-c", code, address], capture_output=True, timeout=20, check=False
    )
    text = f"dial unix {tmp_path}/none.sock: connect: no such file or directory\n"
    assert done.stderr.decode().endswith(text)


@contextmanager
def raw_server(answer: bytes | None) -> Iterator[str]:
    """A server that sends these bytes and closes; with None it keeps silent until the end."""
    end = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    end.wait(10)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            end.set()
            thread.join(10)


def test_closed_without_a_word() -> None:
    with raw_server(b"") as address:
        assert str(failing(address)).endswith(": EOF")


def test_closed_in_the_handshake_of_tls() -> None:
    """A server that misses a certificate may close without an alert of TLS: this is all it says."""
    with raw_server(b"") as address:
        error = failing(address.replace("http://", "https://"))
    assert "EOF: the server closed the connection in the TLS handshake" in str(error)
    assert "(-client-cert, -client-key)" in str(error)


def test_no_http() -> None:
    with raw_server(b"SSH-2.0-OpenSSH\r\n\r\n") as address:
        assert "malformed HTTP response" in str(failing(address))


def test_silence() -> None:
    with raw_server(None) as address:
        error = failing(address, timeout_s=0.05)
    assert "Client.Timeout exceeded while awaiting headers" in str(error)
    assert "ask another one" in error.next_step


# -- TLS ----------------------------------------------------------------------------------------


def test_tls_with_all_files() -> None:
    with FakeAgent({}, tls=server_context()) as agent, Client(agent.address, tls=GOOD) as client:
        assert client.request("GET", "/v1/x").status == 404


def test_tls_with_a_folder_of_authorities(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "our-ca.crt").write_bytes((TLS / "ca.pem").read_bytes())
    options = TlsOptions(
        ca_path=str(tmp_path), client_cert=GOOD.client_cert, client_key=GOOD.client_key
    )
    with FakeAgent({}, tls=server_context()) as agent, Client(agent.address, tls=options) as client:
        assert client.request("GET", "/v1/x").status == 404


@pytest.mark.parametrize(
    ("name", "accepted"), [("server.global.nomad", True), ("client.global.nomad", False)]
)
def test_the_certificate_must_bear_the_name_asked_for(name: str, accepted: bool) -> None:
    options = TlsOptions(
        ca_cert=GOOD.ca_cert,
        client_cert=GOOD.client_cert,
        client_key=GOOD.client_key,
        server_name=name,
    )
    with FakeAgent({}, tls=server_context()) as agent:
        if accepted:
            with Client(agent.address, tls=options) as client:
                assert client.request("GET", "/v1/x").status == 404
        else:
            assert "x509: Hostname mismatch" in str(failing(agent.address, options))


def test_tls_spoken_to_a_plain_server() -> None:
    with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        error = failing(address.replace("http://", "https://"), GOOD)
    assert "first record does not look like a TLS handshake" in str(error)
    assert "http://" in error.next_step


@pytest.mark.parametrize(
    ("alert", "words"),
    [(42, "bad certificate"), (48, "unknown certificate authority"), (40, "handshake failure")],
)
def test_alerts_are_named(alert: int, words: str) -> None:
    with AlertServer(alert) as server:
        assert str(failing(server.address, GOOD)).endswith(f": remote error: tls: {words}")


def options_with(tmp_path: Path, **paths: str) -> TlsOptions:
    """TLS options whose files are made: none, junk or one of ours."""
    (tmp_path / "junk.pem").write_text("junk")
    places = {"none": tmp_path / "none.pem", "junk": tmp_path / "junk.pem", "here": tmp_path}
    fields = {key: str(places.get(name, TLS / name)) for key, name in paths.items()}
    return msgspec.structs.replace(TlsOptions(), **fields)


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (
            {"ca_cert": "none"},
            "Error loading CA File: open <dir>/none.pem: no such file or directory",
        ),
        ({"ca_cert": "junk"}, "Error loading CA File: Couldn't parse PEM in: <dir>/junk.pem"),
        ({"ca_cert": "here"}, "Error loading CA File: open <dir>: is a directory"),
        ({"ca_path": "none"}, "Error loading CA Path: lstat <dir>/none.pem: no such file"),
        ({"ca_path": "here"}, "Error loading CA Path: Couldn't parse PEM in: <dir>/junk.pem"),
        ({"client_cert": "client.pem"}, "Both client cert and client key must be provided"),
        (
            {"client_cert": "none", "client_key": "client.key"},
            "open <dir>/none.pem: no such file or directory",
        ),
        ({"client_cert": "client.pem", "client_key": "server.key"}, "Error loading client cert"),
        ({"client_cert": "junk", "client_key": "client.key"}, "Error loading client certificate"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_files_are_checked_before_anything_is_sent(
    paths: dict[str, str], text: str, scheme: str, tmp_path: Path
) -> None:
    with pytest.raises(TlsError) as caught:
        Client(f"{scheme}://127.0.0.1:1", tls=options_with(tmp_path, **paths))
    assert str(caught.value).replace(str(tmp_path), "<dir>").startswith(text)
    assert caught.value.next_step


@pytest.mark.parametrize("body", [b"", b"Invalid method"])
def test_what_only_our_servers_answer(body: bytes) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        raw_server(head + body) as address,
        Client(address) as client,
        pytest.raises(StatusError) as caught,
    ):
        client.raft_views()
    shown = f" ({body.decode()})" if body else ""
    assert str(caught.value) == f"Unexpected response code: 404{shown}"
    assert caught.value.next_step == "only Quorate's servers answer this: ask one of them"


@pytest.mark.parametrize(("silence_s", "connect_s"), [(2.0, 2.0), (60.0, 10.0), (None, 10.0)])
def test_a_renewal_waits_no_longer_to_connect_than_for_the_answer(
    silence_s: float | None, connect_s: float
) -> None:
    """So the loss of a lock is told when its TTL is over, whatever happened to its server."""
    wire = Wire(Reaching("http://127.0.0.1:1", TlsOptions(), {}, None, 60.0))
    with httpx.Client() as http:
        request = wire.request(http, "PUT", "http://127.0.0.1:1/x", silence_s=silence_s)
    times = request.extensions["timeout"]
    assert (times["read"], times["connect"]) == (silence_s, connect_s)
