"""The captured cases of the endpoints that are built, each against a fake of its setup.

What is compared: the status; every captured header; the body, as text or as JSON with the
volatile fields of the case reduced to their types. Answers may have more headers and more JSON
fields than were captured (later versions have them): `ADDED` names which.
"""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import NOW, FakeServer, answered
from golden_setups import (
    Golden,
    Setup,
    all_names,
    east,
    east_alone,
    follower,
    just_killed,
    last_key,
    leader,
    load,
    lost,
    one_key,
    out_of_reach,
    protocol_two,
    second_key,
    single,
    survivor,
    two_keys,
    west,
    west_of_east,
)

import quorate.api.consistency
import quorate.api.endpoints.agent
from quorate.api.codec.encode import accepts_gzip
from quorate.api.http.messages import Rendered
from quorate.errors import QuorateError
from quorate.metrics import Metrics

INDEXES = ("Index", "CreateIndex", "ModifyIndex")
INDEX_HEADER = ("X-Nomad-Index",)


class Case(msgspec.Struct, frozen=True):
    """How one captured case is replayed.

    `before`: cases of the same series that are asked first. `volatile`: JSON keys of which only
    the type counts. `prefix`: only so much of the text counts; the rest is our decoder's own.
    """

    setup: Setup
    before: tuple[str, ...] = ()
    path: str = ""
    volatile: tuple[str, ...] = ()
    volatile_headers: tuple[str, ...] = ()
    prefix: str = ""
    fails: str = ""


def cases(setup: Setup, names: str, **options: Any) -> dict[str, Case]:
    return {name: Case(setup, **options) for name in names.split()}


AUTOPILOT = "Error parsing autopilot config: "
PUT = "r3-autopilot-config-put"

CASES: dict[str, Case] = {
    # Our `Index` is the real one (docs/divergence.md#the-http-api); theirs is always 0.
    **cases(
        leader,
        """r3-raft-config-leader r3-raft-config-pretty-0 r3-raft-config-pretty-false
        r3-raft-config-gzip r3-raft-config-region-own r3-raft-config-index-high-does-not-block
        r3-raft-config-prefix-path r3-raft-config-after-delete-live r3-raft-config-after-return
        r3-raft-config-one-dead r3-raft-config-after-force-leave""",
        volatile=("Index",),
    ),
    **cases(
        follower,
        "r3-raft-config-follower r3-raft-config-stale-bare r3-raft-config-pretty",
        volatile=("Index",),
    ),
    **cases(
        leader,
        """r3-raft-config-post r3-raft-config-head r3-raft-config-options
        r3-raft-config-unknown-region r3-raft-config-bad-wait r3-raft-config-bad-index
        r3-raft-root r3-raft-root-noslash r3-raft-unknown-sub r3-operator-root r3-unknown-path
        r3-root-redirect r3-peer-delete-none r3-peer-delete-both r3-peer-delete-unknown-address
        r3-peer-delete-empty-address r3-peer-delete-unknown-id r3-peer-delete-empty-id
        r3-peer-delete-unknown-address-other-port r3-peer-get r3-peer-put
        r3-peer-delete-unknown-region r3-autopilot-config-delete r3-autopilot-config-post
        r3-autopilot-config-trailing-slash r3-autopilot-config-put-empty
        r3-autopilot-config-put
        r3-autopilot-config-put-partial r3-autopilot-config-cas-bad
        r3-autopilot-config-cas-stale r3-autopilot-config-unknown-region
        r3-autopilot-state-absent r3-scheduler-config-put-bad-algo
        r3-scheduler-config-put-empty r3-scheduler-config-delete r3-license-get
        r3-status-leader r3-status-leader-post r3-status-leader-region-unknown r3-status-peers
        r3-status-unknown r3-regions r3-regions-put r3-regions-other-region r3-agent-members
        r3-agent-members-put r3-agent-members-unknown-region r3-agent-self-post r3-agent-health
        r3-agent-health-server r3-agent-health-client r3-agent-health-bad-type
        r3-agent-health-post r3-agent-unknown r3-metrics-prometheus-off r3-metrics-post
        r3-namespaces-put r3-namespaces-prefix r3-namespace-get-missing r3-namespace-noname
        r3-namespace-create-get r3-namespace-create-mismatch r3-members-one-dead
        r3-members-after-force-leave""",
    ),
    **cases(
        follower,
        """r3-peer-delete-unknown-id-follower r3-autopilot-config-put-follower
        r3-status-leader-follower r3-status-peers-pretty r3-peer-delete-live-by-id""",
    ),
    **cases(
        leader,
        """r3-autopilot-config-put-badjson r3-autopilot-config-put-array
        r3-autopilot-config-put-badduration
        r3-autopilot-config-put-badtype r3-autopilot-config-put-negative-trailing
        r3-autopilot-config-put-number-duration""",
        prefix=AUTOPILOT,
    ),
    **cases(leader, "r3-autopilot-config-get r3-acl-off-with-token-header", volatile=INDEXES),
    **cases(follower, "r3-autopilot-config-get-stale", volatile=INDEXES),
    **cases(leader, "r3-autopilot-config-after-put", volatile=INDEXES, before=(PUT,)),
    **cases(
        leader,
        "r3-autopilot-config-after-partial",
        volatile=INDEXES,
        before=(PUT, "r3-autopilot-config-put-partial"),
    ),
    **cases(
        leader,
        "r3-autopilot-config-cas-match",
        before=(PUT,),
        path="/v1/operator/autopilot/configuration?cas=6",
    ),
    **cases(
        leader,
        "r3-scheduler-config-get r3-scheduler-config-put",
        volatile=INDEXES,
        volatile_headers=INDEX_HEADER,
    ),
    **cases(
        follower,
        "r3-scheduler-config-get-follower-stale",
        volatile=(*INDEXES, "LastContact"),
        volatile_headers=INDEX_HEADER,
    ),
    **cases(
        leader,
        "r3-scheduler-config-after-put r3-scheduler-config-cas-stale",
        before=("r3-scheduler-config-put",),
        volatile=INDEXES,
        volatile_headers=INDEX_HEADER,
    ),
    **cases(leader, "r3-namespaces r3-namespace-get-default", volatile=INDEXES),
    **cases(
        leader,
        "r3-namespace-create r3-namespace-create-post-path",
        volatile_headers=INDEX_HEADER,
    ),
    **cases(
        leader,
        """r3-namespace-get r3-namespaces-prefix-hit r3-namespace-delete
        r3-namespace-delete-missing""",
        before=("r3-namespace-create", "r3-namespace-create-post-path"),
        volatile=INDEXES,
        volatile_headers=INDEX_HEADER,
    ),
    **cases(west_of_east, "fed-namespace-put-west", volatile_headers=INDEX_HEADER),
    **cases(
        east,
        "fed-namespaces-east-after",
        before=("fed-namespace-put-west",),
        volatile=INDEXES,
        volatile_headers=INDEX_HEADER,
    ),
    **cases(
        follower,
        "r3-namespaces-follower-stale",
        volatile=INDEXES,
        volatile_headers=("X-Nomad-Lastcontact",),
    ),
    # A leader was killed a moment ago.
    **cases(just_killed, "lk-status-leader-just-killed", fails="EOF"),
    **cases(
        just_killed,
        "lk-raft-config-just-killed",
        fails="failed to get conn: dial tcp 127.0.0.3:4647: connect: connection refused",
    ),
    **cases(survivor, "lk-status-leader"),
    **cases(survivor, "lk-raft-config lk-raft-config-after-delete", volatile=("Index",)),
    # Nobody leads.
    **cases(
        lost,
        """lq-status-leader lq-status-leader-stale lq-status-peers lq-raft-config lq-peer-delete
        lq-peer-delete-noparam lq-autopilot-config lq-autopilot-config-put lq-namespaces
        lq-agent-health lq-members lq-regions""",
    ),
    **cases(lost, "lq-raft-config-stale", volatile=("Index",)),
    **cases(
        lost,
        "lq-autopilot-config-stale",
        volatile=INDEXES,
        before=("r3-autopilot-config-put-follower",),
    ),
    # IDs are addresses.
    **cases(protocol_two, "r2-raft-config r2-raft-config-after-delete", volatile=("Index",)),
    **cases(protocol_two, "r2-raft-config-after-leader-removed", volatile=("Index",)),
    **cases(protocol_two, "r2-autopilot-config", volatile=INDEXES),
    **cases(
        protocol_two,
        """r2-members r2-peer-delete-unknown r2-peer-delete-address r2-peer-delete-id-is-address
        r2-peer-delete-leader""",
    ),
    # Two regions.
    **cases(
        east,
        """fed-regions fed-members fed-status-leader fed-status-leader-west fed-status-peers-west
        fed-raft-config-unknown fed-autopilot-put-west fed-peer-delete-west-unknown""",
    ),
    **cases(east, "fed-raft-config-west", volatile=("Index",)),
    **cases(east, "fed-autopilot-west", volatile=INDEXES),
    **cases(west, "fed-autopilot-after-put", volatile=INDEXES, before=("fed-autopilot-put-west",)),
    **cases(east, "fed-killed-status-leader-west", fails="stream closed"),
    **cases(east_alone, "fed-killed-regions fed-killed-status-leader-west-failed"),
    # Configured headers.
    **cases(
        single,
        """enc-response-header enc-response-header-error misc-gzip-error misc-head-status
        misc-double-slash misc-status-trailing-slash misc-wait-number
        misc-autopilot-trailing-garbage misc-autopilot-lowercase misc-autopilot-durations""",
    ),
    **cases(single, "misc-gzip-deflate-requests-default", volatile=INDEXES),
    **cases(
        single,
        "misc-autopilot-after-lowercase",
        volatile=INDEXES,
        before=("misc-autopilot-lowercase",),
    ),
    **cases(
        single,
        "misc-autopilot-after-durations",
        volatile=INDEXES,
        before=("misc-autopilot-durations",),
    ),
    **cases(
        survivor,
        "gl-raft-config-after-leave gl-raft-config-after-leader-left recover-raft-config",
        volatile=("Index",),
    ),
    **cases(survivor, "gl-members-after-leave"),
    **cases(leader, "r3-autopilot-health", volatile=("LastContact",)),
    **cases(follower, "r3-autopilot-health-follower-pretty", volatile=("LastContact",)),
    **cases(leader, "r3-autopilot-health-put"),
    **cases(lost, "lq-autopilot-health lq-autopilot-health-stale"),
    **cases(east, "fed-health-west", volatile=("LastContact",)),
    **cases(
        leader,
        """r3-system-gc r3-system-gc-get r3-agent-host-nodebug r3-agent-pprof-nodebug
        r3-agent-pprof-root""",
    ),
    # What belongs to jobs, nodes and ACLs.
    **cases(
        leader,
        "r3-acl-off-bootstrap r3-acl-off-policies r3-acl-off-tokens r3-acl-off-policy-put",
    ),
    **cases(lost, "lq-acl-bootstrap"),
    **cases(leader, "r3-agent-monitor-bad-level r3-agent-monitor-bad-plain r3-agent-monitor-both"),
    # The pool.
    **cases(
        leader,
        """r3-agent-join-get r3-agent-join-none r3-agent-force-leave-get r3-agent-force-leave-none
        r3-agent-force-leave-unknown r3-force-leave-fullname r3-force-leave-shortname
        r3-agent-servers r3-agent-keyring-unknown r3-agent-keyring-list-nokeyring
        r3-agent-keyring-install-nokeyring""",
    ),
    # `warning` is in the answer since 2.0 (docs/divergence.md#the-http-api).
    **cases(leader, "r3-agent-join-ok r3-agent-join-two", volatile=("warning",)),
    **cases(out_of_reach, "r3-agent-join-refused r3-agent-join-garbage", volatile=("warning",)),
    **cases(single, "misc-join-body-ignored"),
    **cases(
        one_key,
        """enc-keyring-list enc-keyring-install enc-keyring-install-bad64
        enc-keyring-install-empty""",
    ),
    **cases(two_keys, "enc-keyring-list-two enc-keyring-use"),
    **cases(second_key, "enc-keyring-remove-primary"),
    **cases(last_key, "enc-keyring-use-unknown"),
}

ADDED: dict[str, set[str]] = {
    "SchedulerConfig": {
        "MemoryOversubscriptionEnabled",
        "NodeLimitForFeasibilityChecks",
        "PauseEvalBroker",
        "RejectJobRegistration",
    },
    "PreemptionConfig": {"SysBatchSchedulerEnabled"},
    "": {
        "Capabilities",
        "Leader",
        "Meta",
        "NextToken",
        "NodePoolConfiguration",
        "Voters",
        "warning",
    },
}

NAMESPACES = "400 in place of 500; see test_api_namespaces.py"
STALE_IS_A_BOOLEAN = (
    "stale has a boolean value (docs/divergence.md#the-http-api); see test_api_consistency.py"
)
UNHEALTHY = "below: 429 has the type of JSON here (docs/http-api.md#autopilot-and-the-scheduler)"
NO_DEBUGGING = "enable_debug has no effect here: nothing inside the process is shown"
KEYS_BY_PUT = "keys are changed by PUT and POST alone; see test_api_keyring.py"
SHAPE_ONLY = "only the shape counts; see test_api_metrics.py and test_api_agent.py"

ELSEWHERE: dict[str, str] = {
    "enc-keyring-install-get": KEYS_BY_PUT,
    "enc-keyring-remove": KEYS_BY_PUT,
    "enc-keyring-install-badlen": "a key's length is checked first; see test_api_keyring.py",
    "r3-raft-transfer-leadership-absent": "this path exists since 1.7",
    "enc-pprof-goroutine": NO_DEBUGGING,
    "enc-pprof-unknown": NO_DEBUGGING,
    "enc-monitor": "see test_api_monitor.py",
    "enc-monitor-plain": "see test_api_monitor.py",
    "r3-agent-monitor-unknown-server": "a text has the type of a text; see test_api_monitor.py",
    "r3-agent-self": SHAPE_ONLY,
    "enc-agent-self-encrypted": SHAPE_ONLY,
    "r3-metrics": SHAPE_ONLY,
    "enc-metrics-nohost": SHAPE_ONLY,
    "enc-metrics-prometheus": SHAPE_ONLY,
    "r3-ui": "our page is another",
    "r3-namespaces-stale-false": STALE_IS_A_BOOLEAN,
    "lq-raft-config-stale-false": STALE_IS_A_BOOLEAN,
    "lq-raft-config-stale-False-capital": STALE_IS_A_BOOLEAN,
    "lk-peer-delete-dead-by-address": "removed by address in every protocol (divergence.md)",
    "lq-scheduler-config-stale": "below, because its state is of another case",
    "r3-health-one-dead": UNHEALTHY,
    "lk-autopilot-health-at-once": UNHEALTHY,
    "r2-autopilot-health": "health is told whatever the servers' IDs look like",
    "lq-namespaces-stale": "see test_api_namespaces.py",
    "r3-namespaces-blocking-timeout": "see test_api_blocking.py",
    "r3-namespaces-blocking-past": "see test_api_blocking.py",
    "misc-index-ahead-blocks": "see test_api_blocking.py",
    "misc-connection-limit": "see test_api_socket.py",
    "tls-plain-http": "TLS is the listener's, not the application's",
    **dict.fromkeys(
        [
            "r3-namespace-create-badname",
            "r3-namespace-create-noname",
            "r3-namespace-create-longdesc",
            "r3-namespace-create-empty",
            "r3-namespace-delete-default",
        ],
        NAMESPACES,
    ),
}

BUILT = (
    "/v1/operator/raft",
    "/v1/operator/autopilot",
    "/v1/operator/scheduler",
    "/v1/operator/license",
    "/v1/status",
    "/v1//status",
    "/v1/regions",
    "/v1/agent/join",
    "/v1/agent/force-leave",
    "/v1/agent/servers",
    "/v1/agent/keyring",
    "/v1/agent/members",
    "/v1/agent/self",
    "/v1/agent/health",
    "/v1/agent/nosuch",
    "/v1/agent/monitor",
    "/v1/agent/host",
    "/v1/agent/pprof",
    "/v1/system",
    "/v1/acl",
    "/v1/metrics",
    "/v1/namespace",
    "/v1/nosuch",
    "/ui",
)


def test_every_case_of_what_is_built_is_replayed_or_has_a_reason() -> None:
    def is_ours(name: str) -> bool:
        path = load(name).path.partition("?")[0]
        # ACLs come later; a client-only agent does not exist here.
        later = name.startswith(("acl-", "cl-"))
        return not later and (path.startswith(BUILT) or path in {"/", "/v1/operator/"})

    assert {name for name in all_names() if is_ours(name)} == {*CASES, *ELSEWHERE}
    assert not set(CASES) & set(ELSEWHERE)


def reduced(value: Any, volatile: tuple[str, ...], parent: str = "") -> Any:
    """The value with volatile fields as their types, and without what later versions added."""
    if isinstance(value, list):
        return [reduced(item, volatile, parent) for item in value]
    if not isinstance(value, dict):
        return value
    added = ADDED.get(parent, set())
    return {
        key: type(item).__name__ if key in volatile else reduced(item, volatile, key)
        for key, item in value.items()
        if key not in added
    }


def check_body(golden: Golden, case: Case, body: bytes) -> None:
    if golden.json is None:
        text = body.decode()
        assert text.startswith(case.prefix) if case.prefix else text == golden.body
        assert "\n" not in text.removesuffix("\n\n")
        return
    got = msgspec.json.decode(body)
    assert reduced(got, case.volatile) == reduced(golden.json, case.volatile)
    if not case.volatile and golden.body and "Members" not in golden.body:
        assert body.decode() == golden.body


def check_headers(golden: Golden, case: Case, rendered: Rendered) -> None:
    got = {name.decode(): value.decode() for name, value in rendered.headers}
    assert len(got) == len(rendered.headers), "a header twice"
    for name, value in golden.headers.items():
        if name == "Content-Length":
            assert got[name] == str(len(rendered.body))
        elif name in case.volatile_headers:
            assert got[name].isdigit()
        else:
            assert got[name] == value
    ours = {name for name in got if not name.startswith("X-Quorate-")}
    missing = {"Content-Length"} if golden.status != 204 else set()
    assert ours == set(golden.headers) | missing


@pytest.fixture
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorate.api.consistency, "HOLD_S", 0.05)
    monkeypatch.setattr(quorate.api.endpoints.agent, "HOLD_S", 0.05)


async def replay(service: FakeServer, golden: Golden, case: Case) -> Rendered:
    application = service.application(Metrics())
    for name in case.before:
        earlier = load(name)
        role, service.role = service.role, "leader"  # somebody led when that was written
        await answered(application, earlier.request(earlier.path.replace("region=west", "")))
        service.role = role
    request = golden.request(case.path)
    response = await answered(application, request)
    compressed = accepts_gzip(request.header(b"accept-encoding"))
    return application.renderer.render(response, compressed=compressed)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("short_hold")
@asynchronous
async def test_golden(name: str) -> None:
    case, golden = CASES[name], load(name)
    service = case.setup(golden)
    if case.fails:
        service.leader_errors = [QuorateError(case.fails)] * 100_000  # for as long as it is held
        service.region_errors = [QuorateError(case.fails)]
    rendered = await replay(service, golden, case)
    assert rendered.status == golden.status
    check_headers(golden, case, rendered)
    body = rendered.body
    if golden.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
        if golden.status == 200:
            return  # captured as bytes; its JSON is that of the case without gzip
        assert body == b"No path to region"
        return
    if golden.method != "HEAD":
        check_body(golden, case, body)


@asynchronous
async def test_golden_lq_scheduler_config_stale() -> None:
    """The state is the one that an earlier case of another setup had written."""
    golden = load("lq-scheduler-config-stale")
    case = Case(
        lost,
        before=("r3-scheduler-config-put",),
        volatile=(*INDEXES, "LastContact"),
        volatile_headers=INDEX_HEADER,
    )
    rendered = await replay(lost(golden), golden, case)
    check_headers(golden, case, rendered)
    check_body(golden, case, rendered.body)


@pytest.mark.parametrize("name", ["r3-health-one-dead", "lk-autopilot-health-at-once"])
@asynchronous
async def test_golden_of_a_cluster_that_is_not_healthy(name: str) -> None:
    golden, case = load(name), Case(leader, volatile=("LastContact",))
    rendered = await replay(leader(golden), golden, case)
    assert rendered.status == golden.status == 429
    check_body(golden, case, rendered.body)
    assert dict(rendered.headers)[b"Content-Type"] == b"application/json"


def test_the_clock_of_the_fake_is_in_the_date_header() -> None:
    assert FakeServer().application().date_line() == b"Date: Mon, 23 Nov 2026 14:40:00 GMT\r\n"
    assert NOW % 60 == 0
