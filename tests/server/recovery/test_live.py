"""Survivors of a lost quorum go on while they run: prepared on each, then carried out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from server_cluster import ServerCluster, cluster, until

from quorate.diagnosis.asking.answers import servers_of
from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.values import Finding, World
from quorate.errors import ChangeRefused, QuorateError, WrongDataFolder
from quorate.levels import LEVEL
from quorate.raft.values.identity import NO_EPOCH
from quorate.recovery import plan as plans
from quorate.recovery.at_start import check_sound
from quorate.recovery.looking.folders import find
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.told import summary_of
from quorate.recovery.plan import Plan
from quorate.recovery.survivors import compare
from quorate.server.recovery import live
from quorate.server.server import Server
from quorate.state.tables import root_keys

Scenario = Callable[[ServerCluster], Awaitable[None]]


def with_servers(count: int) -> Callable[[Scenario], Callable[[Path], None]]:
    def decorate(scenario: Scenario) -> Callable[[Path], None]:
        def test(tmp_path: Path) -> None:
            async def run() -> None:
                async with cluster(tmp_path, count) as servers:
                    stores = [each.machine.store for each in servers.running.values()]
                    await until(lambda: all(store.level == LEVEL for store in stores))
                    await scenario(servers)

            asyncio.run(run())

        return test

    return decorate


async def without_leader(servers: ServerCluster, *lost: int) -> None:
    await servers.stop(*lost)
    await until(
        lambda: not any(server.leadership.leader_address() for server in servers.running.values())
    )


def plan_of(*servers: Server, bits: bytes = bytes(range(16))) -> Plan:
    return plans.make(
        compare([summary_of(one.cluster.facts(), one.options.name) for one in servers]), bits
    )


async def prepare(server: Server, plan: Plan, **other: Any) -> Any:
    lost = [each.id for each in plan.left_out]
    options = {"timeout_s": 60.0, "may_lose": True, **other}
    return await server.recovery.prepare(plan, lost, **options)


async def put(servers: ServerCluster, number: int, name: str) -> int:
    body = json.dumps({"Name": name})
    return (await servers.ask(number, "/v1/namespace", "PUT", body)).status


async def names(servers: ServerCluster, number: int) -> set[str]:
    answer = await servers.ask(number, "/v1/namespaces")
    return {each["Name"] for each in json.loads(answer.body)} if answer.status == 200 else set()


def lead_of(servers: ServerCluster, plan: Plan) -> int:
    return next(n for n, s in servers.running.items() if s.replica.server_id == plan.leads)


async def diagnosed(servers: ServerCluster, number: int) -> Finding:
    """The weightiest cause, by what this server tells."""
    answer = await servers.ask(number, "/v1/operator/raft/views?details")
    _, told, reports = servers_of(json.loads(answer.body), "http://127.0.0.1:1")
    return diagnose(World(servers=tuple(told), reports=tuple(reports))).findings[0]


@with_servers(3)
async def test_one_of_three_goes_on_in_its_process(servers: ServerCluster) -> None:
    assert await put(servers, 0, "before") == 200
    leader = servers.running[await servers.leader()]
    await until(lambda: leader.machine.store.level == LEVEL)
    await until(lambda: root_keys.active(leader.machine.store) is not None)
    token = await leader.acl.bootstrap()
    early = plan_of(servers.running[0])
    with pytest.raises(ChangeRefused, match="there is a leader: 127"):
        await prepare(servers.running[0], early)
    await without_leader(servers, 1, 2)
    server = servers.running[0]
    plan, other = plan_of(server), plan_of(server, bits=bytes(16))
    before = server.folder.identity
    with pytest.raises(ChangeRefused, match="may lose writes"):
        await prepare(server, plan, may_lose=False)
    with pytest.raises(QuorateError, match="could hold a majority") as why:
        await server.recovery.prepare(plan, [], timeout_s=60.0, may_lose=True)
    assert why.value.next_step.endswith(",".join(each.id for each in plan.left_out))
    for wrong in (
        {"cluster_id": "another"},
        {"epoch_before": 1},
        {"survivors": tuple(msgspec.structs.replace(s, last_index=9) for s in plan.survivors)},
        {"survivors": tuple(msgspec.structs.replace(s, server_id="x") for s in plan.survivors)},
    ):
        with pytest.raises(WrongDataFolder):
            await prepare(server, msgspec.structs.replace(plan, **wrong))
    with pytest.raises(ChangeRefused, match="prepared for no recovery"):
        await server.recovery.commit()
    assert (server.replica.node.prepared, server.folder.identity) == ("", before)
    said = await prepare(server, plan)
    assert (said.prepared, said.plan) == (True, plan.digest)
    assert (await prepare(server, plan)).plan == server.cluster.facts().prepared == plan.digest
    with pytest.raises(ChangeRefused, match="the plan given is another one"):
        await prepare(server, other)
    finding = await diagnosed(servers, 0)
    assert f"plan {plan.digest[:12]}, by which epoch {plan.epochs[1]} begins" in finding.text
    assert finding.shown_by[0] == f"prepared: {server.identity().node}"
    assert "recover live commit" in finding.next[0]
    index = server.machine.store.index
    done = await server.recovery.commit()
    assert (done.prepared, done.index) == (False, plan.survivors[0].last_index)
    assert (done.epoch, done.plan_epoch) == (str(plan.epochs[1]),) * 2
    assert inspect(server.folder.root / done.kept).reach[1] == done.index
    await until(server.leadership.lease_valid)
    assert await put(servers, 0, "after") == 200
    assert {"before", "after"} <= await names(servers, 0)
    caller = server.access.caller(token.secret, 0)  # tokens go on
    assert (caller.accessor, caller.rights.everything) == (token.accessor, True)
    assert server.machine.store.index > index + (1 << 20)
    with pytest.raises(ChangeRefused, match="prepared for no recovery"):
        await server.recovery.commit()
    with pytest.raises(ChangeRefused, match="there is a leader"):
        await prepare(server, plan)
    assert not servers.fatal


@pytest.mark.long
@with_servers(3)
async def test_a_prepared_server_is_prepared_after_a_restart(servers: ServerCluster) -> None:
    await without_leader(servers, 1, 2)
    plan = plan_of(servers.running[0])
    await prepare(servers.running[0], plan)
    await servers.stop(0)
    # Its old fellows would be a majority with it.
    await servers.start(0, 1)
    server, old = servers.running[0], servers.running[1]
    assert server.recovery.standing().plan == server.cluster.facts().prepared == plan.digest
    await until(lambda: old.cluster.facts().role == "candidate")
    with pytest.raises(WrongDataFolder, match="is prepared for another recovery"):
        check_sound(find(server.folder.root), inspect(server.folder.root))
    await server.recovery.commit()
    await until(server.leadership.lease_valid)
    assert not old.leadership.leader_address()
    assert not servers.fatal


@pytest.mark.long
@with_servers(5)
async def test_two_of_five_go_on_and_the_second_follows_by_itself(servers: ServerCluster) -> None:
    assert await put(servers, 0, "before") == 200
    await without_leader(servers, 2, 3, 4)
    two = [servers.running[number] for number in (0, 1)]
    plan = plan_of(*two)
    lead = lead_of(servers, plan)
    await prepare(two[lead], plan)
    with pytest.raises(ChangeRefused, match=f"not prepared .* {two[1 - lead].replica.server_id}"):
        await two[lead].recovery.commit()
    await prepare(two[1 - lead], plan)
    with pytest.raises(ChangeRefused, match="has not begun epoch"):
        await two[1 - lead].recovery.commit()
    with pytest.raises(ChangeRefused, match="is prepared"):
        await two[1 - lead].recovery.abort(force=False)
    await two[lead].recovery.commit()
    follower = two[1 - lead]
    await until(lambda: follower.folder.identity.epoch == plan.epochs[1])
    assert await servers.leader() == lead
    assert await put(servers, lead, "after") == 200
    leading = servers.running[lead].machine.store
    await until(lambda: follower.machine.store.index == leading.index)
    await until(lambda: follower.replica.node.is_voter())  # noqa: PLW0108  the node is replaced
    # One that was left out comes back, and stays out.
    await servers.start(2)
    stranger = servers.running.pop(2)
    try:
        said = stranger.cluster.facts
        # It campaigns in vain, or has met the others first and is shut out.
        await until(lambda: said().role == "candidate" or stranger.replica.node.prepared)
        assert await servers.leader() == lead
        assert said().epoch == 0
    finally:
        await stranger.stop()
    assert not servers.fatal
    # As after a recovery of stopped servers, they start again on what they have.
    await servers.stop()
    await servers.start(0, 1)
    assert {"before", "after"} <= await names(servers, await servers.leader())


@pytest.mark.long
@with_servers(5)
async def test_two_operators_with_two_plans_get_nowhere(servers: ServerCluster) -> None:
    await without_leader(servers, 2, 3, 4)
    two = [servers.running[number] for number in (0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "knows_more", lambda *_: True)
        with pytest.raises(ChangeRefused, match=r"s1\.global .* is left out by the plan, but runs"):
            await prepare(two[0], plan_of(two[0]))
        assert not two[0].recovery.words
    plans_ = [plan_of(*two), plan_of(*two, bits=bytes(16))]
    lead = lead_of(servers, plans_[0])
    await prepare(two[lead], plans_[0], timeout_s=3.0)
    await prepare(two[1 - lead], plans_[1], timeout_s=0.1)
    for server in two:
        with pytest.raises(ChangeRefused):
            await server.recovery.commit()
    # Both give up in time: the other one after the one that decides says that it is not prepared.
    await until(lambda: not any(server.recovery.words for server in two))
    assert {server.folder.identity.epoch for server in two} == {NO_EPOCH}
    for server in two:
        await prepare(server, plans_[1])
    await two[lead].recovery.commit()
    await until(lambda: two[1 - lead].folder.identity.epoch == plans_[1].epochs[1])
    assert await servers.leader() == lead


@pytest.mark.long
@with_servers(3)
async def test_a_left_out_server_that_runs_and_knows_more_is_not_passed_over(
    servers: ServerCluster,
) -> None:
    """It is named; without it the write would be lost that it and the third have acknowledged."""
    await servers.stop(2 if await servers.leader() != 2 else 1)
    behind = next(n for n in range(3) if n not in servers.running)
    one, two = sorted(servers.running)
    assert await put(servers, await servers.leader(), "acknowledged") == 200
    await servers.stop(one, two)
    await servers.start(behind)
    survivor = servers.running[behind]
    plan = plan_of(survivor)
    named = servers.addresses[one]
    # While it does not answer nothing tells what it has.
    await prepare(survivor, plan)
    await servers.start(one)
    left_out = servers.running[one]
    await until(lambda: left_out.cluster.facts().role == "candidate")
    match = f"s{one}.global .* at {named}.* is left out by the plan, but runs and has entries up to"
    with pytest.raises(ChangeRefused, match=match) as refused:
        await survivor.recovery.commit()
    assert refused.value.next_step.startswith("make a plan with it: ")
    assert survivor.folder.identity.epoch == NO_EPOCH
    await survivor.recovery.abort(force=False)
    await servers.stop(behind)
    await servers.start(behind)  # the other one may lead now: then it is not a recovery any more
    assert await servers.leader() == one
    assert "acknowledged" in await names(servers, behind)
    assert not servers.fatal
