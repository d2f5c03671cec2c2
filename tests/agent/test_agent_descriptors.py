"""Few descriptors, and clients that take them: the log and the other servers go first."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_process import OneAgent, one_agent
from server_processes import running, until

from quorate.agent.descriptors import for_http, for_rpc
from quorate.errors import StorageFull
from quorate.storage.disk_errors import disk_error

process = pytest.mark.process


def prlimit(pid: int, soft: int, hard: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def limited(agent: OneAgent, soft: int, hard: int) -> None:
    """Start it with these limits."""
    agent.prefix = ["/bin/sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"]
    agent.run()


@contextlib.contextmanager
def idle_clients(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing, from many addresses."""
    connections: list[socket.socket] = []
    try:
        for number in range(count):
            connection = socket.socket()
            connection.settimeout(10)
            connection.bind((f"127.0.1.{1 + number % 30}", 0))
            connection.connect(("127.0.0.1", port))
            connections.append(connection)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def refused(connections: list[socket.socket], told: dict[socket.socket, bytes]) -> int:
    """How many the server has closed; `told` keeps what it said to them."""
    for connection in connections:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            try:
                told[connection] = told.get(connection, b"") + connection.recv(4096)
            except ConnectionResetError:
                told.setdefault(connection, b"")
    return len(told)


@process
def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    with one_agent(tmp_path) as agent:
        limited(agent, 256, 2000)
        agent.serves()
        limits = Path(f"/proc/{agent.process.pid}/limits").read_text()
        line = next(each for each in limits.splitlines() if each.startswith("Max open files"))
        assert line.split()[3:5] == ["2000", "2000"]


@process
def test_clients_are_refused_before_the_log_has_no_descriptor(tmp_path: Path) -> None:
    with one_agent(tmp_path) as agent:
        limited(agent, 300, 300)
        agent.serves()
        descriptors = Path(f"/proc/{agent.process.pid}/fd")
        with idle_clients(agent.http[0], 400) as clients:
            told: dict[socket.socket, bytes] = {}
            until(lambda: refused(clients, told) >= 400 - for_http(300), "refusals")
            assert len(list(descriptors.iterdir())) < 300 - 100
            assert any(b"503 Service Unavailable" in text for text in told.values())
            clients.pop(0).close()  # room for one request
            until(agent.write, "a write")
        until(agent.write, "a write")
        assert agent.ended() == 1


@process
def test_connections_to_the_rpc_port_leave_descriptors_for_the_log(tmp_path: Path) -> None:
    with one_agent(tmp_path) as agent:
        limited(agent, 300, 300)
        agent.serves()
        descriptors = Path(f"/proc/{agent.process.pid}/fd")
        with idle_clients(agent.rpc[0], 400) as clients:
            told: dict[socket.socket, bytes] = {}
            until(lambda: refused(clients, told) >= 400 - for_rpc(300) // 2, "room that is made")
            assert len(list(descriptors.iterdir())) < 300 - 100
            agent.write()


@process
def test_a_server_without_a_free_descriptor_goes_on_when_there_is_one(tmp_path: Path) -> None:
    keys = {"raft_snapshot_threshold": 5, "raft_snapshot_interval": "10ms"}
    with running(tmp_path, 3, **keys) as servers:
        leader = servers.leader()
        pid = servers.processes[leader].pid
        url = "/v1/operator/scheduler/configuration"
        stop = threading.Event()
        answers: list[int] = []

        def write() -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    body = {"SchedulerAlgorithm": "spread"}
                    answers.append(servers.ask((leader + 1) % 3, url, "PUT", body).status)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            # The follower that is asked has a connection to the leader from now on.
            until(lambda: answers.count(200) > 5, "writes before")
            prlimit(pid, 3, 20000)
            seen = len(answers)
            until(lambda: len(answers) > seen + 30, "writes while no file can be opened")
            assert servers.processes[leader].poll() is None, servers.log(leader)
            prlimit(pid, 20000, 20000)
            seen = len(answers)
            until(lambda: answers[seen:].count(200) > 30, "writes")
        finally:
            stop.set()
            writer.join()
        assert servers.processes[leader].poll() is None, servers.log(leader)
        until(lambda: servers.ask(leader, url, "PUT", {}).status == 200, "an answer of that server")


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_no_free_descriptor_passes_as_a_full_disk_does(code: int) -> None:
    error = disk_error(code, "Too many open files", "open /x")
    assert isinstance(error, StorageFull)
    assert "LimitNOFILE" in error.next_step


def test_a_limit_of_file_sizes_is_no_full_disk() -> None:
    error = disk_error(errno.EFBIG, "File too large", "write /x")
    assert isinstance(error, StorageFull)
    assert error.line() == (
        "cannot write /x: the file may not grow (File too large); raise the limit of file sizes "
        "(ulimit -f, LimitFSIZE), or use another file system"
    )


def test_what_is_left_for_clients() -> None:
    assert [for_http(limit) for limit in (1, 64, 300, 1024, 1 << 20)] == [
        1,
        32,
        150,
        683,
        (1 << 20) - 8192,
    ]
    for limit in (1, 64, 300, 1024, 1 << 20):
        assert for_rpc(limit) + for_http(limit) <= max(limit, 2)
    assert [for_rpc(limit) for limit in (1, 64, 300, 1024, 1 << 20)] == [1, 24, 112, 255, 6144]
