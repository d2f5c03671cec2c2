"""A record changes in one server's memory: it is found, its server is named and fenced off.

The servers are whole, three in one process; only the change itself is made from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import uvloop
from patience import PATIENCE_S
from server_cluster import ServerCluster, cluster, until

from quorate.agent.gauges import Gauges
from quorate.errors import QuorateError
from quorate.metrics import Metrics
from quorate.server.integrity.checks import DigestAnswer, StateChecks
from quorate.server.integrity.verdict import Held, Verdict
from quorate.server.server import Server
from quorate.state.engine.commands import NO_SUCH_TYPE, encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.rows import TableRows
from quorate.state.engine.snapshot import UnknownTally, decode_snapshot
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import SINGLETON
from quorate.state.registry import TODAY
from quorate.state.tables import namespaces, scheduler
from quorate.state.tables.checks import CheckState
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.namespaces import Namespace
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration
from quorate.storage.folder.damage_mark import MARK_FILE

INTERVAL_S = 0.2
REGISTER = "/v1/operator/scheduler/configuration"
DAMAGED = "the state of this server is damaged"

Scenario = Callable[[ServerCluster], Awaitable[None]]


def with_servers(**options: Any) -> Callable[[Scenario], Callable[[Path], None]]:
    """Run the scenario as a test, with three servers whose states have been compared once."""

    def decorate(scenario: Scenario) -> Callable[[Path], None]:
        # Not `wraps`: pytest would ask for the scenario's own arguments.
        def test(tmp_path: Path) -> None:
            async def run() -> None:
                given = {"state_check_interval_s": INTERVAL_S, **options}
                async with asyncio.timeout(PATIENCE_S), cluster(tmp_path, **given) as servers:
                    await until(lambda: all(map(scheduler_row, servers.running.values())))
                    if given["state_check_interval_s"]:
                        await checked(servers)
                    await scenario(servers)
                    assert not servers.fatal

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())

        test.__doc__ = scenario.__doc__
        return test

    return decorate


def flip(server: Server, value: int) -> None:
    """Change one record in the memory of a server, as a bad memory cell would."""
    rows = server.machine.store._tables.rows(scheduler.TABLE)
    row = rows[SINGLETON]
    rows.put(SINGLETON, msgspec.structs.replace(row, node_limit_for_feasibility_checks=value))


def differ(server: Server, value: int) -> None:
    """One record is another, as if the server had applied a command otherwise: all of it fits."""
    tables = server.machine.store._tables
    row = tables.rows(scheduler.TABLE)[SINGLETON]
    other = msgspec.structs.replace(row, node_limit_for_feasibility_checks=value)
    tables.put(scheduler.TABLE, SINGLETON, other, row.modify_index)


def scheduler_row(server: Server) -> object:
    return scheduler.current(server.machine.store)


def standing(server: Server) -> str:
    return server.agent.stats()["quorate"]["state"]


def damaged_servers(server: Server) -> str:
    return server.agent.stats()["quorate"]["state_damaged_servers"]


def gauges(server: Server) -> dict[str, float]:
    """What the server would show as its metrics now."""
    metrics = Metrics()
    Gauges(server, metrics)._raft()
    return dict(metrics.totals().gauges)


async def checked(servers: ServerCluster) -> None:
    """Return when all that run have heard of a check that began after this moment."""
    begun = max(server.replica.node.commit_index for server in servers.running.values())

    def heard(server: Server) -> bool:
        return server.checks.verdict.index > begun

    await until(lambda: all(map(heard, servers.running.values())))


@with_servers()
async def test_a_follower_that_differs_is_named_by_all_andanswers_nothing(
    servers: ServerCluster,
) -> None:
    leader = await servers.leader()
    odd, third = (leader + 1) % 3, (leader + 2) % 3
    assert {standing(server) for server in servers.running.values()} == {"right"}
    differ(servers.running[odd], 4)
    await checked(servers)
    # A busy server may have missed the first check.
    await until(lambda: standing(servers.running[odd]) == "damaged")
    assert [standing(servers.running[n]) for n in (leader, third)] == ["right", "right"]
    for server in servers.running.values():
        assert server.agent.stats()["quorate"]["state_damaged_servers"] == f"s{odd}.global"

    for target in (REGISTER, "/v1/operator/autopilot/configuration", "/v1/namespaces"):
        refused = await servers.ask(odd, target + "?stale")
        assert refused.status == 503
        assert refused.body.decode().startswith(DAMAGED)
        assert b"\n" not in refused.body
        assert refused.header(b"X-Quorate-Error") == b"state-damaged"
        assert b"server/raft away, start it" in refused.header(b"X-Quorate-Next")
        assert (await servers.ask(third, target + "?stale")).status == 200
        # What the leader answers is right, by whatever server it was asked.
        assert (await servers.ask(odd, target)).status == 200
    assert (await servers.ask(odd, REGISTER, "PUT", "{}")).status == 200

    # What says what is wrong, and what is of the log, can be asked.
    for target in ("/v1/agent/self", "/v1/metrics", "/v1/status/leader?stale"):
        assert (await servers.ask(odd, target)).status == 200
    assert (await servers.ask(odd, "/v1/operator/raft/configuration?stale")).status == 200
    views = msgspec.json.decode((await servers.ask(third, "/v1/operator/raft/views")).body)
    assert {view["Node"]: view["State"] for view in views["Servers"]}[f"s{odd}.global"] == "damaged"
    health = await servers.ask(odd, "/v1/agent/health")
    assert (health.status, DAMAGED in health.body.decode()) == (500, True)
    assert (await servers.ask(third, "/v1/agent/health")).status == 200

    measured = {number: gauges(server) for number, server in servers.running.items()}
    assert [measured[n]["quorate.state.damaged"] for n in (leader, odd, third)] == [0, 1, 0]
    assert measured[leader]["quorate.state.damagedServers"] == 1
    assert measured[leader]["nomad.nomad.autopilot.healthy"] == 0

    # It keeps its log, for the good log is what could mend it, and it is never elected.
    assert await servers.running[odd].replica.snapshot_now() == 0
    assert await servers.running[third].replica.snapshot_now() > 0
    await servers.stop(leader)
    assert await servers.leader() == third


@with_servers()
async def test_a_leader_that_differs_hands_over_and_clients_are_served_meanwhile(
    servers: ServerCluster,
) -> None:
    """Only a write that was begun on it is answered otherwise: what `apply` gave may be wrong."""
    leader = await servers.leader()
    other = (leader + 1) % 3
    flip(servers.running[leader], 5)
    end = asyncio.get_running_loop().time() + 10
    while (
        servers.running[leader].leadership.is_leader() or not servers.running[leader].checks.damage
    ):
        assert asyncio.get_running_loop().time() < end
        for number in (leader, other):
            written = await servers.ask(number, "/v1/operator/autopilot/configuration", "PUT", "{}")
            begun = written.status == 503 and b"may or may not stand" in written.body
            assert written.status == 200 or begun, written.body
            assert (await servers.ask(number, REGISTER)).status == 200
    assert await servers.leader() != leader


@with_servers()
async def test_a_state_that_is_right_again_is_served_again(servers: ServerCluster) -> None:
    odd = (await servers.leader() + 1) % 3
    server = servers.running[odd]
    mark = server.folder.raft_path / MARK_FILE
    row = scheduler.current(server.machine.store)
    assert row is not None
    differ(server, row.node_limit_for_feasibility_checks + 1)
    await until(lambda: server.checks.damage and mark.exists())
    differ(server, row.node_limit_for_feasibility_checks)
    await until(lambda: not server.checks.damage and not mark.exists())
    assert (await servers.ask(odd, REGISTER + "?stale")).status == 200
    assert (await servers.ask(odd, "/v1/agent/health")).status == 200


@with_servers()
async def test_without_a_majority_nobody_is_blamed_and_all_who_answered_say_so(
    servers: ServerCluster,
) -> None:
    leader = await servers.leader()
    away, odd = (leader + 1) % 3, (leader + 2) % 3
    await servers.stop(away)
    differ(servers.running[odd], 4)
    await until(lambda: all(standing(s) == "disagree" for s in servers.running.values()))
    for number in (leader, odd):
        health = await servers.ask(number, "/v1/agent/health")
        assert (health.status, b"no majority" in health.body) == (500, True)
        assert (await servers.ask(number, REGISTER + "?stale")).status == 200
    await servers.start(away)  # and with it there is a majority
    await until(lambda: standing(servers.running[odd]) == "damaged")
    await until(lambda: standing(servers.running[leader]) == "right")


@with_servers()
async def test_a_restart_forgets_neither_damage_nor_that_it_is_over(
    servers: ServerCluster,
) -> None:
    odd = (await servers.leader() + 1) % 3
    flip(servers.running[odd], 4)
    mark = servers.running[odd].folder.raft_path / MARK_FILE
    await until(lambda: servers.running[odd].checks.damage and mark.exists())
    refused = await servers.ask(odd, REGISTER + "?stale")
    assert (refused.status, b"a row has changed in memory" in refused.body) == (503, True)
    assert b"restart this server" in refused.header(b"X-Quorate-Next")
    await until(
        lambda: all(damaged_servers(s) == f"s{odd}.global" for s in servers.running.values())
    )
    await servers.stop(odd)
    await servers.start(odd)
    assert standing(servers.running[odd]) == "damaged"
    assert (await servers.ask(odd, REGISTER + "?stale")).status == 503
    # The damage was in memory alone: what log and snapshot give is right, as the refusal says.
    await until(lambda: standing(servers.running[odd]) == "right" and not mark.exists())
    assert (await servers.ask(odd, REGISTER + "?stale")).status == 200


@with_servers()
async def test_a_server_that_knows_no_digests_is_unknown_and_not_blamed(
    servers: ServerCluster,
) -> None:
    leader = await servers.leader()
    old, odd = (leader + 1) % 3, (leader + 2) % 3
    known = servers.running[old].answers._verbs
    without = {verb: how for verb, how in known.items() if not verb.startswith("state-")}
    servers.running[old].answers._verbs = without  # type: ignore[misc]
    await until(
        lambda: (
            servers.running[odd].agent.stats()["quorate"]["state_unknown_servers"]
            == f"s{old}.global"
        )
    )
    assert standing(servers.running[odd]) == "right"
    assert servers.running[leader].agent.health_problem() is None


@with_servers(state_check_interval_s=0.0)
async def test_no_checks_are_made_where_they_are_switched_off(servers: ServerCluster) -> None:
    server = servers.running[await servers.leader()]
    # Switched on while it runs they begin, which shows that the waiting below is long enough.
    assert server.agent.stats()["quorate"]["state_checked_index"] == "0"
    await asyncio.sleep(2 * INTERVAL_S)
    assert standing(server) == "unchecked"
    server.reconfigure(msgspec.structs.replace(server.options, state_check_interval_s=INTERVAL_S))
    await until(lambda: standing(server) == "right")


async def say(servers: ServerCluster, server: Server, **verdict: Any) -> bytes:
    """Tell a server a verdict, as the present leader can; no other one is heard."""
    body = msgspec.json.encode({"by": "s9.global", **verdict})
    node = server.replica.node
    leader = servers.peer(node.leader_id, node.leader_address)
    members = (other.replica.server_id for other in servers.running.values())
    follower = next(each for each in members if each != node.leader_id)
    for other in (None, servers.peer(follower, "a:1"), servers.peer("stranger", "a:1")):
        with pytest.raises(QuorateError, match="state-verdict is refused"):
            await server.answers.answer("state-verdict", body, other)
    return await server.answers.answer("state-verdict", body, leader)


@with_servers()
async def test_a_verdict_that_nobody_can_confirm_fences_nobody(servers: ServerCluster) -> None:
    for server in servers.running.values():
        index = server.checks.verdict.index
        for at in (index, index + 1, 2**61):
            odd = {"id": server.replica.server_id, "node": "s", "voter": True, "digest": "0" * 64}
            await say(servers, server, index=at, right="f" * 64, wrong=[odd])
        with pytest.raises(QuorateError, match="state-verdict"):
            await say(servers, server, index=2**62, right="f" * 64)
        with pytest.raises(QuorateError, match="state-verdict"):
            await say(servers, server, index=index, right="no digest")
    await checked(servers)
    await checked(servers)
    assert {standing(server) for server in servers.running.values()} == {"right"}
    for number, server in servers.running.items():
        assert server.checks.verdict.by != "s9.global"
        assert (await servers.ask(number, REGISTER + "?stale")).status == 200
    # And none of this keeps a later check from finding what is really wrong.
    odd_one = (await servers.leader() + 1) % 3
    flip(servers.running[odd_one], 4)
    await until(lambda: standing(servers.running[odd_one]) == "damaged")


@with_servers()
async def test_a_verdict_that_nobody_can_confirm_clears_nobody(servers: ServerCluster) -> None:
    leader = await servers.leader()
    server = servers.running[(leader + 1) % 3]
    differ(server, 4)
    await until(lambda: standing(server) == "damaged")
    for each in servers.running.values():  # no leader says more from now on
        each.reconfigure(msgspec.structs.replace(each.options, state_check_interval_s=0.0))
    told = servers.running[leader].checks
    await until(lambda: server.checks.verdict.index == told.verdict.index)
    index, _ = await servers.running[leader].writes.apply(encode(CheckState()))
    await until(lambda: server.checks.has_digest(index))
    await say(servers, server, index=index, right=server.checks.digest_at(index, index).digest)
    await until(lambda: server.checks.verdict.index == index)
    assert standing(server) == "damaged"


@with_servers()
async def test_only_the_present_leader_gives_hints(servers: ServerCluster) -> None:
    leader = await servers.leader()
    server, other = (servers.running[(leader + n) % 3] for n in (1, 2))
    asked = server.checks.verdict
    verdict = msgspec.structs.replace(asked, index=asked.index + 1, disagree=True)
    server._judge.heard(verdict, other.replica.server_id)
    assert server.checks.verdict.index == asked.index
    assert server.checks.disagreement == ""


# -- one server's side ---------------------------------------------------------------------------


class Alone:
    """The checks of one server, without the server; what they ask for is kept."""

    ID: ClassVar[str] = "a"

    def __init__(self, folder: Path) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.fenced: list[bool] = []
        self.store = StateStore(TODAY)
        self.checks = StateChecks(
            lambda work: self.tasks.add(asyncio.ensure_future(work)),
            lambda damage: self.fenced.append(damage is not None),
        )
        self.checks.open(self.ID, folder)

    async def digest(self, index: int) -> str:
        """Take one, and wait for it."""
        self.checks.applied(index, self.store.image())
        await until(lambda: not self.checks.digest_at(index, index).later)
        return self.checks.digest_at(index, index).digest


def alone(scenario: Callable[[Alone], Awaitable[None]]) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        async def run() -> None:
            one = Alone(tmp_path)
            await scenario(one)
            await asyncio.gather(*one.tasks)

        asyncio.run(run())

    return test


@alone
async def test_a_digest_that_is_not_there_yet_is_another_thing_than_one_that_never_will(
    one: Alone,
) -> None:
    assert one.checks.digest_at(7, 6).later
    assert not one.checks.digest_at(7, 7).later  # restored past it
    assert await one.digest(7) == one.store.digest().hex()


@alone
async def test_a_verdict_about_a_state_that_was_replaced_is_not_believed(one: Alone) -> None:
    await one.digest(7)
    one.checks.restored()
    assert one.checks.digest_at(7, 9) == DigestAnswer(
        id="a", why="its state at that index was not seen here"
    )
    one.checks.hear(Verdict(index=7, right="ff"))
    assert one.fenced == []
    assert one.checks.standing() == "unchecked"


@alone
async def test_a_digest_under_way_while_the_state_is_replaced_is_thrown_away(one: Alone) -> None:
    one.checks.applied(7, one.store.image())
    await asyncio.sleep(0)
    one.checks.restored()
    await asyncio.gather(*one.tasks)
    assert not one.checks.digest_at(7, 9).digest


@alone
async def test_an_older_verdict_that_comes_late_changes_nothing(one: Alone) -> None:
    first, second = await one.digest(7), await one.digest(8)
    assert first == second
    one.checks.hear(Verdict(index=8, right=second))
    one.checks.hear(Verdict(index=7, right="ff", wrong=(Held(id="a", node="s", voter=True),)))
    assert one.checks.standing() == "right"


@alone
async def test_a_verdict_without_a_majority_leaves_damage_as_it_was(one: Alone) -> None:
    await one.digest(7)
    one.checks.hear(Verdict(index=7, right="ff", by="s2.global"))
    await one.digest(8)
    one.checks.hear(Verdict(index=8))
    assert one.checks.standing() == "damaged"
    await one.digest(9)
    one.checks.hear(Verdict(index=9, disagree=True))
    assert one.checks.standing() == "damaged"
    one.checks.hear(Verdict(index=10, right=await one.digest(10)))
    assert one.checks.standing() == "right"
    assert one.fenced == [True, False]
    assert not one.checks.disagreement


@alone
async def test_a_state_that_lacks_what_could_not_be_read_is_not_compared(one: Alone) -> None:
    image = one.store.image()
    image.unknown = (UnknownTally(0x7E, NO_SUCH_TYPE, 1, 3, 3),)
    one.checks.applied(7, image)
    answer = one.checks.digest_at(7, 7)
    assert (answer.digest, answer.later) == ("", False)
    assert "could not be read" in answer.why
    one.checks.hear(Verdict(index=7, right="ff"))
    assert one.fenced == []


@alone
async def test_the_newest_of_many_checks_is_the_one_that_counts(one: Alone) -> None:
    for index in range(1, 200):
        one.checks.applied(index, one.store.image())
    await until(lambda: one.checks.digest_at(199, 199).digest)
    assert not one.checks.digest_at(1, 199).digest


# -- a row that changes in memory ----------------------------------------------------------------


def raised(one: Alone, level: int = 2) -> TableRows[Any]:
    """Bring its state to that level, with some rows; those of the table of schedulers."""
    one.store.apply(1, encode(InitialiseDefaults()))
    one.store.apply(2, encode(RaiseLevel(level=level)))
    return one.store._tables.held[scheduler.TABLE.name]


def change_a_row(rows: TableRows[Any]) -> None:
    row = rows.records[SINGLETON]
    rows.records.put(SINGLETON, msgspec.structs.replace(row, node_limit_for_feasibility_checks=4))


def change_the_sum(rows: TableRows[Any]) -> None:
    rows.sum ^= 1 << 200


@pytest.mark.parametrize("change", [change_a_row, change_the_sum])
def test_a_server_finds_alone_that_its_memory_has_changed(
    tmp_path: Path, change: Callable[[TableRows[Any]], None]
) -> None:
    @alone
    async def scenario(one: Alone) -> None:
        rows = raised(one)
        one.checks.hear(Verdict(index=7, right=await one.digest(7)))
        assert one.checks.standing() == "right"
        of_peer = snapshot_of(one.store)
        change(rows)
        digest = await one.digest(8)
        assert (one.checks.standing(), one.fenced) == ("damaged", [True])
        assert one.checks.damage is not None
        assert "a row has changed in memory; at index 8" in one.checks.damage.text
        # That others have the same rows does not mend what was derived from them.
        one.checks.hear(Verdict(index=8, right=digest))
        one.store.apply(
            3, encode(SetSchedulerConfiguration(configuration=SchedulerConfiguration()))
        )
        one.checks.hear(Verdict(index=9, right=await one.digest(9)))
        assert one.checks.standing() == "damaged"
        # A snapshot of a peer does.
        one.store.restore(decode_snapshot(BytesIO(of_peer).read, TODAY))
        one.checks.restored()
        one.checks.hear(Verdict(index=10, right=await one.digest(10)))
        assert (one.checks.standing(), one.fenced[-1]) == ("right", False)

    scenario(tmp_path)


def snapshot_of(store: StateStore) -> bytes:
    parts: list[bytes] = []
    store.snapshot()(parts.append)
    return b"".join(parts)


@alone
async def test_below_level_2_only_others_can_tell(one: Alone) -> None:
    """The digest of these levels has no sums: a level-1 server computes the same."""
    change_a_row(raised(one, level=1))
    one.checks.hear(Verdict(index=7, right=await one.digest(7)))
    assert one.checks.standing() == "right"


@alone
async def test_a_damage_of_memory_is_found_whatever_waits_to_be_hashed(one: Alone) -> None:
    rows = raised(one)
    for index in range(1, 20):
        if index == 15:
            change_a_row(rows)
        one.checks.applied(index, one.store.image())
    assert one.checks.digest_at(19, 19).hashing
    await until(lambda: one.checks.digest_at(19, 19).digest)
    assert one.checks.standing() == "damaged"


@alone
async def test_a_large_state_is_hashed_and_freed_in_slices(one: Alone) -> None:
    """Between two slices the loop runs: it turns some hundred times meanwhile."""
    raised(one)
    image = one.store.image()
    for number in range(20_000):
        image.tables.put(namespaces.TABLE, f"n{number}", Namespace(name=f"n{number}"), 3)
    one.checks.applied(3, image)
    turns = 0
    while one.tasks and not all(task.done() for task in one.tasks):
        turns += 1
        await asyncio.sleep(0)
    assert turns > 20
    assert one.checks.digest_at(3, 3).digest
    assert one.checks.standing() == "unchecked"
    assert not image.rows[namespaces.TABLE.name]
