"""A live recovery over the control socket: noted before and after, entered by the new leader."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import pytest
from patience import PATIENCE_S
from server_cluster import cluster, until

from quorate.api.app import HttpApplication
from quorate.api.http.messages import Request, Response
from quorate.api.parts import parts_of
from quorate.levels import LEVEL
from quorate.metrics import Metrics
from quorate.recovery import plan as plans
from quorate.recovery.looking.told import summary_of
from quorate.recovery.survivors import compare
from quorate.server.server import Server
from quorate.state.tables.journal import JournalRecord, newest_first

PATH = "/v1/operator/recovery/"


def told(server: Server) -> list[JournalRecord]:
    """What recoveries have left, oldest first."""
    records = newest_first(server.machine.store)
    return [each for each in records if each.what.endswith(" a recovery")][::-1]


@pytest.mark.long
def test_each_step_is_noted_before_and_after_it_and_entered_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(tmp_path) as servers:
            stores = [each.machine.store for each in servers.running.values()]
            await until(lambda: all(store.level == LEVEL for store in stores))
            await servers.stop(1, 2)
            server = servers.running[0]
            await until(lambda: not server.leadership.leader_address())
            plan = plans.make(compare([summary_of(server.cluster.facts(), "s0")]), bytes(range(16)))
            socket = HttpApplication(parts_of(server), Metrics(), time.time, Random(), control=True)

            async def put(target: str, body: bytes = b"") -> Response:
                answer = socket.handle(Request("PUT", f"{PATH}{target}".encode(), body=body))
                return answer if isinstance(answer, Response) else await answer

            lost = ",".join(each.id for each in plan.left_out)
            prepared = await put(f"prepare?data-may-be-lost&lost={lost}", plans.encode(plan))
            assert prepared.status == 200, prepared.body
            assert told(server) == []
            assert (await put("commit")).status == 200
            await until(lambda: len(told(server)) == 4)
            assert [(each.what, each.outcome) for each in told(server)] == [
                ("prepare a recovery", "begun"),
                ("prepare a recovery", "done"),
                ("carry out a recovery", "begun"),
                ("carry out a recovery", "done"),
            ]
            assert {each.accessor for each in told(server)} == {"control"}
            assert {each.by for each in told(server)} == {server.replica.server_id}
            assert dict(told(server)[0].details)["lost"].startswith(lost[:36])

    asyncio.run(scenario())
