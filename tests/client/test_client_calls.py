"""Every typed call: what it asks, and what it makes of recorded answers (docs/http-api.md)."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from client_both import BOTH, use
from client_fake_agent import FakeAgent, Reply, golden_http, json_reply, text_reply

from quorate.client import (
    AnswerError,
    Client,
    ClientError,
    RequestError,
    StatusError,
    TlsOptions,
)

RAFT = "/v1/operator/raft/configuration"
AUTOPILOT = "/v1/operator/autopilot/configuration"
SCHEDULER = "/v1/operator/scheduler/configuration"


@pytest.fixture(autouse=True, params=BOTH)
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, sys.modules[__name__], request.param)


def ask(route: str, reply: Reply, call: Callable[[Client], Any], **settings: Any) -> Any:
    """The result of one call, which must make exactly the request `route`."""
    with FakeAgent({route: reply}) as agent, Client(agent.address, **settings) as client:
        result = call(client)
    assert agent.asked == [route]
    return result


def test_raft_configuration() -> None:
    found = ask(f"GET {RAFT}", golden_http("r3-raft-config-leader"), Client.raft_configuration)
    assert [(s.node, s.address, s.leader, s.voter, s.raft_protocol) for s in found.servers] == [
        ("s3.global", "127.0.0.3:4647", True, True, "3"),
        ("s2.global", "127.0.0.2:4647", False, True, "3"),
        ("s1.global", "127.0.0.1:4647", False, True, "3"),
    ]
    assert found.servers[0].id == "990fe718-2e08-2a6f-9689-0955efec4c73"
    assert found.raw == json.loads(golden_http("r3-raft-config-leader").body)


def test_raft_configuration_of_an_old_server_lacks_fields_and_of_a_new_one_has_more() -> None:
    body = {"Servers": [{"ID": "a:1", "Address": "a:1", "Voter": None, "Zone": "x"}], "New": [1]}
    found = ask(f"GET {RAFT}?stale=", json_reply(body), lambda c: c.raft_configuration(stale=True))
    (server,) = found.servers
    assert (server.id, server.node, server.voter, server.raft_protocol) == ("a:1", "", False, "")
    assert found.index == 0
    assert found.raw["New"] == [1]


def test_null_lists_are_empty() -> None:
    found = ask(f"GET {RAFT}", json_reply({"Servers": None}), Client.raft_configuration)
    assert found.servers == ()


@pytest.mark.parametrize(
    ("named", "query"),
    [
        ({"server_id": "x y"}, "id=x+y"),
        ({"address": "10.0.0.1:4647"}, "address=10.0.0.1%3A4647"),
        ({"server_id": "x", "force": True}, "force=true&id=x"),
    ],
)
def test_remove_peer(named: dict[str, Any], query: str) -> None:
    route = f"DELETE /v1/operator/raft/peer?{query}"
    reply = golden_http("r2-peer-delete-address")
    assert ask(route, reply, lambda c: c.remove_raft_peer(**named)) is None


@pytest.mark.parametrize("named", [{}, {"server_id": "x", "address": "y"}])
def test_a_peer_is_named_once(named: dict[str, Any]) -> None:
    with FakeAgent({}) as agent, Client(agent.address) as client:
        with pytest.raises(ValueError, match="either server_id or address"):
            client.remove_raft_peer(**named)
        assert agent.asked == []


def test_raft_views() -> None:
    body = {
        "Servers": [
            {
                "ID": "a",
                "Node": "s1.global",
                "Role": "leader",
                "LeaderID": "a",
                "Term": 4,
                "LastContactMs": 7,
                "Configuration": {"Index": 9, "Servers": [{"ID": "a", "Voter": True}]},
            },
            {"ID": "b", "Error": "no answer", "Configuration": None},
        ]
    }
    first, second = ask("GET /v1/operator/raft/views", json_reply(body), Client.raft_views).servers
    assert (first.leader_id, first.term, first.last_contact_ms) == ("a", 4, 7)
    assert first.configuration.index == 9
    assert first.configuration.servers[0].voter
    assert (second.error, second.configuration.servers) == ("no answer", ())


def test_raft_facts() -> None:
    members = [{"ID": "a", "Address": "10.0.0.1:4647", "Voter": True, "Key": "AAEC"}]
    body = {"ID": "a", "LastIndex": 9, "Configuration": {"Index": 1, "Servers": members}}
    found = ask("GET /v1/operator/raft/facts", json_reply(body), Client.raft_facts)
    assert (found.id, found.last_index, found.raw["LastIndex"]) == ("a", 9, 9)
    assert found.configuration.servers[0].key == b"\x00\x01\x02"


def test_join() -> None:
    route = "PUT /v1/agent/join?address=a&address=%5B%3A%3A1%5D%3A4648"
    found = ask(route, golden_http("r3-agent-join-two"), lambda c: c.join(["a", "[::1]:4648"]))
    assert (found.num_joined, found.error, found.warning) == (2, "", "")


@pytest.mark.parametrize(("prune", "query"), [(False, ""), (True, "&prune=true")])
def test_force_leave(prune: bool, query: str) -> None:
    route = f"PUT /v1/agent/force-leave?node=s1.global{query}"
    reply = golden_http("r3-force-leave-fullname")
    assert ask(route, reply, lambda c: c.force_leave("s1.global", prune=prune)) is None


def test_rejoin() -> None:
    reply = json_reply({"ID": "b", "MovedAside": "/old"})
    found = ask("PUT /v1/agent/rejoin", reply, Client.rejoin)
    assert (found.id, found.moved_aside) == ("b", "/old")


def test_keyring_of_any_server_and_with_details() -> None:
    route = "/v1/agent/keyring/list"
    found = ask(f"GET {route}", golden_http("enc-keyring-list-two"), lambda c: c.keyring("list"))
    assert sorted(found.keys.values()) == [1, 1]
    assert (found.num_nodes, found.num_resp, found.primary_keys) == (1, None, None)
    body = {"Keys": None, "NumNodes": 2, "NumResp": 1, "PrimaryKeys": {"k": 1}, "Unanswered": ["b"]}
    found = ask(
        f"GET {route}?details=true", json_reply(body), lambda c: c.keyring("list", details=True)
    )
    assert (found.num_resp, found.primary_keys, found.unanswered) == (1, {"k": 1}, ("b",))


def test_a_refusal_tells_what_the_server_says_to_do_next() -> None:
    reply = Reply(501, b"gossip is not enabled", (("X-Quorate-Next", "switch it on"),))
    with pytest.raises(StatusError) as caught:
        ask("PUT /v1/agent/rejoin", reply, Client.rejoin)
    assert caught.value.next_step == "switch it on"


def test_transfer_leadership() -> None:
    body = {
        "Err": None,
        "From": {"Address": "127.0.0.1:4647", "ID": "a"},
        "To": {"Address": "127.0.0.2:4647", "ID": "b"},
        "Noop": False,
    }
    done = ask(
        "PUT /v1/operator/raft/transfer-leadership?id=b",
        json_reply(body),
        lambda c: c.transfer_leadership(server_id="b"),
    )
    assert (done.from_.id, done.to.id, done.to.address, done.noop) == (
        "a",
        "b",
        "127.0.0.2:4647",
        False,
    )


def test_autopilot_is_written_back_with_what_we_do_not_know() -> None:
    before = json.loads(golden_http("r3-autopilot-config-get").body) | {"Newer": {"a": 1}}
    routes = {
        f"GET {AUTOPILOT}": json_reply(before),
        f"PUT {AUTOPILOT}?cas=4": json_reply(True),
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        found = client.autopilot_configuration()
        wanted = msgspec.structs.replace(found, min_quorum=3)
        assert client.set_autopilot_configuration(wanted, cas=4)
    assert json.loads(agent.requests[1].body) == before | {"MinQuorum": 3}


def test_scheduler_is_written_back_with_what_we_do_not_know() -> None:
    inner = json.loads(golden_http("r3-scheduler-config-get").body)["SchedulerConfig"]
    inner = inner | {"NodeLimitForFeasibilityChecks": 9}
    inner["PreemptionConfig"]["NewSchedulerEnabled"] = True
    routes = {
        f"GET {SCHEDULER}": json_reply({"Index": 5, "SchedulerConfig": inner}),
        f"PUT {SCHEDULER}?cas=5": golden_http("r3-scheduler-config-put"),
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        found = client.scheduler_configuration()
        assert found.preemption_config.system_scheduler_enabled
        wanted = msgspec.structs.replace(found, scheduler_algorithm="spread")
        result = client.set_scheduler_configuration(wanted, cas=found.modify_index)
    written = json.loads(agent.requests[1].body)
    assert written["SchedulerAlgorithm"] == "spread"
    assert written["NodeLimitForFeasibilityChecks"] == 9
    assert written["PreemptionConfig"]["NewSchedulerEnabled"] is True
    assert result.updated


def test_cas_that_lost_is_no_error() -> None:
    reply = golden_http("r3-scheduler-config-cas-stale")
    with FakeAgent({f"PUT {SCHEDULER}?cas=1": reply}) as agent, Client(agent.address) as client:
        config = msgspec.structs.replace(_scheduler(), scheduler_algorithm="binpack")
        assert not client.set_scheduler_configuration(config, cas=1).updated


def _scheduler() -> Any:
    return ask(
        f"GET {SCHEDULER}",
        golden_http("r3-scheduler-config-get"),
        Client.scheduler_configuration,
    )


@pytest.mark.parametrize(
    ("route", "golden", "call", "expected"),
    [
        ("GET /v1/status/leader", "r3-status-leader", Client.leader, "127.0.0.3:4647"),
        (
            "GET /v1/status/leader?region=west",
            "fed-status-leader-west",
            lambda c: c.leader(region="west"),
            "127.0.0.6:4647",
        ),
        (
            "GET /v1/status/leader?stale=",
            "lq-status-leader-stale",
            lambda c: c.leader(stale=True),
            "",
        ),
        ("GET /v1/regions", "fed-regions", Client.regions, ["east", "west"]),
    ],
)
def test_status(route: str, golden: str, call: Callable[[Client], Any], expected: Any) -> None:
    assert ask(route, golden_http(golden), call) == expected


def test_peers() -> None:
    peers = ask("GET /v1/status/peers", golden_http("r3-status-peers"), Client.peers)
    assert sorted(peers) == ["127.0.0.1:4647", "127.0.0.2:4647", "127.0.0.3:4647"]


def test_members() -> None:
    found = ask("GET /v1/agent/members", golden_http("r3-agent-members"), Client.agent_members)
    member = next(m for m in found.members if m.name == "s1.global")
    assert (member.status, member.rpc_address, member.port) == ("alive", "127.0.0.1:4647", 4648)
    assert (found.server_name, found.server_region, found.server_dc) == ("s3", "global", "dc1")


def test_agent_self() -> None:
    found = ask("GET /v1/agent/self", golden_http("r3-agent-self"), Client.agent_self)
    assert found.config["Region"] == "global"
    assert found.stats["raft"]["protocol_version"] == "3"
    assert found.member.tags["role"] == "nomad"


@pytest.mark.parametrize(
    ("golden", "good", "message"),
    [("r3-agent-health", True, "ok"), ("lq-agent-health", False, "No cluster leader")],
)
def test_health_good_and_bad_is_an_answer(golden: str, good: bool, message: str) -> None:
    health = ask("GET /v1/agent/health", golden_http(golden), Client.agent_health)
    assert health.server is not None
    assert (health.server.ok, health.server.message) == (good, message)
    assert health.client is None


def test_health_of_a_part() -> None:
    route = "GET /v1/agent/health?type=server"
    reply = golden_http("r3-agent-health-server")
    assert ask(route, reply, lambda c: c.agent_health(kind="server")).server.ok


def test_health_that_cannot_be_told_is_an_error() -> None:
    with pytest.raises(StatusError, match=r"Unexpected response code: 500 \(rpc error: EOF\)"):
        ask("GET /v1/agent/health", text_reply(500, "rpc error: EOF"), Client.agent_health)


def test_metrics() -> None:
    found = ask("GET /v1/metrics", golden_http("r3-metrics"), Client.metrics)
    counter = next(c for c in found.counters if c.name == "nomad.nomad.rpc.request")
    assert (counter.count, counter.rate) == (85, 8.5)
    assert found.gauges


def test_metrics_text() -> None:
    reply = golden_http("enc-metrics-prometheus")
    route = "GET /v1/metrics?format=prometheus&pretty=1"
    text = ask(route, reply, lambda c: c.metrics_text(form="prometheus", pretty=True))
    assert text.encode() == reply.body


def test_settings_travel_with_every_request() -> None:
    with (
        FakeAgent({}) as agent,
        Client(
            agent.address,
            region="west",
            namespace="team",
            token="secret",
            http_auth=("user", "pass"),
        ) as client,
    ):
        client.request("GET", "/v1/x?region=east", body=None)
        client.request("PUT", "/v1/y", query=[("b", "2"), ("a", "1")], body=b"{}")
    first, second = agent.requests
    assert first.target == "/v1/x?region=east&namespace=team"
    assert second.target == "/v1/y?a=1&b=2&namespace=team&region=west"
    assert second.body == b"{}"
    for seen in agent.requests:
        assert seen.headers["x-nomad-token"] == "secret"
        assert seen.headers["authorization"] == "Basic dXNlcjpwYXNz"


def test_gzip_is_unpacked() -> None:
    import gzip

    plain = golden_http("r3-raft-config-leader").body
    reply = Reply(200, gzip.compress(plain), (("Content-Encoding", "gzip"),))
    assert ask(f"GET {RAFT}", reply, Client.raft_configuration).servers


def redirect(place: str) -> Reply:
    return Reply(301, b"", (("Location", place),))


def test_redirects_of_reads_are_followed() -> None:
    routes = {
        "GET /v1/operator": redirect("/v1/operator/"),
        "GET /v1/operator/": json_reply({}),
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        assert client.request("GET", "/v1/operator").status == 200


def test_a_write_follows_where_it_stays_the_same_request() -> None:
    routes = {
        "PUT /v1/old": Reply(307, b"", (("Location", "/v1/new"),)),
        "PUT /v1/new": json_reply({}),
    }
    with FakeAgent(routes) as agent, Client(agent.address) as client:
        assert client.request("PUT", "/v1/old", body=b"{}").status == 200


def test_redirects_elsewhere_and_of_writes_are_not_followed() -> None:
    with FakeAgent({}) as other:
        routes = {
            "GET /v1/x": redirect(f"{other.address}/v1/x"),
            "PUT /v1/x": redirect("/v1/y"),
            "GET /v1/loop": redirect("/v1/loop"),
        }
        with FakeAgent(routes) as agent, Client(agent.address, token="t") as client:
            for method, path in (("GET", "/v1/x"), ("PUT", "/v1/x"), ("GET", "/v1/loop")):
                assert client.request(method, path).status == 301
        assert other.asked == []
    assert agent.asked == ["GET /v1/x", "PUT /v1/x", *["GET /v1/loop"] * 4]


def test_a_line_end_after_the_token_is_dropped() -> None:
    with FakeAgent({}) as agent, Client(agent.address, token="secret\n") as client:
        client.request("GET", "/v1/x")
    assert agent.requests[0].headers["x-nomad-token"] == "secret"


@pytest.mark.parametrize("token", ["se\ncret", "sécret", "se\0cret"])
def test_a_token_that_cannot_be_sent_is_not_shown(token: str) -> None:
    with pytest.raises(ClientError) as caught:
        Client(token=token)
    assert "X-Nomad-Token" in str(caught.value)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "complaint"),
    [
        ("GET", "/v1/\x01", "non-printable ASCII character"),
        ("GET", "/v1/\udcff", "surrogates not allowed"),
        ("GÉT", "/v1/x", "unicode characters"),
    ],
)
def test_requests_that_cannot_be_written_down(method: str, path: str, complaint: str) -> None:
    with Client() as client, pytest.raises(RequestError, match=complaint) as caught:
        client.request(method, path)
    assert str(caught.value).isprintable()


def test_query_bytes_travel_as_they_are() -> None:
    with FakeAgent({}) as agent, Client(agent.address, region="\udcff") as client:
        client.request("GET", "/v1/x")
    assert agent.requests[0].target == "/v1/x?region=%FF"


def test_unix_socket(tmp_path: Path) -> None:
    routes = {"GET /v1/status/leader": json_reply("a:1")}
    with (
        FakeAgent(routes, unix=tmp_path / "agent.sock") as agent,
        Client(agent.address) as client,
    ):
        assert client.leader() == "a:1"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"<html>", "no JSON"),
        (b"[]", "Expected `object`"),
        (b'{"Servers":[{"Voter":"maybe"}]}', r"Expected `bool`"),
        (b"", "no JSON"),
        (b'"\xff"', "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_an_answer_that_is_none_is_named(body: bytes, complaint: str) -> None:
    with pytest.raises(AnswerError, match=complaint) as caught:
        ask(f"GET {RAFT}", Reply(200, body), Client.raft_configuration)
    assert caught.value.path == RAFT


def test_status_error_has_status_and_body() -> None:
    with pytest.raises(StatusError) as caught:
        ask(f"GET {RAFT}", golden_http("lq-raft-config"), Client.raft_configuration)
    assert (caught.value.status, caught.value.body) == (500, "No cluster leader")
    assert str(caught.value) == "Unexpected response code: 500 (No cluster leader)"


def test_no_tls_options_need_no_files() -> None:
    assert ask("GET /v1/regions", json_reply(["a"]), Client.regions, tls=TlsOptions()) == ["a"]
