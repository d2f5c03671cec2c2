"""Captured cases of a server of 1.6, as far as they are not of access control and variables.

Those with a token were asked where access control is on, by one that may ask; here it is off, and
the token is not looked at. Their answers are the same.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered
from golden_setups import LATER, Golden, adopt, load, view_of

RAFT = "v16-raft-config"
ACL_RAFT = "v16acl-m-GET-v1-operator-raft-configuration-role"

# Ours may have more fields than a server of 1.6: those that later ones have.
LATER_FIELDS = {"Leader", "Voters", "NodeLimitForFeasibilityChecks"}

# Indexes and the like differ from run to run, or are the real ones here.
VOLATILE = {"Index", "CreateIndex", "ModifyIndex"}

ELSEWHERE = {
    "v16acl-m-GET-v1-event-stream-topic-Nope-role": "a stream: see test_api_events.py",
    **dict.fromkeys(
        [
            "v16-ns-bad-name",
            "v16-ns-del-default",
            "v16-ns-del-with-var",
            "v16-ns-desc-long",
            "v16-ns-get",
            "v16-ns-get-caps",
            "v16-ns-list",
            "v16-ns-mismatch",
            "v16-ns-put-caps",
        ],
        "see test_api_namespaces.py",
    ),
    "v16-jwks": "there since 1.7: no keys, see test_api_jobless.py",
    "v16-raft-transfer": "there since 1.7: 400, see test_api_raft.py",
    "v16-snapshot-head": "as DELETE; the body of a HEAD is left out by http.protocol",
    "v16acl-m-GET-v1-agent-self-role": "below: only the shape counts",
    "v16acl-m-GET-v1-metrics-role": "below: only the shape counts",
}

ROOT_KEYS = {"v16-keyring-root", "v16-keys", "v16-keys-after", "v16-keys-post"}
ELSEWHERE |= dict.fromkeys(
    (
        *ROOT_KEYS,
        *(f"v16-key-del-{which}" for which in ("active", "bad", "none", "unknown")),
        *(f"v16-rotate{which}" for which in ("", "-get", "-bad-algo")),
    ),
    "test_api_root_keys.py",
)


def names() -> list[str]:
    """Those of variables are replayed in test_api_golden_variables.py."""
    found = (path.stem for path in LATER.glob("*.json"))
    return sorted(name for name in found if not name.startswith(("v16-var", "v16-search-vars")))


def service_of(case: Golden) -> FakeServer:
    """The leader of the three servers of the case."""
    service = FakeServer("s1").write_defaults()
    service.view = view_of(
        load(ACL_RAFT if case.name.startswith("v16acl") else RAFT).json["Servers"]
    )
    service.address = next(each.address for each in service.view.servers if each.leader)
    adopt(service, case)
    return service


def reduced(value: Any) -> Any:
    if isinstance(value, list):
        return [reduced(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: type(each).__name__ if key in VOLATILE else reduced(each)
        for key, each in value.items()
        if key not in LATER_FIELDS or (key == "Leader" and isinstance(each, bool))
    }


@pytest.mark.parametrize("name", [name for name in names() if name not in ELSEWHERE])
@asynchronous
async def test_golden(name: str) -> None:
    case = load(name)
    service = service_of(case)
    application = service.application()
    rendered = application.renderer.render(
        await answered(application, case.request()), compressed=False
    )
    assert rendered.status == case.status
    if case.json is None:
        assert rendered.body.decode() == case.body
    else:
        assert reduced(msgspec.json.decode(rendered.body)) == reduced(case.json)
    got = {header.decode(): value.decode() for header, value in rendered.headers}
    for header, value in case.headers.items():
        if header.startswith("X-Nomad"):
            assert header in got
        elif header != "Content-Length":
            assert got[header] == value


@asynchronous
async def test_the_shape_of_metrics() -> None:
    case = load("v16acl-m-GET-v1-metrics-role")
    application = service_of(case).application()
    got = msgspec.json.decode((await answered(application, case.request())).body)
    assert set(case.json) <= {*got, "PrefixFilter"}
    for kind in ("Counters", "Gauges", "Samples"):
        for each in got[kind]:
            assert set(each) == set(case.json[kind][0])


@asynchronous
async def test_what_agent_self_tells_beside_the_configuration() -> None:
    """The configuration itself is in test_config_view.py."""
    case = load("v16acl-m-GET-v1-agent-self-role")
    application = service_of(case).application()
    got = msgspec.json.decode((await answered(application, case.request())).body)
    assert set(got) == set(case.json)
    assert got["member"] == case.json["member"]
    assert set(case.json["stats"]) - {"vault"} <= set(got["stats"])


def test_each_case_has_a_test() -> None:
    assert set(ELSEWHERE) <= set(names())
