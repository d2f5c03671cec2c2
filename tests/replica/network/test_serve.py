"""What `serve` founds, joins and refuses: one cluster of one list, and no ID that is borrowed."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from net_servers import End
from replica_cluster import Pairs, Replicas, until

from quorate.errors import (
    ChangeRefused,
    CommandTooLarge,
    DataFolderInUse,
    NotReached,
    Overloaded,
    QuorateError,
    ReplicaStopped,
    WrongDataFolder,
    WrongServers,
)
from quorate.net.calls import FRAME_BYTES_MAX, CallConnection, read_argument, write_answer
from quorate.net.key_pair import KeyPair
from quorate.net.peer import Peer
from quorate.raft import Change, ChangeKind, Settings
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.replica import Options, Replica, serve
from quorate.replica.meeting import Introduction, Proposal, Verdict, told_members
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore


async def refused(error: type[QuorateError], *arguments: Any, **options: Any) -> QuorateError:
    """The error by which `serve` refuses; its address can be listened on afterwards."""
    with pytest.raises(error) as caught:
        await serve(*arguments, **options)
    assert caught.value.next_step or caught.value.text
    server_id, servers = arguments[0], arguments[1]
    if server_id in servers:
        host, _, port = servers[server_id].rpartition(":")
        # A plain socket: members that dial this address meanwhile leave no transport behind.
        socket.create_server((host, int(port))).close()
    return caught.value


def joining(cluster: Replicas, name: str) -> dict[str, str]:
    """The map for a newcomer: the members, and itself at a free address."""
    spare = Replicas(cluster.folder, 1).servers["a"]
    return {**cluster.servers, name: spare}


def own_key(replica: Replica[Any]) -> bytes:
    """The public key of a running replica."""
    assert replica.trust is not None
    return replica.trust.key


def test_a_joiner_becomes_a_non_voter_catches_up_and_votes(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        machine = Pairs()
        servers = joining(cluster, "d")
        joiner = await serve("d", servers, machine, tmp_path / "d", join=True)
        await until(lambda: machine.values == {"k": "1"})
        member = leader.node.configuration.get("d")
        assert member is not None
        assert member.suffrage is Suffrage.NONVOTER
        assert len(member.key) == 32
        await until(lambda: any(p.id == "d" and p.behind == 0 for p in leader.peers()))
        await leader.change(Change(ChangeKind.PROMOTE, "d"))
        # A majority of four: with the joiner, without another one.
        await cluster.stop(next(n for n in cluster.running if n != leader.server_id))
        await leader.propose(b"k=2")
        await until(lambda: machine.values == {"k": "2"})
        await joiner.stop()
        again = await serve("d", servers, machine, tmp_path / "d", join=True)
        # Without it there was no quorum, so any of the three may lead now.
        cluster.running["d"] = again
        await cluster.propose(b"k=3")
        await until(lambda: machine.values == {"k": "3"})
        await cluster.stop()

    asyncio.run(scenario())


def test_a_founder_that_lost_its_disk_is_refused_and_comes_back_as_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        lost = next(name for name in cluster.running if name != leader.server_id)
        await cluster.stop(lost)
        shutil.rmtree(tmp_path / lost)
        error = await refused(WrongServers, lost, cluster.servers, Pairs(), tmp_path / lost)
        assert "another key than the one on record" in error.text
        assert "join=True" in error.next_step
        # With join it is refused too: the ID is a member with another key.
        error = await refused(
            WrongServers, lost, cluster.servers, Pairs(), tmp_path / lost, join=True
        )
        assert "another key than the one on record" in error.text
        machine = Pairs()
        servers = {**joining(cluster, "new")}
        new = await serve("new", servers, machine, tmp_path / "new", join=True)
        await until(lambda: any(p.id == "new" and p.behind == 0 for p in leader.peers()))
        await leader.change(Change(ChangeKind.PROMOTE, "new"))
        await leader.change(Change(ChangeKind.REMOVE_SERVER, lost))
        assert {s.id for s in leader.node.configuration.voters()} == {
            *(set(cluster.servers) - {lost}),
            "new",
        }
        await new.stop()
        await cluster.stop()

    asyncio.run(scenario())


def test_another_list_founds_no_second_cluster(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        # Started with a list of its own, but with members of a cluster in it: it founds nothing.
        error = await refused(WrongServers, "d", joining(cluster, "d"), Pairs(), tmp_path / "d")
        assert "belongs to a cluster already" in error.text
        assert "join=True" in error.next_step
        # A cluster of its own is another cluster: added to this one, it is refused by its ID.
        servers = {"z": joining(cluster, "z")["z"]}
        other = Pairs()
        alone = await serve("z", servers, other, tmp_path / "z")
        await until(lambda: alone.is_leader)
        await alone.propose(b"own=1")
        heard: list[str] = []
        alone.on_refused.append(lambda _where, why: heard.append(why))
        leader.on_refused.append(lambda _where, why: heard.append(why))
        await leader.change(Change(ChangeKind.ADD_NONVOTER, "z", servers["z"], key=own_key(alone)))
        await until(lambda: any("belongs to cluster" in why for why in heard))
        assert other.values == {"own": "1"}
        await alone.propose(b"own=2")
        await alone.stop()
        await cluster.stop()

    asyncio.run(scenario())


def test_founders_with_different_lists_found_nothing_and_say_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        failed: list[BaseException] = []
        a, b, c = cluster.servers
        first = await serve(a, cluster.servers, Pairs(), tmp_path / a)
        first.on_failure.append(failed.append)
        rest = [
            await serve(name, {n: cluster.servers[n] for n in (a, name)}, Pairs(), tmp_path / name)
            for name in (b, c)
        ]
        await until(lambda: failed)
        assert "was started with other servers" in str(failed[0])
        for replica in (first, *rest):
            assert not replica.node.configuration.servers
            await replica.stop()

    asyncio.run(scenario())


def test_one_folder_serves_one_process_and_one_id(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 1)
        await cluster.start()
        spare = Replicas(tmp_path, 1).servers["a"]
        await refused(DataFolderInUse, "a", {"a": spare}, Pairs(), tmp_path / "a")
        await cluster.stop()
        error = await refused(WrongDataFolder, "b", {"b": spare}, Pairs(), tmp_path / "a")
        assert "belongs to server 'a'" in error.text
        await cluster.start()
        await cluster.leader()
        await cluster.stop()

    asyncio.run(scenario())


def test_an_old_copy_of_a_folder_never_votes_and_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        other = next(name for name in cluster.running if name != leader.server_id)
        await cluster.stop(other)
        shutil.copytree(tmp_path / other, tmp_path / "copy")
        await cluster.start(other)
        # Its second start is known to the others once it follows again.
        await until(lambda: cluster.running[other].node.leader_id == leader.server_id)
        await leader.propose(b"k=1")
        await until(lambda: cluster.machines[other].values == {"k": "1"})
        await cluster.stop(other)
        shutil.rmtree(tmp_path / other)
        shutil.copytree(tmp_path / "copy", tmp_path / other)
        failed: list[BaseException] = []
        machine = Pairs()
        old = await serve(other, cluster.servers, machine, tmp_path / other)
        old.on_failure.append(failed.append)
        await until(lambda: failed)
        # Two processes were its start 2, at one address, so one of them is gone.
        assert "or on a folder that was put back to an older state" in str(failed[0])
        assert f"both at {cluster.servers[other]}: its folder was put back" in str(failed[0])
        assert machine.values == {}
        await old.stop()
        error = await refused(WrongDataFolder, other, cluster.servers, Pairs(), tmp_path / other)
        assert "start it with a new server ID" in error.next_step
        await cluster.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ({"b": "127.0.0.1:7101"}, "not in the map of servers"),
        ({"a": "127.0.0.1"}, "the map of servers is wrong"),
        ({"a": "127.0.0.1:port"}, "the map of servers is wrong"),
        ({"a": "127.0.0.1:7101", "b": "127.0.0.1:7101"}, "duplicate address"),
        ({}, "not in the map of servers"),
    ],
)
def test_a_map_with_which_nothing_can_work_is_refused(
    tmp_path: Path, servers: dict[str, str], said: str
) -> None:
    with pytest.raises(WrongServers, match=said):
        asyncio.run(serve("a", servers, Pairs(), tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_a_joiner_without_a_cluster_gives_up_in_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        spare = Replicas(tmp_path, 2).servers
        error = await refused(
            NotReached,
            *("a", spare, Pairs(), tmp_path / "a", Options(join_timeout_s=0.5)),
            join=True,
        )
        assert "within 0.5 s" in error.text

    asyncio.run(scenario())


def test_a_server_that_was_never_started_gets_no_vote(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster, leader = await alone(tmp_path)
        place, key = joining(cluster, "d")["d"], KeyPair.generate().public
        await leader.change(Change(ChangeKind.ADD_NONVOTER, "d", place, key=key))
        for kind in (ChangeKind.PROMOTE, ChangeKind.ADD_VOTER):
            with pytest.raises(ChangeRefused, match=r"d at .* does not answer this leader"):
                await leader.change(Change(kind, "d", place))
        await leader.propose(b"k=1")  # alone it is the majority still
        (peer,) = leader.peers()
        assert (peer.id, peer.match_index) == ("d", 0)
        await cluster.stop()

    asyncio.run(scenario())


async def alone(folder: Path, **options: Any) -> tuple[Replicas, Replica[Any]]:
    cluster = Replicas(folder, 1, **options)
    await cluster.start()
    return cluster, await cluster.leader()


def test_a_command_is_checked_at_the_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster, leader = await alone(tmp_path)
        with pytest.raises(TypeError, match="a command is bytes, not str"):
            leader.propose("text")  # type: ignore[arg-type]
        with pytest.raises(CommandTooLarge, match="the limit is 1048576"):
            leader.propose(bytes((1 << 20) + 1))
        assert leader.is_leader
        await leader.propose(b"k=1")
        await cluster.stop()

    asyncio.run(scenario())


def test_what_is_too_much_of_one_turn_is_refused_and_the_rest_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = Settings(uncommitted_entries_max=100)
        cluster, leader = await alone(tmp_path, settings=settings)
        writes = [leader.propose(b"k=%d" % number) for number in range(150)]
        done = await asyncio.gather(*writes, return_exceptions=True)
        kinds = [type(each) for each in done]
        assert kinds == [tuple] * 100 + [Overloaded] * 50
        assert cluster.machines["a"].values == {"k": "99"}
        await leader.propose(b"k=more")
        await cluster.stop()

    asyncio.run(scenario())


def test_a_founder_that_fails_once_while_the_cluster_is_founded_is_asked_again(
    tmp_path: Path,
) -> None:
    """As one does that is stopped at that moment: the first founder goes on."""

    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        stopping = End("b", cluster_id="")
        asked: list[str] = []

        async def answer(verb: str, argument: bytes, _: Peer) -> bytes:
            asked.append(verb)
            if verb == "who":
                return write_answer(Introduction(server_id="b"))
            read_argument(argument, Proposal)
            if asked.count(verb) == 1:
                raise ReplicaStopped("this replica was stopped", "start it again")
            return write_answer(Verdict())

        stopping.port.calls = lambda peer: CallConnection(peer, answer)
        await stopping.listen(cluster.servers["b"])
        await cluster.start("a", "c")
        failed: list[BaseException] = []
        cluster.running["a"].on_failure.append(failed.append)
        leader = await cluster.leader()  # a and c are a majority
        await leader.propose(b"k=1")
        assert not failed
        assert asked.count("promise") == 3
        assert asked.count("found") == 2
        await cluster.stop()
        await stopping.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", [0, 30, 60, 90, 150])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_founder_that_ends_while_the_cluster_is_founded(
    tmp_path: Path, name: str, turns: int
) -> None:
    """At whatever moment: started again, it is a member of the one cluster."""

    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await cluster.stop(name)
        await cluster.start(name)
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        await until(lambda: all(m.values == {"k": "1"} for m in cluster.machines.values()))
        await cluster.stop()
        await cluster.start()
        await (await cluster.leader()).propose(b"k=2")
        await until(lambda: all(m.values == {"k": "2"} for m in cluster.machines.values()))
        await cluster.stop()

    asyncio.run(scenario())


def test_a_new_server_without_a_key_is_not_added(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster, leader = await alone(tmp_path)
        for kind in (ChangeKind.ADD_NONVOTER, ChangeKind.ADD_VOTER):
            with pytest.raises(ChangeRefused, match="no key is known of d") as caught:
                await leader.change(Change(kind, "d", joining(cluster, "d")["d"]))
            assert "join=True" in caught.value.next_step
        assert leader.trust is not None
        assert not leader.trust.lenient()
        await cluster.stop()

    asyncio.run(scenario())


def test_a_cluster_without_keys_gets_them_on_record(tmp_path: Path) -> None:
    """The first version founded so; until then connections without proof are believed."""

    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        founders = Configuration(tuple(Server(i, a) for i, a in cluster.servers.items()))
        for name, address in cluster.servers.items():
            log = LogStore.open(tmp_path / name / "log")
            old = Replica(
                server_id=name,
                address=address,
                machine=Pairs(),
                log=log,
                snapshots=SnapshotStore(tmp_path / name / "snapshots"),
                options=Options(),
            )
            await old.start()
            await old.bootstrap(founders)
            await old.stop()
        await cluster.start("a", "b")
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        assert leader.trust is not None
        assert leader.trust.lenient()  # c may be of the first version
        await cluster.start("c")
        trusts = [replica.trust for replica in cluster.running.values() if replica.trust]
        await until(lambda: not any(trust.lenient() for trust in trusts))
        assert {s.id: s.key for s in leader.node.configuration.voters()} == {
            name: own_key(replica) for name, replica in cluster.running.items()
        }
        await (await cluster.leader()).propose(b"k=2")
        await cluster.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("moving", [1, 3])
def test_servers_that_start_at_other_addresses_are_found_there(tmp_path: Path, moving: int) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        # A leader that goes on has dialed the others where they were.
        names = sorted(cluster.servers, key=lambda name: name == leader.server_id)[:moving]
        await cluster.stop(*names)
        cluster.servers |= {name: joining(cluster, name)[name] for name in names}
        await cluster.start(*names)
        await (await cluster.leader()).propose(b"k=2")
        await until(lambda: all(m.values == {"k": "2"} for m in cluster.machines.values()))
        await until(
            lambda: all(
                {s.id: s.address for s in each.node.configuration.servers} == cluster.servers
                for each in cluster.running.values()
            )
        )
        await cluster.stop()

    asyncio.run(scenario())


def test_joiners_that_come_at_once_wait_for_each_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        await cluster.start()
        leader = await cluster.leader()
        joiners = await asyncio.gather(
            *(
                serve(name, joining(cluster, name), Pairs(), tmp_path / name, join=True)
                for name in ("x", "y", "z")
            )
        )
        assert {s.id for s in leader.node.configuration.servers} >= {"x", "y", "z"}
        for joiner in joiners:
            await joiner.stop()
        await cluster.stop()

    asyncio.run(scenario())


def test_a_member_that_moved_is_not_taken_in_by_another_cluster(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "other").mkdir()
        cluster, other = Replicas(tmp_path, 3), Replicas(tmp_path / "other", 1)
        await cluster.start()
        await other.start()
        await (await cluster.leader()).propose(b"k=1")
        await cluster.stop()
        failed: list[BaseException] = []
        servers = {"b": joining(cluster, "b")["b"], "a": other.servers["a"]}
        member = await serve("b", servers, Pairs(), tmp_path / "b")
        member.on_failure.append(failed.append)
        cluster.servers["b"], cluster.running["b"] = servers["b"], member
        await cluster.start("a", "c")
        await cluster.leader()
        assert not failed
        assert [s.id for s in other.running["a"].node.configuration.servers] == ["a"]
        await cluster.stop()
        await other.stop()

    asyncio.run(scenario())


def test_the_answer_to_who_fits_however_large_the_cluster_is() -> None:
    """Or a joiner, and a server on an old copy of its folder, would hear nothing."""
    many = Configuration(
        tuple(Server(f"{n:03}" + "i" * 125, "h" * 60 + f".example:{n + 1}") for n in range(256))
    )
    told = told_members(many, many.servers[-1].id)
    assert told[0][0] == many.servers[-1].id  # the asker, who has to know whether it is a member
    assert len(write_answer(Introduction(server_id="a", members=told))) < FRAME_BYTES_MAX // 4
