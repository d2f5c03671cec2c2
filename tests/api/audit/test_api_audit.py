"""`/v1/operator/audit`: the lanes, the records, and what is chosen of them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from acl_server import AclServer
from api_running import asynchronous
from audit_life import ANN, audited
from fake_access import MANAGEMENT
from fake_server import NOW, FakeServer, answered

from quorate.acl.rights import NOTHING
from quorate.api.http.messages import Request
from quorate.api.internal import RpcApplication
from quorate.metrics import Metrics
from quorate.net.peer import Peer
from quorate.server.audit.refusals import ACTS_MAX, RECORDS_MAX, WINDOW_MS, RefusalCounts
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.tables import journal
from quorate.state.tables.journal import ACT, AUDIT_LEVEL, Who


def server() -> FakeServer:
    fake = FakeServer().write_defaults()
    fake.commit(encode(RaiseLevel(level=AUDIT_LEVEL)))
    for number in range(3):
        fake.commit(encode(audited(number)))
        fake.commit(encode(audited(number + 10, kind=ACT)))
    return fake


async def ask(fake: FakeServer, query: str = "") -> tuple[int, Any]:
    answer = await answered(
        fake.application(), Request("GET", b"/v1/operator/audit" + query.encode())
    )
    body = answer.body.decode()
    return answer.status, json.loads(body) if answer.status == 200 else body


@asynchronous
async def test_records_come_newest_first_with_their_chain() -> None:
    fake = server()
    status, found = await ask(fake)
    assert status == 200
    assert [each["What"] for each in found["Records"]] == [
        *("changed 12", "changed 2", "changed 11", "changed 1", "changed 10", "changed 0"),
    ]
    first = found["Records"][0]
    assert (first["Accessor"], first["Name"], first["Address"]) == (
        ANN.accessor,
        ANN.name,
        ANN.address,
    )
    assert (first["Outcome"], first["Index"]) == ("done", fake.store.index)
    assert found["Head"] == journal.head(fake.store).hex()
    assert [lane["Lane"] for lane in found["Lanes"]] == ["act", "cluster", "setting", "refusal"]
    assert found["Lanes"][0]["Head"] == first["Hash"]


@asynchronous
async def test_lane_and_count_choose() -> None:
    _, found = await ask(server(), "?lane=setting&count=2")
    assert [each["What"] for each in found["Records"]] == ["changed 2", "changed 1"]


@pytest.mark.parametrize(
    "query", ["?lane=x", "?count=0", "?count=-1", "?count=99999999999", "?count=a"]
)
def test_what_cannot_be_chosen_is_refused(query: str) -> None:
    @asynchronous
    async def work() -> None:
        status, body = await ask(server(), query)
        assert status == 400
        assert body.startswith(("lane is one of: act", "count is 1 to"))

    work()


def guarded() -> FakeServer:
    fake = server()
    fake.access.turn_on()
    return fake


def asking(method: str, target: str, token: str, *headers: tuple[bytes, bytes]) -> Request:
    given = (*headers, *(((b"x-nomad-token", token.encode()),) if token else ()))
    return Request(method, target.encode(), given, b"{}", remote="10.0.0.9:5")


@asynchronous
async def test_what_anybody_may_do_is_counted_and_pushes_nothing_out() -> None:
    fake = guarded()
    weak = fake.access.give("weak", NOTHING)
    app = fake.application(control=False)
    for token in ("", "", weak, MANAGEMENT):
        answer = await answered(app, asking("PUT", "/v1/agent/join?address=10.0.0.8", token))
        assert answer.status == 200
    assert [each[0] for each in fake.recorder.noted] == ["join a pool"]
    assert fake.recorder.counted == [
        ("anonymous", "join a pool", "done"),
        ("anonymous", "join a pool", "done"),
        ("accessor-of-weak", "join a pool", "done"),
    ]


@asynchronous
async def test_a_mistake_of_a_caller_without_a_token_leaves_no_record() -> None:
    fake = AclServer()
    for token in ("", "no-token"):
        answer = await fake.ask("PUT", "bootstrap", {"BootstrapSecret": "no UUID"}, token=token)
        assert answer.status == 400
    assert (fake.recorder.refused, fake.recorder.unknown) == ([], 2)


class Region:
    """A peer of another region, which may pass requests on."""

    def __init__(self, *, member: bool) -> None:
        self.member = member

    def door(self, peer: Peer | None) -> Region:
        del peer
        return self

    def problem(self) -> str:
        return ""

    def is_member(self, peer: Peer | None) -> bool:
        del peer
        return self.member

    def call_bytes_max(self, peer: Peer | None) -> int:
        raise AssertionError(peer)

    async def answer(self, verb: str, body: bytes, peer: Peer | None) -> bytes:
        raise AssertionError(verb, body, peer)


@pytest.mark.parametrize(
    ("member", "proves", "address"),
    [
        (False, False, "10.0.0.9:5"),
        (False, True, "192.0.2.1:7"),
        (True, False, "192.0.2.1:7"),
    ],
)
@asynchronous
async def test_who_has_proven_nothing_gives_no_callers_address(
    member: bool, proves: bool, address: str
) -> None:
    """Without TLS a server of another region is known by gossip alone."""
    fake = guarded()
    fake.options.regions_prove = proves
    inner = RpcApplication(fake.parts(), Metrics(), lambda: NOW, Random(1), Region(member=member))
    caller = (b"x-quorate-caller", b"192.0.2.1:7")
    target = "/v1/agent/join?address=10.0.0.8"
    assert (await answered(inner, asking("PUT", target, MANAGEMENT, caller))).status == 200
    assert [each.address for each in fake.recorder.callers] == [address]


def test_acts_that_need_no_right_are_few_records_and_take_no_room_from_refusals() -> None:
    counts = RefusalCounts()
    for number in range(100):
        counts.add(Who(accessor=str(number)), "join a pool", "", "done", 5, act=True)
        counts.add(Who(accessor=str(number)), "remove", "", "no", 5)
    due = counts.due(1_000_000, 64)
    acts = [each for each in due if each.entry("s1").note.kind == ACT]
    assert (len(acts), len(due) - len(acts)) == (ACTS_MAX, RECORDS_MAX)
    assert sum(each.count for each in acts) == 100
    counts.sent(due, 1_000_000)
    assert not counts.due(1_000_000 + WINDOW_MS, 64)
