"""From values to bytes: gzip, heads, pretty JSON, and errors as answers."""

from __future__ import annotations

import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.api.codec.encode import (
    Renderer,
    accepts_gzip,
    gzipped,
    json_response,
    redirect_response,
    text_response,
)
from quorate.api.http.messages import Response
from quorate.api.status import STATUS, error_response, kind_of, status_of
from quorate.errors import (
    CannotSealYet,
    LevelTooLow,
    NotLeader,
    PeerNotFound,
    QuorateError,
    StorageFull,
)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (b"gzip", True),
        (b"gzip, deflate", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"gzip;q=x", True),
        (b"deflate", False),
        (b"*", False),
        (b"identity", False),
        (b"xgzip", False),
        (b"", False),
    ],
)
def test_gzip_is_sent_to_those_who_ask_for_it(value: bytes, accepted: bool) -> None:
    assert accepts_gzip(value) is accepted


@given(st.binary(max_size=3000))
def test_gzip_comes_back(body: bytes) -> None:
    assert gzip.decompress(gzipped(body)) == body


@pytest.mark.parametrize("compressed", [False, True])
def test_an_empty_body_stays_empty(compressed: bool) -> None:
    rendered = Renderer({}).render(Response(405), compressed=compressed)
    assert rendered.body == b""
    assert b"Content-Encoding" not in rendered.head
    assert rendered.head.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


def test_no_content_has_no_length() -> None:
    assert b"Content-Length" not in Renderer({}).render(Response(204), compressed=False).head


def test_a_response_is_rendered_once_for_each_renderer_and_form() -> None:
    response = json_response([1])
    first, second = Renderer({}), Renderer({"X-Test": "yes"})
    plain = first.render(response, compressed=False)
    assert first.render(response, compressed=False) is plain
    assert first.render(response, compressed=True) is not plain
    assert b"X-Test: yes\r\n" in second.render(response, compressed=False).head
    assert b"X-Test" not in plain.head


def test_pretty_json_has_four_blanks_and_a_final_newline() -> None:
    assert json_response({"A": [1]}, pretty=True).body == b'{\n    "A": [\n        1\n    ]\n}\n'


def test_text_that_is_no_unicode_can_be_sent() -> None:
    assert text_response(400, "a\ud800").body == b"a?"


def test_a_location_cannot_leave_its_link() -> None:
    response = redirect_response(301, '/"><script>', method="GET")
    assert b"<script>" not in response.body


# -- errors --------------------------------------------------------------------------------------


def all_errors(base: type[QuorateError] = QuorateError) -> list[type[QuorateError]]:
    return [base, *(error for sub in base.__subclasses__() for error in all_errors(sub))]


@pytest.mark.parametrize("error", all_errors())
def test_every_error_has_a_status_and_a_kind(error: type[QuorateError]) -> None:
    assert any(base in STATUS for base in error.__mro__)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind_of(error))


def test_an_error_says_what_it_is_and_what_to_do() -> None:
    response = error_response(StorageFull("no room", "make\nroom \N{SNOWMAN}!"))
    assert (response.status, response.body) == (507, b"no room")
    assert response.header(b"X-Quorate-Error") == b"storage-full"
    assert response.header(b"X-Quorate-Next") == b"make room  !"


def test_to_a_client_not_leading_is_having_no_leader() -> None:
    assert error_response(NotLeader()).body == b"No cluster leader"


def test_a_derived_error_has_the_status_of_its_base() -> None:
    class StorageFullOfLogs(StorageFull):
        pass

    assert status_of(StorageFullOfLogs("x")) == 507


def test_what_refuses_a_write_of_a_variable_is_not_409() -> None:
    """That has the variable as it is now in its body, for every client that knows it."""
    for error in (NotLeader(), StorageFull("x"), LevelTooLow("x"), CannotSealYet()):
        assert status_of(error) != 409


def test_peer_not_found_keeps_its_next_step() -> None:
    error = PeerNotFound("id", "x")
    error.next_step = "list the peers"
    assert error_response(error).header(b"X-Quorate-Next") == b"list the peers"
