"""Silent servers: a process that stands still, a DNS that does not answer, a machine off."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from typing import Any

import pytest
from server_processes import until
from worlds import MEMBERS, REFUSED, SILENT, at, led, report, server, world

from quorate.diagnosis.asking import network
from quorate.diagnosis.asking.answers import failure_of
from quorate.diagnosis.asking.network import Place, Unanswered, get
from quorate.diagnosis.asking.processes import listener_at
from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.values import (
    Asked,
    Dialed,
    Failure,
    Finding,
    Member,
    Outcome,
    Process,
    Trouble,
    World,
)
from quorate.shapes.diagnosis import PeerSeen

SILENCE = (report(1, 2, SILENT), report(1, 3, SILENT))
FIVE = (*MEMBERS, *(Member(id=f"id-{n}", address=at(n)) for n in (4, 5)))
SEEN = (
    PeerSeen(id="id-4", node="s4.global", silent_s=43.0),
    PeerSeen(id="id-5", node="s5.global", silent_s=-1.0),
)


def finding(found: World, cause: str) -> Finding:
    return next(each for each in diagnose(found).findings if each.cause == cause)


def dialed(number: int, **given: Any) -> Dialed:
    return Dialed(address=at(number), what="rpc", **given)


def test_before_a_silent_server_is_started_again_its_process_is_looked_at() -> None:
    """Also from another machine, where nobody knows its number."""
    steps = finding(world(server(1), reports=SILENCE), "quorum-unreachable").next
    assert "on the machine of id-2 at 10.0.0.2:4647 and id-3 at 10.0.0.3:4647" in steps[0]
    assert "`ps -eo pid,stat,args | grep '[q]uorate agent'`" in steps[0]
    assert "`kill -CONT PID`" in steps[0]
    assert "do not recover by force" in steps[0]
    assert steps[1].startswith("start 1 of ")
    assert "recover plan" in steps[2]


def test_one_that_is_refused_has_no_process_to_look_at() -> None:
    found = world(server(1), reports=(report(1, 2), report(1, 3)))
    assert finding(found, "quorum-unreachable").next[0].startswith("start 1 of ")


def test_a_machine_that_takes_connections_is_not_off() -> None:
    found = world(server(1), reports=SILENCE, dialed=(dialed(2), dialed(3, failure=SILENT)))
    two, three = finding(found, "quorum-unreachable").shown_by
    assert "its machine takes connections, and its process does not answer" in two
    assert "the machine is off or cut off, or the process hangs" in three


@pytest.mark.parametrize(
    ("state", "said"),
    [("T", "`kill -CONT 4711`"), ("D", "`dmesg`"), ("S", "-p 4711`"), ("t", "`kill -CONT 4711`")],
)
def test_a_process_of_this_machine_is_named(state: str, said: str) -> None:
    process = Process(pid=4711, state=state)
    found = world(server(1), reports=SILENCE, dialed=(dialed(2, process=process),))
    steps = finding(found, "quorum-unreachable").next
    assert said in steps[0]
    assert "process 4711 of id-2 at 10.0.0.2:4647 runs on this machine" in steps[0]
    assert "first look at the process, on the machine of id-3 at" in steps[1]


def test_an_agent_that_hangs_is_named_by_its_process() -> None:
    asked = Asked(
        address="http://127.0.0.1:4646",
        failure=Failure(Trouble.HANGS, "it accepts connections"),
        process=Process(pid=4711, state="T"),
    )
    (found,) = diagnose(world(asked=(asked,))).findings
    assert "takes connections, and does not answer" in found.text
    assert "`kill -CONT 4711`" in found.next[0]


def test_the_listener_of_a_port_is_found_and_that_it_stands_still() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        own = mine.getsockname()[1]
        found = listener_at("127.0.0.1", own)
        assert found is not None
        assert found.pid == os.getpid()
        assert found.state in "RS"
    assert listener_at("127.0.0.1", own) is None
    assert listener_at("192.0.2.1", 80) is None
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
    words = [sys.executable, "-c", f"{script}; import sys; sys.stdout.flush(); s.accept()"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            port = int(other.stdout.readline())
            other.send_signal(signal.SIGSTOP)
            until(
                lambda: listener_at("localhost", port) == Process(pid=other.pid, state="T"),
                "it to stand still",
            )
        finally:
            other.kill()


def test_a_name_that_is_unknown_is_told_from_a_dns_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "CONNECT_S", 0.1)

    def kind_of(error: OSError | None) -> Trouble:
        async def looked_up(_: str) -> list[str]:
            if error is None:
                await asyncio.Event().wait()
            assert error is not None
            raise error

        monkeypatch.setattr(network, "lookup", looked_up)
        with pytest.raises(Unanswered) as why:
            asyncio.run(get(Place("http://s2:1", "s2", 1), "/", {}, 1.0))
        assert why.value.failure.text.startswith("lookup s2: ")
        return why.value.failure.kind

    assert kind_of(None) is Trouble.DNS_SILENT
    assert kind_of(socket.gaierror(socket.EAI_AGAIN, "Temporary failure")) is Trouble.DNS_SILENT
    assert kind_of(socket.gaierror(socket.EAI_NONAME, "Name or service not known")) is Trouble.DNS


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), ssl.SSLEOFError(), ssl.SSLZeroReturnError()]
)
def test_a_server_that_closes_in_the_handshake_of_tls_may_want_a_certificate(
    monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    async def closing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncio, "open_connection", closing)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(Unanswered) as why:
        asyncio.run(get(Place("https://127.0.0.1:1", "127.0.0.1", 1, tls=tls), "/", {}, 1.0))
    assert why.value.failure.kind is Trouble.TLS
    assert "it probably wants a client certificate" in why.value.failure.text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("lookup s2: i/o timeout: no DNS server answers this machine; look", Trouble.DNS_SILENT),
        ("dial tcp s2:1: [Errno -3] Temporary failure in name resolution", Trouble.DNS_SILENT),
        ("dial tcp s2:1: [Errno -2] Name or service not known", Trouble.DNS),
        ("no answer within 2 s", Trouble.SILENT),
    ],
)
def test_what_another_server_says_of_names_is_understood(text: str, kind: Trouble) -> None:
    assert failure_of(text).kind is kind


def test_a_dns_that_does_not_answer_is_no_hanging_process() -> None:
    why = Failure(Trouble.DNS_SILENT, "lookup s3: the DNS has not answered within 2.5 s")
    found = world(
        server(1),
        reports=(report(1, 2, why), report(1, 3, REFUSED)),
        dialed=(dialed(2, failure=why),),
    )
    first, second = diagnose(found).findings
    assert (first.cause, second.cause) == ("address-dns", "quorum-unreachable")
    assert "the DNS does not answer for its name" in first.text
    assert "`getent hosts 10.0.0.2`" in first.next[0]
    assert "its name could not be looked up: the DNS does not answer" in second.shown_by[0]
    assert "hangs" not in "".join((*second.shown_by, *second.next))


def test_that_no_spare_voter_is_left_is_said_with_those_that_are_missing() -> None:
    """Three of five: the cluster works, and one more loss ends that."""
    told = [server(n, members=FIVE, leader=at(1), peers=SEEN) for n in (1, 2, 3)]
    found = diagnose(world(*told, reports=(report(1, 4), report(1, 5, SILENT))))
    assert found.outcome is Outcome.HEALTHY
    (spare,) = found.findings
    assert (spare.cause, spare.severity) == ("no-spare-voter", "warning")
    assert "3 of 5 voters can be reached, and 3 are needed; one more loss ends" in spare.text
    four, five = spare.shown_by
    assert "s4.global (id-4 at 10.0.0.4:4647)" in four
    assert "last heard 43 s ago" in four
    assert "not heard since the servers that answer were started" in five
    four_of_five = [*told, server(4, members=FIVE, leader=at(1))]
    (found_one,) = diagnose(world(*four_of_five, reports=(report(1, 5),))).findings
    assert (found_one.cause, "1 more loss can be borne" in found_one.text) == (
        "voter-missing",
        True,
    )


def test_a_lost_server_is_replaced_at_its_address_without_a_removal() -> None:
    (found,) = diagnose(world(*led(1, 2), reports=(report(1, 3),))).findings
    (step,) = found.next
    assert "with an empty data folder at its address: it takes its place by itself" in step
    assert step.endswith(
        "`quorate operator raft remove-peer -peer-id=id-3 -address=http://10.0.0.1:4646`"
    )
