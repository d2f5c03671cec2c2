"""With access control on: records name the token's accessor, and no secret is in any of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from api_running import asynchronous
from server_cluster import ServerCluster, cluster, until

from quorate.server.options import AclOptions
from quorate.state.tables.acl.standing import ACL_LEVEL
from quorate.state.tables.journal import REFUSAL, JournalRecord, newest_first

BOSS = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
SCHEDULER = "/v1/operator/scheduler/configuration"


async def ask(
    servers: ServerCluster, number: int, method: str, target: str, body: Any, token: str
) -> Any:
    answer = await servers.ask(number, target, method, json.dumps(body), token)
    text = answer.body.decode()
    return answer.status if answer.status != 200 or not text else json.loads(text)


def records(servers: ServerCluster, number: int) -> list[JournalRecord]:
    return list(newest_first(servers.running[number].machine.store))


@asynchronous
async def test_records_have_the_accessor_and_refusals_come_to_the_journal(tmp_path: Path) -> None:
    async with cluster(tmp_path, acl=AclOptions(enabled=True)) as servers:
        leader = await servers.leader()
        asked, other = ((leader + step) % 3 for step in (1, 2))
        stores = [server.machine.store for server in servers.running.values()]
        await until(lambda: all(store.level >= ACL_LEVEL for store in stores))
        secret = {"BootstrapSecret": BOSS}
        boss = await ask(servers, asked, "PUT", "/v1/acl/bootstrap", secret, "")
        rules = {"Name": "reader", "Rules": 'operator { policy = "read" }'}
        await ask(servers, asked, "PUT", "/v1/acl/policy/reader", rules, BOSS)
        weak = {"Name": "weak", "Type": "client", "Policies": ["reader"]}
        weak = await ask(servers, asked, "PUT", "/v1/acl/token", weak, BOSS)
        await ask(servers, asked, "PUT", SCHEDULER, {"SchedulerAlgorithm": "spread"}, BOSS)
        target = f"/v1/operator/raft/peer?id={servers.running[other].replica.server_id}"
        for _ in range(3):
            assert await ask(servers, asked, "DELETE", target, {}, weak["SecretID"]) == 403
        assert await ask(servers, asked, "DELETE", target, {}, "") == 403
        await until(lambda: any(each.kind == REFUSAL for each in records(servers, other)))
        found = records(servers, other)
        (changed,) = [each for each in found if each.what == "changed"]
        assert (changed.accessor, changed.name) == (boss["AccessorID"], boss["Name"])
        acts = {each.what for each in found if each.accessor == boss["AccessorID"]}
        assert len(acts) >= 3  # the policy, the token, the settings
        refusals = [each for each in found if each.kind == REFUSAL]
        assert {each.accessor for each in refusals} == {weak["AccessorID"]}
        assert (refusals[-1].what, refusals[-1].outcome) == ("DELETE", "Permission denied")
        text = msgspec.json.encode(found).decode()
        assert BOSS not in text
        assert weak["SecretID"] not in text
