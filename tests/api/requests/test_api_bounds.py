"""What one request can cost: durations, echoes, addresses."""

from __future__ import annotations

import time

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered

from quorate.api.codec.go_text import ECHO_MAX, parse_uint64
from quorate.api.endpoints.pool import ADDRESSES_MAX
from quorate.api.http.messages import Request
from quorate.wire.go.duration import LENGTH_MAX, parse_short_duration


@pytest.mark.parametrize("text", ["1h" * 8000, "1" * 64_000 + "s", "0." + "1" * 64_000 + "s"])
def test_a_long_duration_is_refused_at_once(text: str) -> None:
    began = time.thread_time()
    with pytest.raises(ValueError, match=f"more than {LENGTH_MAX} characters") as caught:
        parse_short_duration(text)
    assert time.thread_time() - began < 0.1
    assert len(str(caught.value)) < 100


def test_an_error_repeats_no_more_than_a_line() -> None:
    with pytest.raises(ValueError, match="invalid syntax") as caught:
        parse_uint64("x" * 8000)
    assert len(str(caught.value)) < ECHO_MAX + 100


@asynchronous
async def test_join_takes_no_more_addresses_than_one_dials() -> None:
    target = "/v1/agent/join?" + "&".join(f"address=10.0.0.{n}" for n in range(ADDRESSES_MAX + 1))
    service = FakeServer()
    response = await answered(service.application(), Request("PUT", target.encode()))
    assert response.status == 400
    assert f"{ADDRESSES_MAX} are the limit" in response.body.decode()
