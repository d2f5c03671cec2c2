"""The HTTP port by TLS: what clients without TLS, without a certificate, or with a bad one get."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from net_servers import until
from patience import PATIENCE_S
from places import GOLDEN
from tls_files import Certificates, keeper, now

from quorate.certificates.names import Role
from quorate.errors import QuorateError
from quorate.net.listening import accept_tls, stop_accepting
from quorate.net.tls.accepting import Opening, TlsServer
from quorate.net.tls.files import TlsFiles
from quorate.net.tls.identity import changed, check_valid, read_identity
from quorate.net.tls.keeper import TlsKeeper
from quorate.net.tls.renewal import Renewal


def run(test: Any) -> None:
    uvloop.run(asyncio.wait_for(test, PATIENCE_S))


class Hello(asyncio.Protocol):
    """Answers everything with a word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        assert data
        self.transport.write(b"hello")


class Port:
    def __init__(self, server: TlsServer, said: list[str]) -> None:
        self.server = server
        self.said = said
        self.number = server.sockets[0].getsockname()[1]

    async def ask(self, context: ssl.SSLContext | None, data: bytes = b"GET /") -> bytes:
        """All that is answered until either end closes, or the first word."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.number,
            ssl=context,
            server_hostname="localhost" if context else None,
        )
        try:
            writer.write(data)
            return await (reader.read(5) if context else reader.read())
        finally:
            writer.close()


@asynccontextmanager
async def port(tls: TlsKeeper) -> AsyncIterator[Port]:
    said: list[str] = []
    server = await accept_tls(
        *(Hello, "127.0.0.1", 0, tls, Opening.AT_ONCE),
        backlog=16,
        handshake_timeout_s=0.5,
        refused=lambda host, why: said.append(f"{host}: {why}"),
    )
    try:
        yield Port(server, said)
    finally:
        await stop_accepting(server)
        await server.wait_closed()


def client(made: Certificates, files: TlsFiles | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(made.ca_file))
    if files is not None:
        context.load_cert_chain(files.cert_file, files.key_file)
    return context


def test_a_client_without_a_certificate_is_answered(tmp_path: Path) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with port(keeper(made.files(), http=True)) as http:
            assert await http.ask(client(made)) == b"hello"
            with pytest.raises(ssl.SSLCertVerificationError):
                await http.ask(ssl.create_default_context())

    run(scenario())


def test_a_request_without_tls_is_answered_as_recorded(tmp_path: Path) -> None:
    case = json.loads((GOLDEN / "http" / "tls-plain-http.json").read_text())
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with port(keeper(made.files(), http=True)) as http:
            request = b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n"
            answer = await http.ask(None, request + bytes(100_000))
            assert answer.decode() == case["response"]["raw"]

    run(scenario())


def test_clients_need_a_certificate_where_that_is_asked_for(tmp_path: Path) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        bad = made.files("bad", role=Role.CLI)
        files = made.files(crl_file=made.revoked(bad))
        async with port(keeper(files, http=True, verify_clients=True)) as http:
            good = made.files("good", role=Role.CLI)
            assert await http.ask(client(made, good)) == b"hello"
            late = made.files("late", role=Role.CLI, made=now() - timedelta(days=9), days=3)
            for files_, why in (
                (None, "peer did not return a certificate"),
                (late, "its certificate is refused: certificate has expired"),
                (bad, "was revoked"),
            ):
                with suppress(OSError):
                    assert not await http.ask(client(made, files_))
                await until(lambda why=why: any(why in line for line in http.said))

    run(scenario())


def test_what_sends_nothing_is_ended_and_listens_to_no_more(tmp_path: Path) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with port(keeper(made.files(), http=True)) as http:
            reader, writer = await asyncio.open_connection("127.0.0.1", http.number)
            with suppress(ConnectionError):
                assert not await reader.read(1)
            writer.close()
            assert any("no TLS handshake within" in line for line in http.said)
        with pytest.raises(OSError, match="refused"):
            await asyncio.open_connection("127.0.0.1", http.number)

    run(scenario())


def test_one_that_ends_before_its_handshake_has_begun_counts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Certificates(tmp_path)

    async def scenario() -> None:
        async with port(keeper(made.files(), http=True)) as http:
            server, context = http.server, http.server.context

            def ending() -> ssl.SSLContext:
                asyncio.get_running_loop().call_soon(server.close)  # before the task's first step
                return context()

            monkeypatch.setattr(server, "context", ending)
            reader, writer = await asyncio.open_connection("127.0.0.1", http.number)
            writer.write(b"\x16")
            with suppress(ConnectionError):
                assert not await reader.read(1)
            writer.close()
            assert server.admission.count == 0

    run(scenario())


def broken(made: Certificates, kind: str) -> TlsFiles:
    files = made.files(name="a")
    match kind:
        case "no such file":
            return TlsFiles(ca_file=files.ca_file, cert_file="/none.pem", key_file=files.key_file)
        case "another key":
            other = made.files(name="b")
            return TlsFiles(
                ca_file=files.ca_file, cert_file=files.cert_file, key_file=other.key_file
            )
        case "another authority":
            other_ca = Certificates(made.folder / "other").ca_file
            return TlsFiles(
                ca_file=str(other_ca), cert_file=files.cert_file, key_file=files.key_file
            )
        case "a key in the place of a certificate":
            return TlsFiles(
                ca_file=files.ca_file, cert_file=files.key_file, key_file=files.key_file
            )
        case "an encrypted key":
            Path(files.key_file).write_bytes(made.encrypted_key(Path(files.key_file)))
            return files
        case "an old version":
            return made.files(name="c", min_version="tls11")
        case "a list of another authority":
            listed = Certificates(made.folder / "third").revoked(files)
            return made.files(name="d", crl_file=listed)
        case "no list":
            return made.files(name="e", crl_file=files.cert_file)
        case _:
            raise AssertionError(kind)


BROKEN = {
    "no such file": "cannot read /none.pem: No such file",
    "another key": "does not go with the certificate in",
    "another authority": "is signed by none of the authorities in",
    "a key in the place of a certificate": "holds no certificate",
    "an encrypted key": "the key is encrypted",
    "an old version": "version 'tls11' of TLS is not spoken",
    "a list of another authority": "is signed by none of the authorities in ca_file",
    "no list": "holds no revocation list",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, kind: str) -> None:
    files = broken(Certificates(tmp_path), kind)
    with pytest.raises(QuorateError) as caught:
        read_identity(files)
    assert BROKEN[kind] in caught.value.text
    assert caught.value.next_step


def test_worries_come_in_time(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    assert keeper(made.files("good")).worries(now(), "id") == ()
    soon = keeper(made.files("soon", days=20)).worries(now(), "id")
    assert "expires in 19 days: make a new one" in soon[0]
    late = keeper(made.files("late", made=now() - timedelta(days=9), days=3))
    assert "has expired" in late.worries(now(), "id")[0]
    bound = keeper(made.files("bound", server_id="other"), bound=True).worries(now(), "id")
    assert "-region=global -server-id=id" in bound[0]


def test_files_are_seen_to_change(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    files = made.files()
    identity = read_identity(files)
    assert not changed(files, identity)
    made.files()
    assert changed(files, identity)
    Path(files.key_file).unlink()
    assert changed(files, identity)


def test_two_authorities_have_their_lists_in_one_file(tmp_path: Path) -> None:
    """As while one authority takes the place of another."""
    old, new = Certificates(tmp_path / "old"), Certificates(tmp_path / "new")
    bad = [made.files("bad") for made in (old, new)]
    both = tmp_path / "both.pem"
    lists = [made.revoked(files) for made, files in zip((old, new), bad, strict=True)]
    both.write_bytes(b"".join(Path(each).read_bytes() for each in lists))
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(old.ca_file.read_bytes() + new.ca_file.read_bytes())
    for made, files in zip((old, new), bad, strict=True):
        assert read_identity(made.files("good", ca_file=authorities, crl_file=str(both))).revoked
        listed = TlsFiles(
            ca_file=str(authorities), cert_file=files.cert_file, key_file=files.key_file,
            crl_file=str(both),
        )  # fmt: skip
        with pytest.raises(QuorateError, match="was revoked"):
            check_valid(read_identity(listed), now())


def remove(files: TlsFiles) -> None:
    Path(files.cert_file).unlink()


@pytest.mark.parametrize("kind", ["expired", "not yet valid", "gone"])
def test_what_does_not_count_is_not_exchanged(tmp_path: Path, kind: str) -> None:
    """The problem is told until it is solved, and files that are right then are taken."""
    made = Certificates(tmp_path)

    async def scenario() -> None:
        tls = keeper(made.files("first"))
        first = tls.identity
        told: list[str] = []
        renewal = Renewal(tls, lambda _text: None, told.append)
        match kind:
            case "expired":
                files = made.files("next", made=now() - timedelta(days=9), days=3)
            case "not yet valid":
                files = made.files("next", made=now() + timedelta(days=3))
            case _:
                files = made.files("next")
                remove(files)
        for _ in range(2):
            await renewal.look(files)
            assert tls.identity is first
            assert len(told) == 1
            assert tls.worries(now(), "id") == (tls.problem,)
        files = made.files("next")
        await renewal.look(files)
        assert tls.identity is not first
        assert tls.worries(now(), "id") == ()

    run(scenario())
