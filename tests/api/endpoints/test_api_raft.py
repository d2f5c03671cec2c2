"""Removing a server and handing leadership over: what is asked for, and how it is refused."""

from __future__ import annotations

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered, peer

from quorate.api.http.messages import Request, Response
from quorate.shapes.operator import RaftConfiguration

S1 = "68279362-7ebc-e6ca-8c47-bc3536d97319"
S3 = "990fe718-2e08-2a6f-9689-0955efec4c73"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def transferred(rest: str) -> str:
    """The answer to a transfer from the leader of the fake."""
    return f'{{"Err":null,"From":{{"Address":"127.0.0.3:4647","ID":"{S3}"}},{rest}}}'


@pytest.mark.parametrize(
    ("query", "removed"),
    [
        (
            b"id=68279362-7ebc-e6ca-8c47-bc3536d97319",
            ("68279362-7ebc-e6ca-8c47-bc3536d97319", None),
        ),
        (b"address=127.0.0.1%3A4647", (None, "127.0.0.1:4647")),
        (b"address=127.0.0.1:4647&address=127.0.0.2:4647&stale=False", (None, "127.0.0.1:4647")),
    ],
)
@asynchronous
async def test_a_peer_is_removed_by_id_or_by_address(
    query: bytes, removed: tuple[str | None, str | None]
) -> None:
    service = FakeServer()
    request = Request("DELETE", b"/v1/operator/raft/peer?" + query)
    response = await answered(service.application(), request)
    assert (response.status, response.body, response.headers) == (200, b"", ())
    assert service.removed == [removed]
    assert len(service.peers()) == 2


@pytest.mark.parametrize(
    ("query", "forced"),
    [("", False), ("&force", True), ("&force=true", True), ("&force=0", False)],
)
@asynchronous
async def test_force_is_passed_on(query: str, forced: bool) -> None:
    service = FakeServer()
    target = f"/v1/operator/raft/peer?id={S1}{query}".encode()
    assert (await answered(service.application(), Request("DELETE", target))).status == 200
    assert service.forced == [forced]


def test_force_must_be_a_boolean() -> None:
    service = FakeServer()
    target = f"/v1/operator/raft/peer?id={S1}&force=yes".encode()
    response = service.application().handle(Request("DELETE", target))
    assert isinstance(response, Response)
    assert response.status == 400
    assert response.body == b"Expect `true` or `false` for `force` query string parameter"
    assert service.removed == []


@asynchronous
async def test_what_was_not_found_is_named_on_one_line() -> None:
    request = Request("DELETE", b'/v1/operator/raft/peer?id=a%0Ab"')
    response = await answered(FakeServer().application(), request)
    assert response.status == 500
    assert response.body == rb'id "a\nb\"" was not found in the Raft configuration'


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "must specify id or address"),
        ("id=a&address=b", 400, "must specify either id or address"),
        ("id=", 400, "id must be non-empty"),
        ("address=", 400, "address must be non-empty"),
        (f"id={S1}&id={S1}", 400, "must specify only one id"),
        ("address=a&address=a", 400, "must specify only one address"),
        ("id=x", 400, 'id must be a uuid: "x" has not the form of one'),
        ("address=x", 400, 'address must be in IP:port format: got "x"'),
        ("address=127.0.0.9", 400, 'address must be in IP:port format: got "127.0.0.9"'),
        ("address=1.1.1.1:99999", 400, 'address must be in IP:port format: got "1.1.1.1:99999"'),
        (f"id={UNKNOWN}", 400, f'id "{UNKNOWN}" was not found in the Raft configuration'),
        (
            "address=127.0.0.9:4647",
            400,
            'address "127.0.0.9:4647" was not found in the Raft configuration',
        ),
        ("address=[::1]:4647", 400, 'address "[::1]:4647" was not found in the Raft configuration'),
        (
            f"id={S1}",
            200,
            transferred(f'"Noop":false,"To":{{"Address":"127.0.0.1:4647","ID":"{S1}"}}'),
        ),
        (
            "address=127.0.0.3:4647",
            200,
            transferred(f'"Noop":true,"To":{{"Address":"127.0.0.3:4647","ID":"{S3}"}}'),
        ),
    ],
)
@asynchronous
async def test_transfer_of_leadership(query: str, status: int, text: str) -> None:
    target = f"/v1/operator/raft/transfer-leadership?{query}".encode()
    response = await answered(FakeServer().application(), Request("PUT", target))
    assert (response.status, response.body.decode()) == (status, text)


@asynchronous
async def test_where_ids_are_addresses_membership_decides() -> None:
    service = FakeServer()
    service.view = RaftConfiguration(
        index=1,
        servers=tuple(
            peer("s1", address, leader=address == "127.0.0.3:4647", server_id=address)
            for address in ("127.0.0.1:4647", "127.0.0.3:4647")
        ),
    )
    base = b"/v1/operator/raft/transfer-leadership?id="
    found = await answered(service.application(), Request("PUT", base + b"127.0.0.1:4647"))
    assert found.status == 200
    unknown = await answered(service.application(), Request("PUT", base + b"127.0.0.9:4647"))
    assert unknown.status == 400
    assert unknown.body.endswith(b"was not found in the Raft configuration")
