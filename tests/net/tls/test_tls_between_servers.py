"""Servers that speak TLS with each other: which certificates are believed, and what is said."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from net_servers import End, members, until
from patience import PATIENCE_S
from tls_files import Certificates, keeper, now

from quorate.certificates.names import Role
from quorate.errors import BadFrame
from quorate.net import names
from quorate.net.dial import greet
from quorate.net.tls.identity import read_identity
from quorate.net.tls.keeper import TlsKeeper

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(params=["uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Servers run on uvloop; a program with the library may use asyncio's own loop."""

    def runs(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(test, PATIENCE_S))

    return runs


both_loops = pytest.mark.parametrize("run", LOOPS, indirect=True)

Run = Callable[[Coroutine[Any, Any, None]], None]


@asynccontextmanager
async def ends(*given: tuple[str, TlsKeeper | None], **options: Any) -> AsyncIterator[list[End]]:
    made = [End(name, tls=tls, **options) for name, tls in given]
    try:
        for end in made:
            await end.listen()
        members(*made)
        yield made
    finally:
        for end in made:
            await end.close()


async def echoed(end: End, other: End) -> None:
    connection, peer = await end.dial(other.address, other.name)
    assert peer is not None
    assert peer.server_id == other.name
    connection.transport.write(b"\x02hello")
    await until(lambda: connection.got == b"HELLO")


@both_loops
def test_bytes_pass_by_tls_in_both_directions(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        tls = [keeper(made.files(name)) for name in "ab"]
        async with ends(("a", tls[0]), ("b", tls[1])) as (a, b):
            await echoed(a, b)
            await echoed(b, a)
            spoken = a.dialed[0].transport.get_extra_info("ssl_object")
            assert spoken.version() == "TLSv1.3"
            found = await greet(b.address, a.trust)
            assert found is not None
            assert found.server_id == "b"
            large = bytes(range(256)) * 20_000
            connection = a.dialed[0]
            connection.got = b""
            connection.transport.write(large)
            await until(lambda: len(connection.got) == len(large))
            assert a.said == b.said == []

    run(scenario())


def strange(made: Certificates, name: str) -> Any:
    match name:
        case "expired":
            return made.files(name, made=now() - timedelta(days=20), days=10)
        case "not yet valid":
            return made.files(name, made=now() + timedelta(days=5))
        case "role cli":
            return made.files(name, role=Role.CLI)
        case "role client":
            return made.files(name, role=Role.CLIENT)
        case "another region":
            return made.files(name, region="eu")
        case _:
            raise AssertionError(name)


SAID = {
    "expired": "certificate has expired",
    "not yet valid": "certificate is not yet valid",
    "role cli": "its certificate is for cli.global.nomad, localhost, and not for server.global",
    "role client": "its certificate is for client.global.nomad, localhost, and not for server.",
    "another region": "its certificate is for server.eu.nomad, localhost, and not for "
    "server.global.nomad",
}


@pytest.mark.parametrize("name", SAID)
def test_a_listener_refuses_the_dialers_certificate(tmp_path: Path, run: Run, name: str) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        tls = [keeper(strange(made, name)), keeper(made.files())]
        async with ends(("a", tls[0]), ("b", tls[1])) as (a, b):
            with pytest.raises((OSError, BadFrame)) as caught:
                await a.dial(b.address, "b")
            await until(lambda: any(SAID[name] in line for line in b.said))
            if name.startswith(("role", "another")):  # refused behind the handshake of TLS
                assert SAID[name] in str(caught.value)
            assert b.raft == b.http == []

    run(scenario())


@pytest.mark.parametrize("name", SAID)
def test_a_dialer_refuses_the_listeners_certificate(tmp_path: Path, run: Run, name: str) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        tls = [keeper(made.files()), keeper(strange(made, name))]
        async with ends(("a", tls[0]), ("b", tls[1])) as (a, b):
            with pytest.raises((OSError, BadFrame), match=SAID[name]):
                await a.dial(b.address, "b")
            assert b.raft == b.http == []

    run(scenario())


def test_servers_of_two_authorities_do_not_believe_each_other(tmp_path: Path, run: Run) -> None:
    tls = [keeper(Certificates(tmp_path / name).files()) for name in "ab"]

    async def scenario() -> None:
        async with ends(("a", tls[0]), ("b", tls[1])) as (a, b):
            with pytest.raises(OSError, match=r"TLS handshake with .*certificate is refused"):
                await a.dial(b.address, "b")
            await until(lambda: any("the other end ended the TLS handshake" in s for s in b.said))
            assert any("its certificate is refused: self-signed" in line for line in a.said)
            assert b.raft == b.http == []

    run(scenario())


def test_a_certificate_is_bound_to_one_server(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        of_a = keeper(made.files("a", server_id="a"), bound=True)
        of_b = keeper(made.files("b", server_id="b"), bound=True)
        async with ends(("a", of_a), ("b", of_b)) as (a, b):
            await echoed(a, b)
        # b has the certificate of a: a stolen one makes its holder no other server.
        stolen = keeper(made.files("c", server_id="a"), bound=True)
        async with ends(("a", of_a), ("b", stolen)) as (a, b):
            with pytest.raises(BadFrame, match=r"is for the server a, and it is b .*-server-id=b"):
                await a.dial(b.address, "b")
            with pytest.raises((OSError, BadFrame)):
                await b.dial(a.address, "a")
            await until(lambda: any("is for the server a, and it is b" in s for s in a.said))
        unbound = keeper(made.files("d"))
        async with ends(("a", of_a), ("b", unbound)) as (a, b):
            with pytest.raises(BadFrame, match="names no server, and it is b"):
                await a.dial(b.address, "b")

    run(scenario())


def test_what_was_revoked_is_refused_on_both_sides(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        bad = made.files("bad")
        good = made.files("good", crl_file=made.revoked(bad))
        async with ends(("a", keeper(good)), ("b", keeper(bad))) as (a, b):
            with pytest.raises(BadFrame, match="was revoked"):
                await a.dial(b.address, "b")
            with pytest.raises((OSError, BadFrame)):
                await b.dial(a.address, "a")
            await until(lambda: any("was revoked" in line for line in a.said))
            assert a.raft == b.raft == []

    run(scenario())


def test_an_old_revocation_list_counts_and_cuts_nobody_off(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        bad = made.files("bad")
        listed = made.revoked(bad, next_update=now() - timedelta(days=1))
        tls = [keeper(made.files(name, crl_file=listed)) for name in "ab"]
        assert "older than it may be" in " ".join(tls[0].worries(now(), "a"))
        async with ends(("a", tls[0]), ("b", tls[1]), ("c", keeper(bad))) as (a, b, c):
            await echoed(a, b)
            with pytest.raises(BadFrame, match="was revoked"):
                await a.dial(c.address, "c")

    run(scenario())


@both_loops
def test_what_speaks_no_tls_is_refused_unless_upgrading(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with ends(("a", None), ("b", keeper(made.files()))) as (a, b):
            with pytest.raises((OSError, BadFrame)):
                await a.dial(b.address, "b")
            await until(lambda: any("speaks no TLS" in line for line in b.said))
            with pytest.raises(ConnectionResetError):
                await b.dial(a.address, "a")
            assert a.raft == b.raft == []
        upgrading = keeper(made.files(), upgrading=True)
        both = keeper(made.files("other"), upgrading=True)
        async with ends(("a", None), ("b", upgrading), ("c", both)) as (a, b, c):
            await echoed(a, b)
            await echoed(b, a)
            await echoed(b, a)  # it is remembered for a moment that a speaks no TLS
            await echoed(b, c)
            assert b.dialed[-1].transport.get_extra_info("ssl_object") is not None

    run(scenario())


def test_while_upgrading_each_address_of_a_name_is_tried_without_tls(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Certificates(tmp_path)

    async def two(_host: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]  # nothing listens at the first one

    async def scenario() -> None:
        async with ends(("a", None), ("b", keeper(made.files(), upgrading=True))) as (a, b):
            monkeypatch.setattr(names, "lookup", two)
            await echoed(b, a)

    run(scenario())


def test_while_upgrading_a_bad_certificate_is_no_reason_to_go_without(
    tmp_path: Path, run: Run
) -> None:
    tls = [keeper(Certificates(tmp_path / name).files(), upgrading=True) for name in "ab"]

    async def scenario() -> None:
        async with ends(("a", tls[0]), ("b", tls[1])) as (a, b):
            with pytest.raises(OSError, match="certificate is refused"):
                await a.dial(b.address, "b")
            assert not b.raft

    run(scenario())


@both_loops
def test_older_protocols_are_not_spoken(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        new, old = keeper(made.files(min_version="tls13")), keeper(made.files("old"))
        old.identity.dialer.maximum_version = ssl.TLSVersion.TLSv1_2
        async with ends(("a", new), ("b", old)) as (a, b):
            with pytest.raises(
                OSError, match="it ended the TLS handshake: it speaks no TLS, or refuses"
            ):
                await b.dial(a.address, "a")
            await until(lambda: any("unsupported protocol" in line for line in a.said))
            await echoed(a, b)

    run(scenario())


def test_a_handshake_has_a_deadline_and_a_bound(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with ends(("a", keeper(made.files("a"))), ("b", keeper(made.files("b")))) as (a, b):
            host, port = a.address.rsplit(":", 1)
            silent = [socket.create_connection((host, int(port))) for _ in range(70)]
            try:
                silent[0].sendall(b"\x04\x16\x03\x01")  # half of a record's head
                # 64 of one address, and the rest is refused; others are served all the while.
                await until(lambda: sum("too many connections" in s for s in a.said) == 6)
                await until(lambda: any("no TLS handshake within" in s for s in a.said))
                await until(lambda: not a.port.admission.count)
                await echoed(b, a)
            finally:
                for each in silent:
                    each.close()

    run(scenario())


def test_strangers_that_say_nothing_hold_up_no_server(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with ends(("a", keeper(made.files("a"))), ("b", keeper(made.files("b")))) as (a, b):
            host, port = a.address.rsplit(":", 1)
            silent = [socket.create_connection((host, int(port))) for _ in range(40)]
            try:
                for each in silent:
                    each.sendall(b"\x04\x16")
                await echoed(b, a)
                assert a.said == []  # while all of them were waited for
            finally:
                for each in silent:
                    each.close()

    run(scenario())


def test_a_mode_byte_of_tls_is_refused_inside_tls(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        tls = keeper(made.files("a"))
        async with ends(("a", tls)) as (a,):
            host, port = a.address.rsplit(":", 1)
            raw = socket.create_connection((host, int(port)))
            raw.sendall(b"\x04")
            raw.setblocking(False)
            reader, writer = await asyncio.open_connection(
                sock=raw, ssl=tls.identity.dialer, server_hostname="x"
            )
            writer.write(b"\x04")
            await reader.read()
            writer.close()
            assert any("TLS after a mode byte" in line for line in a.said)

    run(scenario())


@both_loops
def test_certificates_are_exchanged_and_old_connections_end(tmp_path: Path, run: Run) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        tls = {name: keeper(made.files(name)) for name in "ab"}
        async with ends(*tls.items()) as (a, b):
            await echoed(a, b)
            old = a.dialed[0]
            stolen = tls["a"].files
            files = made.files("a2")
            tls["a"].replace(files, read_identity(files))
            listing = made.files("b2", crl_file=made.revoked(stolen))
            tls["b"].replace(listing, read_identity(listing))
            await until(old.lost.done)
            await echoed(a, b)
            await echoed(b, a)
            tls["a"].replace(stolen, read_identity(stolen))
            with pytest.raises((OSError, BadFrame)):
                await a.dial(b.address, "b")
            await until(lambda: any("was revoked" in line for line in b.said))

    run(scenario())
