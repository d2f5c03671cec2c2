"""The keys of gossip: what is refused before any member is asked, and what members refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered, member
from hypothesis import given
from hypothesis import strategies as st

from quorate.api.http.messages import Request, Response

BASE = "/v1/agent/keyring/"
OLD = "cg8StVXbQJ0gPvMd9o7yrg=="
NEW = "pUqJrVyVRj5jsiYEkM/tFQ=="


def encrypting(*keys: str) -> FakeServer:
    service = FakeServer()
    service.ring = list(keys)
    return service


async def ask(
    service: FakeServer, operation: str, body: bytes = b"", method: str = "PUT"
) -> Response:
    request = Request(method, (BASE + operation).encode(), (), body)
    return await answered(service.application(), request)


def with_key(key: str) -> bytes:
    return msgspec.json.encode({"Key": key})


@asynchronous
async def test_a_whole_rotation() -> None:
    service = encrypting(OLD)
    for operation, key in (("install", NEW), ("use", NEW), ("remove", OLD)):
        response = await ask(service, operation, with_key(key))
        assert (response.status, response.body) == (200, b'{"Keys":{},"Messages":{},"NumNodes":3}')
    response = await ask(service, "list")
    assert msgspec.json.decode(response.body)["Keys"] == {NEW: 3}


@asynchronous
async def test_details_name_each_member() -> None:
    service = encrypting(OLD, NEW)
    service.pool.append(member("s4", "global", "127.0.0.4", "failed"))
    service.silent = ["s2.global"]
    response = await ask(service, "list?details&pretty")
    assert msgspec.json.decode(response.body) == {
        "Keys": {OLD: 2, NEW: 2},
        "Messages": {},
        "NumErr": 0,
        "NumNodes": 3,
        "NumResp": 2,
        "PrimaryKeys": {OLD: 2},
        "Unanswered": ["s2.global", "s4.global"],
    }
    refused = await ask(service, "remove?details=true", with_key(OLD))
    assert refused.status == 200
    got: dict[str, Any] = msgspec.json.decode(refused.body)
    assert got["NumErr"] == 2
    assert got["Messages"]["s1.global"] == "Removing the primary key is not allowed"


@asynchronous
async def test_a_member_that_does_not_answer_is_named_as_the_next_step() -> None:
    service = encrypting(OLD)
    service.silent = ["s2.global"]
    response = await ask(service, "install", with_key(NEW))
    assert (response.status, response.body) == (500, b"2/3 nodes reported success")
    assert response.header(b"x-quorate-next") == b"s2.global did not answer"


@asynchronous
async def test_what_members_refuse_is_told() -> None:
    response = await ask(encrypting(OLD), "use", with_key(NEW))
    assert (response.status, response.body) == (500, b"3/3 nodes reported failure")
    first = b"s1.global: Requested key is not in the keyring; s2.global: "
    assert response.header(b"x-quorate-next").startswith(first)


@pytest.mark.parametrize("operation", ["install", "use", "remove"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS"])
@asynchronous
async def test_keys_are_changed_by_put_and_post_alone(operation: str, method: str) -> None:
    service = encrypting(OLD, NEW)
    response = await ask(service, operation, with_key(NEW), method)
    assert (response.status, response.body) == (405, b"Invalid method")
    assert service.ring == [OLD, NEW]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@asynchronous
async def test_keys_are_listed_by_any_method(method: str) -> None:
    assert (await ask(encrypting(OLD), "list", method=method)).status == 200


# -- abuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Request body is empty"),
        (b" ", "EOF"),
        (b"{", "invalid JSON at character 1: "),
        (b"[]", "expected an object, got an array"),
        (b'"key"', "expected an object, got a string"),
        (b'{"Key": 16}', "Key: expected a string, got number 16"),
        (b"[" * 60_000, "invalid JSON: nested too deeply"),
        (b"[" * 100_000, "a body of 100000 bytes has to be exact: "),
        (b"{}", "it has 0 bytes; it must have 16, 24 or 32"),
        (b"null", "it has 0 bytes; it must have 16, 24 or 32"),
        (b'{"Key": null}', "it has 0 bytes; it must have 16, 24 or 32"),
        (b'{"Key": "***"}', "illegal base64 data at input byte 0"),
        (b'{"Key": "YWJj"}', "it has 3 bytes; it must have 16, 24 or 32"),
        (with_key("A" * 44), "it has 33 bytes; it must have 16, 24 or 32"),
        (with_key("A" * 600_000), "it has 450000 bytes; it must have 16, 24 or 32"),
        (with_key("é" * 16), "illegal base64 data at input byte 0"),
    ],
)
@pytest.mark.parametrize("operation", ["install", "use", "remove"])
@asynchronous
async def test_a_bad_key_reaches_no_member(operation: str, body: bytes, text: str) -> None:
    service = encrypting(OLD)
    response = await ask(service, operation, body)
    assert response.status == 500
    assert response.body.decode().startswith(text)
    assert b"\n" not in response.body
    assert service.ring == [OLD]


@pytest.mark.parametrize("operation", ["nosuch", "", "List", "list/", "install/x", "%20list"])
@asynchronous
async def test_other_operations_are_not_found(operation: str) -> None:
    response = await ask(encrypting(OLD), operation, with_key(NEW))
    assert (response.status, response.body) == (404, b"resource not found")


@asynchronous
async def test_details_must_be_a_boolean() -> None:
    response = await ask(encrypting(OLD), "list?details=maybe")
    assert response.status == 400
    assert response.body == b"Expect `true` or `false` for `details` query string parameter"


@asynchronous
async def test_without_its_slash_it_leads_there() -> None:
    request = Request("GET", b"/v1/agent/keyring")
    response = await answered(encrypting(OLD).application(), request)
    assert (response.status, response.header(b"location")) == (301, b"/v1/agent/keyring/")


@given(st.sampled_from(["list", "install", "use", "remove", "x"]), st.binary(max_size=80))
def test_no_body_is_a_mistake_of_ours(operation: str, body: bytes) -> None:
    @asynchronous
    async def test() -> None:
        response = await ask(encrypting(OLD), operation, body)
        assert response.status in {200, 404, 500}
        assert not response.body.startswith(b"internal error")

    test()
