"""JSON bodies: what Go's decoder takes, and one line for what it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.api.codec.body import (
    BodyError,
    Field,
    Shape,
    a_bool,
    a_duration,
    a_string,
    a_uint64,
    an_int64,
    first_value,
)
from quorate.api.http.messages import Request, Response
from quorate.state.tables import autopilot, scheduler

INNER = Shape(Field("Deep", "deep", a_bool), Field("Text", "text", a_string))
SHAPE = Shape(
    Field("Name", "name", a_string),
    Field("Count", "count", a_uint64),
    Field("Balance", "balance", an_int64),
    Field("Open", "is_open", a_bool),
    Field("Wait", "wait_ns", a_duration),
    Field("Inner", "inner", INNER),
)

OPEN_AND_INNER = {"deep": True, "text": "b", "is_open": False}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", {}),
        (b"null", {}),
        (b" \r\n\t{}", {}),
        (b'{"Name":"a"} trailing', {"name": "a"}),
        (b'{"Name":"a"}{"Name":"b"}', {"name": "a"}),
        (b'{"nAmE":"a","COUNT":3}', {"name": "a", "count": 3}),
        (b'{"Name":"a","name":"b"}', {"name": "b"}),
        (b'{"Name":null,"Open":true}', {"is_open": True}),
        (b'{"Unknown":{"deep":[1]},"Count":18446744073709551615}', {"count": 2**64 - 1}),
        (b'{"Balance":-9223372036854775808}', {"balance": -(2**63)}),
        (b'{"Wait":"1h2m3.5s"}', {"wait_ns": 3_723_500_000_000}),
        (b'{"Wait":"-1s"}', {"wait_ns": -1_000_000_000}),
        (b'{"Wait":""}', {"wait_ns": 0}),
        (b'{"Inner":{"Deep":true,"text":"b"},"Open":false}', OPEN_AND_INNER),
        (b'{"Inner":{"Deep":true,"Text":"b"},"Open":false}', OPEN_AND_INNER),
        (b'{"Inner":{"Deep":true},"Inner":{"Text":"b"}}', {"text": "b"}),
        (b'{"Inner":null}', {}),
        (b'{"Name":"\\ud83d\\ude00"}', {"name": "\N{GRINNING FACE}"}),
        (b'{"Name":"\\ud83d"}', {"name": "\N{REPLACEMENT CHARACTER}"}),
        (b'{"Name":"\xff"}', {"name": "\N{REPLACEMENT CHARACTER}"}),
    ],
)
def test_bodies_that_are_read(body: bytes, expected: dict[str, Any]) -> None:
    assert SHAPE.read(body) == expected


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Request body is empty"),
        (b"  \n", "EOF"),
        (b"{", "invalid JSON at character 1"),
        (b"{not json", "invalid JSON at character 1"),
        (b"\xef\xbb\xbf{}", "invalid JSON at character 0"),
        (b"NaN", "NaN is no JSON value"),
        (b'{"Count":-Infinity}', "-Infinity is no JSON value"),
        (b"[]", "expected an object, got an array"),
        (b'"x"', "expected an object, got a string"),
        (b"7", "expected an object, got number 7"),
        (b'{"Open":"yes"}', "Open: expected a boolean, got a string"),
        (b'{"Open":1}', "Open: expected a boolean, got number 1"),
        (b'{"Count":-1}', "Count: expected a whole number of 0 to 2^64-1, got number -1"),
        (b'{"Count":true}', "Count: expected a whole number of 0 to 2^64-1, got a boolean"),
        (b'{"Count":1.0}', "got number 1.0"),
        (b'{"Count":1e2}', "got number 100.0"),
        (b'{"Count":18446744073709551616}', "got number 18446744073709551616"),
        (b'{"Balance":9223372036854775808}', "Balance: expected a whole number of 64 bits"),
        (b'{"Name":{}}', "Name: expected a string, got an object"),
        (b'{"Wait":5}', "Wait: expected a string, got number 5"),
        (b'{"Wait":"5"}', 'Wait: time: missing unit in duration "5"'),
        (b'{"Wait":"abc"}', 'Wait: time: invalid duration "abc"'),
        (b"[" * 60_000, "nested too deeply"),
        (b"[" * 100_000, "a body of 100000 bytes has to be exact: "),
        (b'{"Count":' + b"9" * 10_000 + b"}", "invalid JSON"),
    ],
)
def test_bodies_that_are_refused(body: bytes, text: str) -> None:
    with pytest.raises(BodyError) as refused:
        SHAPE.read(body)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def refusal_of(read: Callable[[], object]) -> str:
    """The text of the refusal, empty if there was none. Any other exception is a failure."""
    try:
        read()
    except BodyError as error:
        return str(error)
    return ""


@settings(max_examples=50)
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()))
def test_no_bytes_do_worse_than_a_refusal(body: bytes) -> None:
    assert "\n" not in refusal_of(lambda: SHAPE.read(body))


@settings(max_examples=50)
@given(JSON, st.binary(max_size=10))
def test_the_first_value_is_the_one_that_was_sent(value: Any, rest: bytes) -> None:
    encoded = json.dumps(value).encode()
    try:
        got = first_value(encoded + b" " + rest)
    except BodyError:
        assert "NaN" in encoded.decode() or "Infinity" in encoded.decode()
    else:
        assert json.dumps(got) == json.dumps(value)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["Name", "count", "OPEN", "Wait", "Other"]), JSON))
def test_no_json_does_worse_than_a_refusal(value: dict[str, Any]) -> None:
    assert "\n" not in refusal_of(lambda: SHAPE.of(value))


# -- through the endpoints -----------------------------------------------------------------------

AUTOPILOT = b"/v1/operator/autopilot/configuration"
SCHEDULER = b"/v1/operator/scheduler/configuration"


@settings(max_examples=50)
@given(st.sampled_from([AUTOPILOT, SCHEDULER]), st.binary(max_size=60) | JSON.map(json.dumps))
def test_no_body_is_our_mistake(target: bytes, body: bytes | str) -> None:
    raw = body if isinstance(body, bytes) else body.encode()
    application = FakeServer().application()
    response = asyncio.run(answered(application, Request("PUT", target, (), raw)))
    assert response.status in {200, 400}
    assert b"\n" not in response.body


@asynchronous
async def test_every_field_of_autopilot_is_kept() -> None:
    service = FakeServer().write_defaults()
    body = {
        "CleanupDeadServers": True,
        "LastContactThreshold": "1s",
        "MaxTrailingLogs": 1,
        "MinQuorum": 2,
        "ServerStabilizationTime": "3s",
        "EnableRedundancyZones": True,
        "DisableUpgradeMigration": True,
        "EnableCustomUpgrades": True,
    }
    request = Request("PUT", AUTOPILOT, (), json.dumps(body).encode())
    assert (await answered(service.application(), request)).body == b"true"
    response = await answered(service.application(), Request("GET", AUTOPILOT))
    got = json.loads(response.body)
    assert {key: got[key] for key in body} == body
    kept = autopilot.current(service.store)
    assert kept is not None
    assert kept.last_contact_threshold_ns == 1_000_000_000


@asynchronous
async def test_every_field_of_the_scheduler_is_kept() -> None:
    service = FakeServer().write_defaults()
    body = {
        "SchedulerAlgorithm": "spread",
        "MemoryOversubscriptionEnabled": True,
        "RejectJobRegistration": True,
        "PauseEvalBroker": True,
        "NodeLimitForFeasibilityChecks": 17,
        "PreemptionConfig": {
            "SystemSchedulerEnabled": True,
            "SysBatchSchedulerEnabled": True,
            "BatchSchedulerEnabled": True,
            "ServiceSchedulerEnabled": True,
        },
    }
    request = Request("POST", SCHEDULER, (), json.dumps(body).encode())
    written = json.loads((await answered(service.application(), request)).body)
    assert written == {"Index": 6, "Updated": True}
    response = await answered(service.application(), Request("GET", SCHEDULER))
    got = json.loads(response.body)["SchedulerConfig"]
    assert {key: got[key] for key in body} == body


@asynchronous
async def test_what_a_put_leaves_out_is_zero_in_the_scheduler_too() -> None:
    service = FakeServer().write_defaults()
    await answered(service.application(), Request("PUT", SCHEDULER, (), b"null"))
    kept = scheduler.current(service.store)
    assert kept is not None
    assert (kept.scheduler_algorithm, kept.system_scheduler_enabled) == ("", False)


@pytest.mark.parametrize(
    ("target", "body", "text"),
    [
        (SCHEDULER, b'{"SchedulerAlgorithm":"no\\npe"}', b"invalid scheduler algorithm: no\\npe"),
        (SCHEDULER, b'{"PreemptionConfig":[]}', b"Error parsing scheduler config: PreemptionConf"),
        (SCHEDULER + b"?cas=", b"{}", b'Error parsing cas value: strconv.ParseUint: parsing ""'),
        (AUTOPILOT + b"?cas=-1", b"{}", b"Error parsing cas value: strconv.ParseUint: parsing"),
        (AUTOPILOT + b"?cas=1", b"", b"Error parsing autopilot config: Request body is empty"),
    ],
)
def test_what_the_endpoints_say_of_bad_bodies(target: bytes, body: bytes, text: bytes) -> None:
    response = FakeServer().application().handle(Request("PUT", target, (), body))
    assert isinstance(response, Response)
    assert response.status == 400
    assert response.body.startswith(text)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (AUTOPILOT, b"autopilot config not initialized yet"),
        (SCHEDULER, b"scheduler config not initialized yet"),
    ],
)
def test_before_the_first_command_of_a_leader(target: bytes, text: bytes) -> None:
    """A stale read, which may be answered from any state, is not held."""
    response = FakeServer().application().handle(Request("GET", target + b"?stale"))
    assert isinstance(response, Response)
    assert (response.status, response.body) == (500, text)


NEAR_MISSES = st.sampled_from(
    [
        *b"true null 1 -0 1.0 1e2 18446744073709551616 9223372036854775808".split(),
        *[
            b'""',
            b'"a"',
            b'"1h"',
            b'"\\ud83d"',
            b'"\\ud83d\\ude00"',
            b'"\xff"',
            b'"\\u0000"',
            b"{}",
        ],
        *[b'{"Deep":true}', b'{"deep":false,"Text":"x"}', b'{"Deep":null}', b"[]", b"NaN", b""],
    ]
)
NAMES = st.sampled_from(["Name", "Count", "Balance", "Open", "Wait", "Inner", "name", "Other"])


@settings(max_examples=300)
@given(
    members=st.lists(st.tuples(NAMES, NEAR_MISSES), max_size=4),
    before=st.sampled_from([b"", b" ", b"\xef\xbb\xbf"]),
    behind=st.sampled_from([b"", b"\n", b" x", b"}"]),
)
def test_the_short_way_and_the_long_way_are_one(
    members: list[tuple[str, bytes]], before: bytes, behind: bytes
) -> None:
    joined = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members)
    body = before + b"{" + joined + b"}" + behind

    def read(reader: Callable[[bytes], dict[str, Any]]) -> object:
        try:
            return reader(body)
        except BodyError as error:
            return str(error)

    assert read(SHAPE.read) == read(lambda body: SHAPE.of(first_value(body)))
