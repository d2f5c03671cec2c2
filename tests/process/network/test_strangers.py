"""What a stranger at the RPC port can do to a cluster: nothing, with or without its own key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from server_processes import Servers, running, until
from strangers import RAFT, Stranger, ask, unproven

from quorate.levels import LEVEL
from quorate.raft.values.messages import (
    AnyRequest,
    AppendEntriesRequest,
    PreVoteRequest,
    RequestVoteRequest,
    TimeoutNowRequest,
)
from quorate.server.rpc.calls import STRANGERS_CALL_BYTES_MAX
from quorate.wire.raft.messages import encode_request

pytestmark = pytest.mark.process

HIGHEST = (1 << 64) - 1
WHERE = "127.0.0.1:9"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("three"), 3) as found:
        leader = found.leader()
        until(
            lambda: found.ask(leader, "/v1/operator/upgrade").json["Level"] >= 1,
            "the cluster to prove IDs",
        )
        yield found


class Standing:
    """Leader, term and members, before and after."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.leader = servers.leader()
        self.before = self.now()

    def now(self) -> tuple[Any, ...]:
        said = self.servers.stats(self.leader)
        members = self.servers.ask(self.leader, "/v1/operator/raft/configuration").json["Servers"]
        return said["state"], said["term"], [(m["ID"], m["Address"], m["Voter"]) for m in members]

    def is_unchanged(self) -> None:
        assert self.servers.leader() == self.leader
        assert self.now() == self.before
        for number in range(3):
            assert self.servers.ask(number, "/v1/agent/health").status == 200

    def member(self, number: int) -> str:
        address = self.servers.rpc_address(number)
        return str(next(m[0] for m in self.before[2] if m[1] == address))


def requests(standing: Standing) -> dict[str, AnyRequest]:
    follower = (standing.leader + 1) % 3
    member, place = standing.member(follower), standing.servers.rpc_address(follower)
    evil = {"sender_id": "evil", "sender_address": WHERE}
    return {
        "highest term": AppendEntriesRequest(term=HIGHEST, leader=WHERE),
        "heartbeat": AppendEntriesRequest(term=10**6, leader=WHERE, **evil),  # type: ignore[arg-type]
        "heartbeat of a member": AppendEntriesRequest(
            term=10**6, leader=place, sender_id=member, sender_address=place
        ),
        "vote in a transfer": RequestVoteRequest(
            term=10**6,
            candidate=WHERE,
            last_log_index=10**6,
            last_log_term=10**6,
            leadership_transfer=True,
            **evil,  # type: ignore[arg-type]
        ),
        "campaign at once": TimeoutNowRequest(),
        "campaign at once, of a member": TimeoutNowRequest(sender_id=member, sender_address=place),
    }


CASES = [
    "highest term",
    "heartbeat",
    "heartbeat of a member",
    "vote in a transfer",
    "campaign at once",
    "campaign at once, of a member",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("proven", [False, True], ids=["unproven", "proven"])
def test_no_raft_request_of_a_stranger_is_taken(servers: Servers, case: str, proven: bool) -> None:
    standing = Standing(servers)
    request = RAFT + encode_request(requests(standing)[case])
    for number in range(3):
        address = servers.rpc_address(number)
        with Stranger().connect(address) if proven else unproven(address) as connection:
            connection.sendall(request)
            with suppress(ConnectionResetError):
                assert connection.recv(100) == b""
    standing.is_unchanged()
    names_itself = case in {"heartbeat", "vote in a transfer"}
    why = "is no member" if names_itself else "speaks in the name of"
    if not proven:
        why = "proves no server ID"
    until(lambda: why in servers.log(standing.leader), f"{why!r} in the log")


def test_no_key_but_its_own_speaks_for_a_member(servers: Servers) -> None:
    standing = Standing(servers)
    follower = (standing.leader + 1) % 3
    impostor = Stranger(standing.member(follower), address=servers.rpc_address(follower))
    with pytest.raises(Exception, match="another key than the one on record"):
        impostor.connect(servers.rpc_address(standing.leader))
    standing.is_unchanged()
    until(
        lambda: "another key than the one on record" in servers.log(standing.leader),
        "its name in the log",
    )


def calls(standing: Standing) -> dict[str, Any]:
    victim = standing.member((standing.leader + 1) % 3)
    me = {
        "id": "evil",
        "name": "evil",
        "region": "global",
        "datacenter": "dc1",
        "address": WHERE,
        "serf_port": 1,
        "version": "0",
    }
    verdict = {"index": 1 << 61, "by": "evil", "right": "f" * 64}
    return {
        "leave": {"id": victim},
        "view": {},
        "state-digest": {"index": 1},
        "state-verdict": verdict,
        "bootstrap-promise": {"proposer": "evil", "cluster_id": "c", "region": "g", "servers": []},
        "join": {**me, "address": "nonsense"},
        "rejoin": {**me, "id": victim},
    }


@pytest.mark.parametrize(
    "verb",
    [
        "leave",
        "view",
        "state-digest",
        "state-verdict",
        "bootstrap-promise",
        "join",
        "rejoin",
    ],
)
def test_no_call_of_a_stranger_is_answered(servers: Servers, verb: str) -> None:
    standing = Standing(servers)
    body = calls(standing)[verb]
    for number in range(3):
        address = servers.rpc_address(number)
        with unproven(address) as connection:
            status, text = ask(connection, "POST", f"/v1/internal/{verb}", body)
        assert (status, "prove" in text) == (400, True), text
        status, text = Stranger().call(address, verb, body)
        assert status == 400, text
    standing.is_unchanged()


def test_a_stranger_may_greet_and_ask_to_join(servers: Servers) -> None:
    standing = Standing(servers)
    address = servers.rpc_address(standing.leader)
    me = calls(standing)["join"] | {"address": WHERE, "level": LEVEL}
    status, text = Stranger().call(address, "greet", {"me": me})
    assert status == 200, text
    status, text = Stranger().call(address, "join", me)
    assert (status, "nothing answers at" in text) == (200, True), text
    standing.is_unchanged()


def test_a_call_of_a_stranger_is_short_and_tells_it_of_nobody(servers: Servers) -> None:
    address = servers.rpc_address(0)
    me = calls(Standing(servers))["join"] | {"address": WHERE, "level": 1}
    with unproven(address) as connection:
        status, text = ask(connection, "POST", "/v1/internal/greet", {"me": me})
    assert (status, json.loads(text)["others"]) == (200, [])
    long = {"me": me, "objection": "x" * STRANGERS_CALL_BYTES_MAX}
    with unproven(address) as connection:
        status, _ = ask(connection, "POST", "/v1/internal/greet", long)
    assert status == 413
    assert Stranger().call(address, "greet", long)[0] == 413


PUBLIC: list[tuple[str, str]] = [
    ("GET", "/v1/operator/raft/configuration"),
    ("PUT", "/v1/operator/raft/transfer-leadership"),
    ("GET", "/v1/status/leader"),
    ("GET", "/v1/agent/self"),
]


@pytest.mark.parametrize(("method", "path"), PUBLIC)
def test_the_public_api_is_for_members_there(servers: Servers, method: str, path: str) -> None:
    standing = Standing(servers)
    speakers: list[Callable[[str], tuple[int, str]]] = [
        lambda address: Stranger().http(address, method, path),
        lambda address: Stranger(region="elsewhere").http(address, method, path),
    ]
    for number in range(3):
        address = servers.rpc_address(number)
        with unproven(address) as connection:
            status, text = ask(connection, method, path)
        assert (status, text.startswith("refused: ")) == (403, True), text
        for speak in speakers:
            status, text = speak(address)
            assert (status, text.startswith("refused: ")) == (403, True), text
    standing.is_unchanged()


def test_raft_without_proof_is_taken_from_a_host_that_the_setting_names(tmp_path: Path) -> None:
    with running(tmp_path, 1, unproven_peers=["127.0.0.1"]) as one:
        until(lambda: one.ask(0, "/v1/operator/upgrade").json["Level"] >= 1, "the level to rise")
        with unproven(one.rpc_address(0)) as connection:
            connection.sendall(RAFT + encode_request(PreVoteRequest(term=1, sender_id="peer")))
            assert connection.recv(100)
        with unproven(one.rpc_address(0)) as connection:
            status, text = ask(connection, "GET", "/v1/status/leader")
            assert (status, text.startswith("refused: ")) == (403, True), text


def test_a_strangers_proposal_keeps_nobody_from_founding(tmp_path: Path) -> None:
    servers = Servers(tmp_path, 3)
    stranger = Stranger("00000000-0000-0000-0000-000000000001")
    evil = (stranger.speaker.record.server_id, stranger.speaker.address)

    def propose(number: int) -> str:
        me = (servers.data_dir(number) / "server" / "node-id").read_text().strip()
        founders = [(me, servers.rpc_address(number)), evil, (f"{evil[0][:-1]}2", "127.0.0.1:8")]
        proposal = {
            "proposer": evil[0],
            "cluster_id": "evil",
            "region": "global",
            "servers": sorted(founders),
        }
        return stranger.call(servers.rpc_address(number), "bootstrap-promise", proposal)[1]

    try:
        servers.start(0, 1)
        for number in (0, 1):
            answer = until(partial(propose, number), "an answer")
            assert "has not answered a call from here" in answer
        servers.start(2)
        servers.leader()
    finally:
        servers.stop_all()
