"""`operator diagnose`: what it prints, its exit codes, and what real Nomad servers tell."""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from cli_run import Ran, run
from client_fake_agent import (
    TLS,
    FakeAgent,
    Reply,
    closed_port,
    golden_http,
    json_reply,
    server_context,
    text_reply,
)
from places import GOLDEN

from quorate.diagnosis.asking.network import BODY_BYTES_MAX
from quorate.errors import TokensNotCurrent

CERTIFICATE = (f"-client-cert={TLS / 'client.pem'}", f"-client-key={TLS / 'client.key'}")
VIEWS = "GET /v1/operator/raft/views?details"
NO_SUCH = text_reply(404, "Invalid method")
# A cluster of Nomad 1.0 servers that has lost two of three; and one that has not.
LOST = {
    VIEWS: NO_SUCH,
    "GET /v1/agent/members": golden_http("lq-members"),
    "GET /v1/operator/raft/configuration?stale": golden_http("lq-raft-config-stale"),
    "GET /v1/status/leader?stale": golden_http("lq-status-leader-stale"),
    "GET /v1/status/peers?stale": golden_http("r3-status-peers"),
}
WHOLE = {
    VIEWS: NO_SUCH,
    "GET /v1/agent/self": golden_http("r3-agent-self"),
    "GET /v1/agent/members": golden_http("r3-agent-members"),
    "GET /v1/operator/raft/configuration?stale": golden_http("r3-raft-config-leader"),
    "GET /v1/status/leader?stale": golden_http("r3-status-leader"),
    "GET /v1/status/peers?stale": golden_http("r3-status-peers"),
}


def diagnosed(*args: str) -> Ran:
    return run("operator", "diagnose", *args)


def causes(ran: Ran) -> list[str]:
    return [each["Cause"] for each in json.loads(ran.stdout)["Findings"]]


def test_nothing_answers_and_that_is_exit_code_3() -> None:
    ran = diagnosed(f"-address=http://127.0.0.1:{closed_port()}")
    assert ran.code == 3
    assert ran.stdout.startswith("No server answers, and no data folder was given.\n")
    assert "connection refused" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-address=nonsense",), "invalid address 'nonsense'"),
        (("-no-such",), "flag provided but not defined: -no-such"),
        (("-json", "-t={{.}}"), "Give either -json or -t, not both"),
        (("-config=/no/such/file",), "Error reading the configuration"),
        (("-ca-cert=/no/such/file",), "Error loading CA File"),
        (("",), "The path to a data_dir is empty"),
    ],
)
def test_mistakes_are_exit_code_1_and_nothing_is_asked(args: tuple[str, ...], said: str) -> None:
    ran = diagnosed(*args)
    assert ran.code == 1
    assert said in ran.stderr


def test_nomad_servers_that_lost_their_quorum() -> None:
    with FakeAgent(LOST) as agent:
        ran = diagnosed("-json", agent.address)
    answer = json.loads(ran.stdout)
    assert (ran.code, answer["Outcome"], answer["Leader"]) == (2, "cause", "")
    finding = answer["Findings"][0]
    assert finding["Cause"] == "quorum-unreachable"
    assert finding["Text"].startswith("1 of 3 voters can be reached")
    assert "recover peers-json" in "".join(finding["Next"])
    (server,) = answer["Servers"]
    assert (server["Make"], server["Node"]) == ("Nomad", "s1.global")


def test_nomad_servers_with_a_leader() -> None:
    """What was captured of the leader; the other two are not there to be asked."""
    with FakeAgent(WHOLE) as agent:
        ran = diagnosed("-json", agent.address)
    answer = json.loads(ran.stdout)
    assert (ran.code, answer["Leader"]) == (0, "s3.global")
    assert answer["Servers"][0]["Role"] == "leader"
    assert {each["Severity"] for each in answer["Findings"]} <= {"warning"}


def test_nomad_1_6_without_agent_read(tmp_path: Path) -> None:
    """What was captured of a 1.6 server; it is told by its members who it is."""
    routes = {
        VIEWS: NO_SUCH,
        "GET /v1/agent/self": text_reply(403, "Permission denied"),
        "GET /v1/agent/members": captured_1_6("v16-members"),
        "GET /v1/operator/raft/configuration?stale": captured_1_6("v16-raft-config"),
        "GET /v1/status/peers?stale": captured_1_6("v16-status-peers"),
    }
    with FakeAgent(routes) as agent:
        ran = diagnosed("-json", agent.address)
    answer = json.loads(ran.stdout)
    (server,) = answer["Servers"]
    assert (server["Make"], server["Version"], server["Voters"]) == ("Nomad", "1.6.3", 3)
    assert answer["Leader"] == "s2.global"
    shown = diagnosed(agent.address)
    assert max(map(len, shown.stdout.splitlines())) <= 80


def captured_1_6(name: str) -> Reply:
    response = json.loads((GOLDEN / "http-1.6" / f"{name}.json").read_text())["response"]
    return Reply(response["status"], response["body"].encode())


def test_an_agent_that_wants_a_token() -> None:
    denied = text_reply(403, "Permission denied")
    with FakeAgent(dict.fromkeys(WHOLE, denied)) as agent:
        ran = diagnosed("-json", agent.address)
    assert (ran.code, causes(ran)) == (3, ["denied"])


def test_what_health_tells_needs_no_token() -> None:
    message = "No cluster leader; no leader: 1 of 3 voters are here (s1.global)"
    health = json_reply({"server": {"ok": False, "message": message}}, 500)
    routes = {**dict.fromkeys(WHOLE, text_reply(403, "Permission denied"))}
    routes["GET /v1/status/leader?stale"] = json_reply("")
    with FakeAgent({**routes, "GET /v1/agent/health": health}) as agent:
        ran = diagnosed("-json", agent.address)
    assert (ran.code, causes(ran)) == (2, ["unhealthy", "denied"])
    assert message in ran.stdout
    healthy = json_reply({"server": {"ok": True, "message": "ok"}})
    routes["GET /v1/status/leader?stale"] = json_reply("10.0.0.1:4647")
    with FakeAgent({**routes, "GET /v1/agent/health": healthy}) as agent:
        ran = diagnosed("-json", agent.address)
    assert (ran.code, json.loads(ran.stdout)["Leader"]) == (0, "10.0.0.1:4647")
    assert causes(ran) == ["denied"]


def test_a_server_without_a_leader_that_cannot_check_the_token_names_the_control_socket() -> None:
    error = TokensNotCurrent(61)
    routes = dict.fromkeys((*WHOLE, VIEWS), text_reply(503, str(error)))
    with FakeAgent(routes) as agent:
        ran = diagnosed("-json", agent.address)
    assert (ran.code, causes(ran)) == (3, ["denied"])
    message = "No cluster leader; no leader: 1 of 3 voters are here (s1.global)"
    health = json_reply({"server": {"ok": False, "message": message}}, 500)
    with FakeAgent({**routes, "GET /v1/agent/health": health}) as agent:
        ran = diagnosed("-json", agent.address)
        shown = diagnosed(agent.address).stdout
    assert (ran.code, causes(ran)) == (2, ["unhealthy", "denied"])
    assert message in ran.stdout
    assert "     quorate operator diagnose -address=unix://DATA_DIR/control.sock\n" in shown
    assert f"  {agent.address}: this server has not heard the leader for 61 s, so it" in shown


@pytest.mark.parametrize(
    "reply",
    [
        text_reply(200, "<html>"),
        json_reply([1, 2, 3]),
        json_reply({"Asked": 7, "Servers": [None, {"ID": 8}]}),
        text_reply(200, "[" * 100_000),
        Reply(200, b'{"Asked":"' + b"\xff" * 99 + b'"}'),
        Reply(200, b"0" * (BODY_BYTES_MAX + 1)),
        text_reply(500, "No cluster leader"),
    ],
)
def test_garbage_is_told_and_is_no_traceback(reply: Reply) -> None:
    with FakeAgent(dict.fromkeys(WHOLE, reply)) as agent:
        ran = diagnosed("-json", agent.address)
    assert (ran.code, causes(ran)) == (3, ["not-an-agent"])


@contextmanager
def listener(answer: bytes, *, every_s: float = 0.0) -> Iterator[str]:
    """A server that sends these bytes again and again, or accepts and says nothing."""
    server = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while not ended.wait(every_s):
                    if answer:
                        connection.sendall(answer)
                    elif not connection.recv(4096):
                        return
            except OSError:
                return

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        server.close()


@pytest.mark.parametrize(
    ("answer", "every_s", "cause"),
    [
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 4000 + b"\r\n", 0.0, "not-an-agent"),
        (b"x" * 4096, 0.0, "not-an-agent"),
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: h2\r\nConnection: upgrade\r\n\r\n",
            0,
            "not-an-agent",
        ),
    ],
)
def test_answers_without_an_end_are_cut(answer: bytes, every_s: float, cause: str) -> None:
    with listener(answer, every_s=every_s) as address:
        ran = diagnosed("-json", address)
    assert causes(ran) == [cause]


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "every_s"), [(b"", 0.05), (b"HTTP/1.1 200 OK\r\nA", 30.0), (b"H", 0.5)]
)
def test_it_ends_in_time_whatever_hangs(answer: bytes, every_s: float) -> None:
    began = time.monotonic()
    with listener(answer, every_s=every_s) as address:
        ran = diagnosed("-json", *(address for _ in range(3)), "http://127.0.0.2:9")
    assert time.monotonic() - began < 10
    assert ran.code == 3


def test_tls_that_fails_is_named_by_the_check() -> None:
    with FakeAgent(WHOLE, tls=server_context()) as agent:
        ran = diagnosed("-json", agent.address)
    assert causes(ran) == ["tls-refused"]
    assert "x509" in ran.stdout


def test_a_server_that_wants_a_certificate_and_closes_says_no_more_than_that() -> None:
    """With TLS 1.3 it closes behind the handshake, when the request was sent already."""
    with FakeAgent(WHOLE, tls=server_context()) as agent:
        ran = diagnosed("-json", "-tls-skip-verify", agent.address)
    assert causes(ran) == ["tls-refused"]
    assert "it probably wants a client certificate" in ran.stdout or "tls: " in ran.stdout


def test_a_folder_that_is_none() -> None:
    ran = diagnosed("-json", "/no/such/folder")
    assert (ran.code, causes(ran)) == (2, ["folder-unreadable"])


def test_what_is_no_folder_or_may_not_be_read_says_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for name, said in (
        ("pipe", "it is a pipe"),
        ("file", "it is a file"),
        ("x", "nothing of that"),
    ):
        ran = diagnosed(str(tmp_path / name))
        assert (ran.code, said in ran.stdout) == (2, True), ran.stdout
        assert "Next: give the data_dir of a server" in ran.stdout
    with patch.object(
        Path, "is_dir", side_effect=PermissionError(errno.EACCES, "Permission denied")
    ):
        ran = diagnosed(str(tmp_path))
    assert "cannot look at" in ran.stdout
    assert "run this as its owner: sudo -u " in " ".join(ran.stdout.split())


def test_host_and_port_are_an_address_unless_a_folder_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeAgent(LOST) as agent:
        ran = diagnosed("-json", agent.address.removeprefix("http://"))
    assert causes(ran)[0] == "quorum-unreachable"
    where = f"127.0.0.1:{closed_port()}"
    assert causes(diagnosed("-json", where)) == ["agent-not-reached"]
    (tmp_path / where).mkdir()
    assert causes(diagnosed("-json", where)) == ["folder-unreadable"]
    with FakeAgent(WHOLE, tls=server_context()) as agent:
        place = agent.address.removeprefix("https://")
        words = ("-tls-skip-verify", *CERTIFICATE, place)
        asked = json.loads(diagnosed("-json", *words).stdout)["Asked"]
    assert asked[0]["Address"] == agent.address


def test_a_command_stands_whole_on_its_line_and_asks_as_it_was_asked(tmp_path: Path) -> None:
    """A copy of the line is a command that works, whatever the width of the terminal."""
    (tmp_path / "t").write_text("a-secret\n")
    token = f"-token-file={tmp_path / 't'}"
    with FakeAgent(LOST, tls=server_context()) as agent:
        words = ("-insecure", *CERTIFICATE, token, agent.address)
        ran = diagnosed(*words)
        told = json.loads(diagnosed("-json", *words).stdout)
    (command,) = told["Findings"][0]["Commands"]
    options = f"-address={agent.address} {' '.join(CERTIFICATE)} {token} -tls-skip-verify"
    assert "a-secret" not in ran.stdout + json.dumps(told)
    assert {seen.headers.get("x-nomad-token") for seen in agent.requests} == {"a-secret"}
    assert command == f"quorate operator recover peers-json {options}"
    assert f"     {command}" in ran.stdout.splitlines()
    assert "`" not in ran.stdout + json.dumps(told)


def test_the_servers_to_join_of_a_configuration_are_tried(tmp_path: Path) -> None:
    port, http = closed_port(), closed_port()
    file = tmp_path / "a.hcl"
    file.write_text(
        f'data_dir = "{tmp_path}"\nbind_addr = "127.0.0.1"\nports {{ http = {http} }}\n'
        f'server {{\n enabled = true\n bootstrap_expect = 3\n retry_join = ["127.0.0.1:{port}"]\n}}'
    )
    ran = diagnosed("-json", f"-config={file}")
    assert ran.code == 3
    assert json.loads(ran.stdout)["Asked"][0]["Address"] == f"http://127.0.0.1:{http}"
