"""What nobody should send to the RPC port: it costs little memory and changes nothing."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest
from server_processes import Servers, running, until

from quorate.raft.values.messages import AppendEntriesRequest, RequestVoteRequest
from quorate.wire.raft.messages import encode_request

pytestmark = pytest.mark.process

Foreign: TypeAlias = type[AppendEntriesRequest | RequestVoteRequest]

MEBI = 1 << 20
REQUEST_BYTES_MAX = 64 * MEBI
RAFT = b"\x02"
APPEND_ENTRIES = b"\x00"
# Declared lengths at the very end of their ranges: four thousand million bytes or elements.
GIANTS = {
    "bytes": b"\x81\xa6Leader\xc6\xff\xff\xff\xff",
    "text": b"\x81\xa6Leader\xdb\xff\xff\xff\xff",
    "array": b"\x81\xa7Entries\xdd\xff\xff\xff\xff",
    "map": b"\xdf\xff\xff\xff\xff",
    "extension": b"\x81\xa6Leader\xc9\xff\xff\xff\xff\x05",
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("one"), 1) as servers:
        yield servers


def resident_bytes(servers: Servers, what: str = "VmRSS") -> int:
    status = Path(f"/proc/{servers.processes[0].pid}/status").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def send_until_closed(port: int, head: bytes, piece: bytes, limit: int) -> int:
    """Send `head`, then `piece` again and again; how many bytes went out before the close."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(head)
            while sent < limit:
                connection.sendall(piece)
                sent += len(piece)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        except ConnectionError:
            pass
    return sent


@pytest.mark.parametrize("giant", GIANTS.values(), ids=GIANTS)
def test_a_giant_declared_length_reserves_nothing(giant: bytes, one: Servers) -> None:
    before = resident_bytes(one)
    head = RAFT + APPEND_ENTRIES + giant
    connections = []
    for _ in range(30):
        connection = socket.create_connection(("127.0.0.1", one.rpc[0]), timeout=8)
        connection.sendall(head + bytes(1000))
        connections.append(connection)
    assert one.ask(0, "/v1/status/leader").status == 200
    assert resident_bytes(one) - before < 8 * MEBI
    for connection in connections:
        connection.close()


def test_an_endless_request_is_cut_off_at_the_limit(one: Servers) -> None:
    before = resident_bytes(one)
    head = RAFT + APPEND_ENTRIES + GIANTS["bytes"]
    sent = send_until_closed(one.rpc[0], head, bytes(MEBI), 3 * REQUEST_BYTES_MAX)
    # Some of it may wait in the buffers of the kernel when the server closes.
    assert sent < REQUEST_BYTES_MAX + 16 * MEBI
    assert resident_bytes(one, "VmHWM") - before < 3 * REQUEST_BYTES_MAX
    assert one.ask(0, "/v1/status/leader").status == 200
    until(lambda: resident_bytes(one) - before < 16 * MEBI, "the memory to be given back")


@pytest.mark.parametrize("size", [1, 2, 3, 10, 40])
def test_a_truncated_request_does_nothing(size: int, one: Servers) -> None:
    request = RAFT + encode_request(AppendEntriesRequest(term=10**6, leader="127.0.0.1:1"))
    term = one.stats(0)["term"]
    with socket.create_connection(("127.0.0.1", one.rpc[0]), timeout=8) as connection:
        connection.sendall(request[:size])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert one.stats(0)["term"] == term


@pytest.mark.parametrize(
    "request_type",
    [AppendEntriesRequest, RequestVoteRequest],
)
def test_a_peer_of_another_cluster_is_refused(request_type: Foreign, tmp_path: Path) -> None:
    with running(tmp_path, 1) as servers:
        term = servers.stats(0)["term"]
        request = request_type(
            term=10**6,
            sender_id="stranger",
            sender_address="127.0.0.1:1",
            cluster_id="00000000-0000-0000-0000-00000000000a",
        )
        with socket.create_connection(("127.0.0.1", servers.rpc[0]), timeout=8) as connection:
            connection.sendall(RAFT + encode_request(request))
            with suppress(ConnectionResetError):
                assert connection.recv(100) == b""
        # In its first second a new cluster still has level 0, and says it of the sender.
        until(lambda: "proves no" in servers.log(0), "a line in the log")
        assert servers.stats(0)["term"] == term
        assert servers.stats(0)["state"] == "Leader"
