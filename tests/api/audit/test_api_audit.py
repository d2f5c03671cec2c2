"""`/v1/operator/audit`: the lanes, the records, and what is chosen of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_running import asynchronous
from audit_life import ANN, audited
from fake_server import FakeServer, answered

from quorate.api.http.messages import Request
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.tables import journal
from quorate.state.tables.journal import ACT, AUDIT_LEVEL


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
