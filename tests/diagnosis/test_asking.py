"""Servers are asked side by side, within one deadline, whatever they do and however many."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from client_fake_agent import FakeAgent, json_reply
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quorate.client.transport.address import parse_address
from quorate.diagnosis.asking.network import Place
from quorate.diagnosis.asking.servers import ASKED_MAX, Gatherer, How
from quorate.diagnosis.values import Trouble, World

VIEWS = "GET /v1/operator/raft/views?details"


def asked(
    *addresses: str, deadline_s: float = 8.0, tls: ssl.SSLContext | None = None
) -> tuple[World, list[str]]:
    """The world by these addresses, and the progress that was told."""
    said: list[str] = []

    def place(text: str) -> Place:
        address = parse_address(text)
        return Place(address.base, address.host, address.port, tls=tls if address.tls else None)

    gatherer = Gatherer(How(place, {}, deadline_s), said.append)
    return asyncio.run(gatherer.gather(addresses)), said


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_deadline_holds_for_all_of_them_together() -> None:
    with silent() as one, silent() as other:
        found, said = asked(one, other, deadline_s=0.4)
    assert found.late
    assert {each.failure.kind for each in found.asked if each.failure} == {Trouble.SILENT}
    assert said[0].startswith("0 of ")


def test_a_name_that_is_looked_up_for_ever_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()
    real = socket.getaddrinfo

    def hanging(host: str, *rest: object, **named: object) -> object:
        if host == "slow.example":
            ended.wait(30)
            raise socket.gaierror("it took long")
        return real(host, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        with FakeAgent({}) as agent:
            found, _ = asked("http://slow.example:4646", agent.address, deadline_s=0.6)
    finally:
        ended.set()
    kinds = {each.address: each.failure.kind for each in found.asked if each.failure}
    assert kinds == {"http://slow.example:4646": Trouble.SILENT, agent.address: Trouble.GARBAGE}


def test_no_more_than_some_are_asked_however_many_are_named() -> None:
    members = [
        {"ID": f"{n}", "Address": f"127.99.0.1:{n % 100 + 1}", "Voter": True} for n in range(1000)
    ]
    own = {
        "ID": "1",
        "Node": "a",
        "Address": "127.0.0.1:9",
        "Configuration": {"Index": 1, "Servers": members},
        "Details": {},
    }
    routes = {VIEWS: json_reply({"Asked": "1", "Servers": [own]})}
    with FakeAgent(routes) as agent:
        found, _ = asked(agent.address)
    assert len(found.asked) <= ASKED_MAX
    assert [each.id for each in found.servers] == ["1"]
    assert len(found.servers[0].members) <= 512


def test_addresses_that_are_not_asked_are_told() -> None:
    closed = [f"http://127.0.0.1:{port}" for port in range(1, ASKED_MAX + 2)]
    assert asked(*closed)[0].late
    assert not asked(*closed[:3])[0].late


def test_the_api_of_a_server_that_told_another_one_is_looked_for() -> None:
    """A plan of a recovery has to name every survivor by its address."""
    with FakeAgent({}) as one, FakeAgent({}) as other:
        places = [f"127.0.0.1:{int(each.address.rpartition(':')[2]) + 1}" for each in (one, other)]
        told = [
            {"ID": place[-1:] + str(n), "Node": f"s{n}", "Address": place, "Details": {}}
            for n, place in enumerate(places)
        ]
        told[0]["Configuration"] = {
            "Servers": [
                {"ID": each["ID"], "Address": each["Address"], "Voter": True} for each in told
            ]
        }
        for agent, own in zip((one, other), told, strict=True):
            agent.routes[VIEWS] = json_reply({"Asked": own["ID"], "Servers": told})
        found, _ = asked(one.address)
    assert {each.node: each.http for each in found.servers} == {
        "s0": one.address,
        "s1": other.address,
    }
    assert not found.dialed


def test_words_from_outside_do_nothing_to_a_terminal() -> None:
    own = {"ID": "1", "Node": "\x1b[31ma\n", "Address": "b\x07", "Details": {"Waiting": "\x1bc"}}
    routes = {VIEWS: json_reply({"Asked": "1", "Servers": [own]})}
    with FakeAgent(routes) as agent:
        found, _ = asked(agent.address)
    assert json.dumps([found.servers[0].node, found.servers[0].told.waiting]).isprintable()
    assert "\x1b" not in found.servers[0].node + found.servers[0].told.waiting


def certified(folder: Path, days: float) -> ssl.SSLContext:
    """A server's context with a certificate that is valid for so many days from now on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_an_expired_certificate_is_told_from_one_that_is_not_trusted(tmp_path: Path) -> None:
    with FakeAgent({}, tls=certified(tmp_path, -1)) as agent:
        trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        address = agent.address.replace("127.0.0.1", "localhost")
        (known, _), (unknown, _) = (
            asked(address, tls=trusting),
            asked(address, tls=ssl.create_default_context()),
        )
    kinds = [found.asked[0].failure for found in (known, unknown)]
    assert [kind and kind.kind for kind in kinds] == [Trouble.EXPIRED, Trouble.TLS]


def test_how_long_a_certificate_counts_is_seen_where_it_is_checked(tmp_path: Path) -> None:
    own = {"ID": "1", "Node": "a", "Address": "127.0.0.1:9"}
    routes = {VIEWS: json_reply({"Asked": "1", "Servers": [own]})}
    with FakeAgent(routes, tls=certified(tmp_path, 12)) as agent:
        address = agent.address.replace("127.0.0.1", "localhost")
        found, _ = asked(address, tls=ssl.create_default_context(cafile=tmp_path / "cert.pem"))
        unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        other, _ = asked(address, tls=unchecked)
    days = found.asked[0].certificate_days
    assert days is not None
    assert 11.9 < days < 12.1
    assert other.asked[0].certificate_days is None
