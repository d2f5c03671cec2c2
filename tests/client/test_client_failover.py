"""Several addresses: which request is tried at the next one, and which error is the caller's."""

from __future__ import annotations

import sys

import pytest
from client_both import BOTH, use
from client_fake_agent import FakeAgent, Reply, closed_port, json_reply, text_reply

from quorate.client import AddressError, Client, RequestError, StatusError

LEADER = "GET /v1/status/leader"
PUT = "PUT /v1/namespace"
CUT = Reply(200, b'"', (("Content-Length", "8"),))
GOOD = {LEADER: json_reply("a:1"), PUT: json_reply({})}


@pytest.fixture(autouse=True, params=BOTH)
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, sys.modules[__name__], request.param)


def dead() -> str:
    return f"http://127.0.0.1:{closed_port()}"


def test_an_address_that_takes_no_connection_is_passed_over() -> None:
    with FakeAgent(GOOD) as agent, Client([dead(), dead(), agent.address]) as client:
        assert client.request("PUT", "/v1/namespace", body=b"{}").status == 200
        assert client.leader() == "a:1"
        assert client.address == agent.address
        assert agent.asked == [PUT, LEADER]


def test_a_read_whose_answer_is_cut_off_is_asked_elsewhere() -> None:
    with FakeAgent({LEADER: CUT}) as first, FakeAgent(GOOD) as second:
        with Client(f"{first.address}, {second.address}") as client:
            assert client.leader() == "a:1"
            assert client.leader() == "a:1"
        assert (first.asked, second.asked) == ([LEADER], [LEADER] * 2)


def test_a_write_that_may_have_been_done_is_not_repeated() -> None:
    with FakeAgent({PUT: CUT}) as first, FakeAgent(GOOD) as second:
        with Client([first.address, second.address]) as client:
            with pytest.raises(RequestError, match="unexpected EOF") as lost:
                client.request("PUT", "/v1/namespace", body=b"{}")
            assert lost.value.was_sent
            assert second.asked == []
            assert client.request("PUT", "/v1/namespace", body=b"{}").status == 200
        assert (first.asked, second.asked) == ([PUT], [PUT])


def test_a_server_without_a_leader_is_left_for_the_next_request() -> None:
    alone = {LEADER: text_reply(500, "No cluster leader")}
    with (
        FakeAgent(alone) as first,
        FakeAgent(GOOD) as second,
        Client([first.address, second.address]) as client,
    ):
        with pytest.raises(StatusError, match="No cluster leader"):
            client.leader()
        assert client.leader() == "a:1"


def test_when_none_answers_the_last_error_is_raised_and_all_are_tried_again() -> None:
    first, second = dead(), dead()
    with Client([first, second]) as client:
        for _ in range(3):
            with pytest.raises(RequestError, match="connection refused") as lost:
                client.leader()
            assert not lost.value.was_sent
            assert lost.value.url == f"{second}/v1/status/leader"


def test_streams_begin_where_one_answers_and_go_on_elsewhere() -> None:
    stream = "GET /v1/event/stream"
    events = b'{"Events":[{"Index":4}]}\n'
    cut = Reply(200, events, (("Content-Length", "999"),))
    whole = Reply(200, events)
    with FakeAgent({stream: cut}) as first, FakeAgent({stream: whole}) as second:
        with Client([dead(), first.address, second.address]) as client:
            stream_of_first = client.events()
            assert next(stream_of_first).index == 4
            with pytest.raises(RequestError, match="unexpected EOF"):
                next(stream_of_first)
            assert [event.index for event in client.events()] == [4]
        assert (first.asked, second.asked) == ([stream], [stream])


def test_a_whole_url_has_one_place() -> None:
    with FakeAgent(GOOD) as agent, Client([agent.address, agent.address]) as client:
        with pytest.raises(RequestError):
            client.request("GET", f"{dead()}/v1/status/leader")
        assert agent.asked == []


@pytest.mark.parametrize("addresses", [[], ["http://a", "nonsense"], "http://a,,http://b", ""])
def test_all_addresses_are_checked_at_once(addresses: str | list[str]) -> None:
    with pytest.raises(AddressError):
        Client(addresses)
